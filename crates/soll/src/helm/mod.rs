//! `soll template` and `soll values`: charts, without a cluster.

mod arguments;
mod chart;
mod template;
mod values;
mod world;

pub(crate) use arguments::{Template, Values};
pub(crate) use template::template;
pub(crate) use values::values;
