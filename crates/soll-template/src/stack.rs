//! Room for templates within templates.

/// What a level may need before the next one looks again: printing a value of a thousand levels is the most.
const LEVEL: usize = 2 << 20;

/// What is reserved at a time. The system provides memory only as it is used.
const SEGMENT: usize = 64 << 20;

/// Runs something with room for one more level, on a further stack if this one is almost used up.
pub(crate) fn with_room<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEVEL, SEGMENT, run)
}
