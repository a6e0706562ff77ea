//! `helmCharts`: what a renderer is asked for, and what becomes of its answer.

use std::sync::Arc;

use soll_kustomize::{ChartRelease, ChartRenderer, Options, build};
use soll_tree::FileTree;

use crate::{Files, printed};

/// Renders every chart to an object that says what was asked for.
#[derive(Debug)]
struct Echo;

impl ChartRenderer for Echo {
    fn render(&self, _: &dyn FileTree, release: &ChartRelease) -> Result<String, String> {
        if release.directory.file_name() == "broken" {
            return Err("it is broken".to_owned());
        }
        let asked = format!("{:?} in {:?} of {}", release.name, release.namespace, release.directory);
        let values = release.values.join("|").replace('\n', ";");
        Ok(format!(
            "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n  asked: '{asked}'\n  values: '{values}'\n",
            release.directory.file_name()
        ))
    }
}

fn check(kustomizations: &str, expected: &str) {
    let files = Files::of(kustomizations);
    let options = Options { charts: Some(Arc::new(Echo)), ..Options::default() };
    let found = match build(&files, &"".parse().unwrap(), &options) {
        Ok(built) => printed(&built),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(found.trim(), expected.trim());
}

const CHART: &str =
    "# file: charts/web/values.yaml\na: chart\nb: chart\n# file: charts/web-1.2/web/values.yaml\na: old\n";

#[test]
fn values_are_laid_over_each_other() {
    for (merge, expected) in [
        ("override", "a: mine;b: chart;|c: more;"),
        ("merge", "a: chart;b: chart;|c: more;"),
        ("replace", "a: mine;|c: more;"),
    ] {
        let kustomization = format!(
            "# file: kustomization.yaml\nhelmCharts:\n- name: web\n  releaseName: r\n  valuesInline: {{a: mine}}\n  \
             valuesMerge: {merge}\n  additionalValuesFiles: [more.yaml]\n# file: more.yaml\nc: more\n{CHART}"
        );
        check(
            &kustomization,
            &format!(
                "apiVersion: v1\ndata:\n  asked: Given(\"r\") in None of charts/web\n  values: '{expected}'\nkind: ConfigMap\nmetadata:\n  name: web"
            ),
        );
    }
}

#[test]
fn what_a_chart_renders_to_is_transformed() {
    check(
        &format!(
            "# file: kustomization.yaml\nresources: [base]\nnamespace: apps\nnamePrefix: x-\n# file: base/kustomization.yaml\n\
             helmGlobals: {{chartHome: ../charts}}\nhelmCharts:\n- {{name: web, version: \"1.2\", repo: https://example.com, nameTemplate: t}}\n{CHART}"
        ),
        "apiVersion: v1\ndata:\n  asked: Template(\"t\") in Some(\"apps\") of charts/web-1.2/web\n  values: 'a: old;'\nkind: ConfigMap\n\
         metadata:\n  name: x-web",
    );
}

#[test]
fn all_charts_that_do_not_render_are_told() {
    check(
        &format!(
            "# file: kustomization.yaml\nhelmCharts:\n- {{name: broken, releaseName: r}}\n- {{name: missing, releaseName: r, repo: https://example.com}}\n\
             - {{name: web}}\n# file: charts/broken/values.yaml\n{CHART}"
        ),
        "kustomization.yaml:2:3: it is broken\nkustomization.yaml:3:3: no chart found at `charts/missing`\n\
         kustomization.yaml:4:3: a chart needs a `releaseName`: a name made up from the time would differ in each build",
    );
}
