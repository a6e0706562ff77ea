//! Templates in, text or errors out.
#![allow(clippy::unwrap_used)]

mod errors;
mod language;
mod world;
