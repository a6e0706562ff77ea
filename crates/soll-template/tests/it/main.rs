//! Templates in, text or errors out.
#![allow(clippy::unwrap_used)]

mod callables;
mod differential;
mod errors;
mod found;
mod generator;
mod language;
mod ledger;
mod oracle;
mod world;
