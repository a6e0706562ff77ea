//! A chart in memory.

use std::sync::Arc;

use soll_yaml::Value;

use crate::Metadata;

/// A chart: what it is, what it holds, and the charts that it depends on.
///
/// Cloning copies the metadata and shares everything else.
#[derive(Debug, Clone)]
pub struct Chart {
    /// `Chart.yaml`.
    pub metadata: Metadata,
    /// `Chart.lock`, as it was written.
    pub lock: Option<Value>,
    /// `values.yaml`; always a map. Numbers are floats, as Go's JSON decoder makes them.
    pub values: Value,
    /// `values.schema.json`.
    pub schema: Option<Arc<[u8]>>,
    /// Everything below `templates/`, in the order of the walk.
    pub templates: Arc<[ChartFile]>,
    /// Everything else, `crds/` included, in the order of the walk.
    pub files: Arc<[ChartFile]>,
    /// The charts below `charts/`.
    pub dependencies: Vec<Chart>,
}

/// One file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// Its path within the chart.
    pub name: Arc<str>,
    /// What it holds.
    pub data: Arc<[u8]>,
}

impl Chart {
    /// The name, which an alias replaces.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Says whether it renders nothing itself and only lends its named templates.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }

    /// Calls `visit` with each file of `crds/`, the chart's own before those of its dependencies, and with the path of
    /// the chart that has it: `root/charts/child`.
    pub fn visit_crds<'c>(&'c self, visit: &mut dyn FnMut(&str, &'c ChartFile)) {
        self.visit_crds_in(self.name(), visit);
    }

    fn visit_crds_in<'c>(&'c self, path: &str, visit: &mut dyn FnMut(&str, &'c ChartFile)) {
        for file in self.files.iter().filter(|file| file.name.starts_with("crds/") && is_manifest(&file.name)) {
            visit(path, file);
        }
        for dependency in &self.dependencies {
            dependency.visit_crds_in(&format!("{path}/charts/{}", dependency.name()), visit);
        }
    }

    /// Names of declared dependencies that `charts/` does not have.
    #[must_use]
    pub fn missing_dependencies(&self) -> Vec<&str> {
        let declared = self.metadata.dependencies.iter().map(|dependency| dependency.name.as_str());
        declared.filter(|name| self.dependencies.iter().all(|chart| chart.name() != *name)).collect()
    }
}

fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
