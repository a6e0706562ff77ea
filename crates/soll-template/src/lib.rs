//! Go's `text/template` with the functions of Sprig and Helm, as a pure engine.
//!
//! A [`Set`] holds parsed templates and can be kept and shared; a [`Rendering`] renders them, with [`Value`]s for their
//! dots and an [`Environment`] for what they ask of the world. Read [`Set::parse`] and [`Rendering::render`] first,
//! then `render/`, whose modules walk the trees, and `functions/`, one table per kind of function. Errors read as Go's and
//! carry the places they went through ([`TemplateError`]).
//!
//! It never reads a clock, a file or the network, has no randomness and no cryptography of its own, and stops when its
//! [`Limits`] are reached.

mod ast;
mod duration;
mod environment;
mod error;
mod functions;
pub mod go;
mod helm_values;
mod layout;
mod lex;
mod number;
mod object;
mod parse;
mod print;
mod quote;
mod re2;
mod render;
mod set;
mod stack;
mod time;
mod truth;
mod unicode;
mod value;

pub use environment::{Certificate, CertificateRequest, Crypto, Environment, Limits};
pub use error::{ErrorKind, Frame, TemplateError};
pub use functions::{Signature, signatures};
pub use object::{Object, Param};
pub use print::format;
pub use render::{Options, Rendering};
pub use set::Set;
pub use time::Time;
pub use value::{Element, Kind, List, Map, MapType, Value, WholeNumbers};

/// A value as YAML, as `toYaml` writes it.
///
/// # Errors
/// What cannot be written, in Go's words.
pub fn to_yaml(value: &Value) -> Result<String, String> {
    functions::to_yaml(value)
}
