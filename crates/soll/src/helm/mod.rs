//! `soll template` and `soll values`, and the charts of kustomizations: charts, without a cluster.

mod arguments;
mod chart;
mod charts;
mod template;
mod values;
mod world;

pub(crate) use arguments::{Template, Values};
pub(crate) use charts::Charts;
pub(crate) use template::template;
pub(crate) use values::values;
