//! Room for templates within templates.

/// Enough for [`crate::Limits::default`]'s depth.
const STACK: usize = 512 << 20;

/// Runs something on a thread whose stack is deep enough for the default limits, and waits for it. The memory is
/// reserved, not used, until templates go that deep.
///
/// # Panics
/// If what is run panics.
pub fn with_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("templates".into()).stack_size(STACK).spawn_scoped(scope, run);
        match thread.expect("a thread can be started").join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
