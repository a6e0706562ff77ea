//! The charts that a kustomization names.

use soll_yaml::{At, Value};

use super::{Fields, Kustomization, Text};
use crate::problem::Problems;

/// A chart, and what it is to be rendered with.
#[derive(Clone)]
pub(crate) struct Chart {
    pub(crate) at: At,
    pub(crate) name: Text,
    pub(crate) home: Option<Text>,
    pub(crate) version: Option<Text>,
    pub(crate) repository: Option<Text>,
    pub(crate) release_name: Option<Text>,
    pub(crate) name_template: Option<Text>,
    pub(crate) namespace: Option<Text>,
    pub(crate) values_file: Option<Text>,
    pub(crate) values_files: Vec<Text>,
    /// None if there are none: an empty map counts as none too.
    pub(crate) values_inline: Option<Value>,
    pub(crate) values_merge: ValuesMerge,
    pub(crate) api_versions: Vec<Text>,
    pub(crate) kube_version: Option<Text>,
    pub(crate) includes_crds: bool,
    pub(crate) skips_hooks: bool,
    pub(crate) skips_tests: bool,
}

/// What becomes of the values in a file if there are values in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValuesMerge {
    /// Those in line win.
    Override,
    /// Those in the file win.
    Merge,
    /// Those in the file are not read.
    Replace,
}

/// Reads `helmCharts`, `helmGlobals`, and the field that both were before.
pub(super) fn read_charts(fields: &mut Fields<'_>, ks: &mut Kustomization) {
    let problems = fields.problems;
    let old = fields.list("helmChartInflationGenerator");
    let mut home = old.iter().filter_map(|item| item.get("chartHome").and_then(Text::of)).next_back();
    if let Some(globals) = fields.value("helmGlobals") {
        let mut globals = Fields::new(globals, "helmGlobals field", problems);
        home = globals.text("chartHome");
        globals.text("configHome");
        globals.refuse_others();
    }
    let charts = fields.list("helmCharts").iter().filter_map(|item| chart(item, problems));
    let old = old.iter().filter_map(|item| former_chart(item, problems));
    ks.charts = charts.chain(old).map(|chart| Chart { home: home.clone(), ..chart }).collect();
}

/// Reads an entry of `helmCharts`, or a generator of its own, which has the global fields too.
pub(crate) fn chart(value: &Value, problems: &Problems) -> Option<Chart> {
    let mut fields = Fields::new(value, "helmCharts entry", problems);
    let name = fields.required("name");
    let inline = fields.value("valuesInline").filter(|values| values.as_map().is_none_or(|map| !map.is_empty()));
    let values_merge = values_merge(&mut fields);
    let chart = name.map(|name| Chart {
        at: value.at,
        name,
        home: fields.text("chartHome"),
        version: fields.text("version"),
        repository: fields.text("repo"),
        release_name: fields.text("releaseName"),
        name_template: fields.text("nameTemplate"),
        namespace: fields.text("namespace"),
        values_file: fields.text("valuesFile"),
        values_files: fields.texts("additionalValuesFiles"),
        values_inline: inline.cloned(),
        values_merge,
        api_versions: fields.texts("apiVersions"),
        kube_version: fields.text("kubeVersion"),
        includes_crds: fields.flag("includeCRDs"),
        skips_hooks: fields.flag("skipHooks"),
        skips_tests: fields.flag("skipTests"),
    });
    for known in ["debug", "devel"] {
        fields.flag(known);
    }
    fields.text("configHome");
    if chart.is_some() {
        fields.refuse_others();
    }
    chart
}

/// Reads an entry of `helmChartInflationGenerator`.
fn former_chart(value: &Value, problems: &Problems) -> Option<Chart> {
    let mut fields = Fields::new(value, "helmChartInflationGenerator entry", problems);
    let name = fields.required("chartName");
    let inline = fields.value("valuesLocal").filter(|values| values.as_map().is_none_or(|map| !map.is_empty()));
    let values_merge = values_merge(&mut fields);
    let chart = name.map(|name| Chart {
        at: value.at,
        name,
        home: None,
        version: fields.text("chartVersion"),
        repository: fields.text("chartRepoUrl"),
        release_name: fields.text("releaseName"),
        name_template: None,
        namespace: None,
        values_file: fields.text("values"),
        values_files: Vec::new(),
        values_inline: inline.cloned(),
        values_merge,
        api_versions: Vec::new(),
        kube_version: None,
        includes_crds: false,
        skips_hooks: false,
        skips_tests: false,
    });
    // Kustomize takes these too and does nothing with them.
    for known in ["chartHome", "chartRepoName", "helmBin", "helmHome", "releaseNamespace"] {
        fields.text(known);
    }
    fields.texts("extraArgs");
    if chart.is_some() {
        fields.refuse_others();
    }
    chart
}

fn values_merge(fields: &mut Fields<'_>) -> ValuesMerge {
    let Some(text) = fields.text("valuesMerge") else { return ValuesMerge::Override };
    match text.as_str() {
        "override" => ValuesMerge::Override,
        "merge" => ValuesMerge::Merge,
        "replace" => ValuesMerge::Replace,
        other => {
            let message = format!("unknown valuesMerge `{other}`; expected merge, override or replace");
            fields.problems.add(text.at, message);
            ValuesMerge::Override
        }
    }
}
