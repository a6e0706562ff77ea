//! What the comparisons with the original tools share: how much is asked for, choices that a seed repeats, and where
//! the originals are.
//!
//! Only tests depend on this crate, those of the engines too: it depends on nothing.
#![allow(clippy::missing_panics_doc, reason = "what cannot be set up ends the test, and says why")]

mod asked;
mod originals;
mod random;

pub use asked::{Asked, number};
pub use originals::binary;
pub use random::Random;
