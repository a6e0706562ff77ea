//! Charts of kustomizations: `soll kustomize --enable-helm`.

use soll_helm::render::{PrintedHooks, ReleaseOptions, RenderOptions, prepare};
use soll_helm::{Capabilities, ChartLimits, KubeVersion, is_release_name, load_directory, merge, parse_values};
use soll_kustomize::{ChartRelease, ChartRenderer, ReleaseName};
use soll_tree::FileTree;
use soll_yaml::{Sources, Value};

use super::template::{name_from, render_once};

/// Renders charts that lie in the tree of the build.
#[derive(Debug)]
pub(crate) struct Charts {
    /// Takes the place of what the charts' entries say.
    pub(crate) api_versions: Vec<String>,
    /// Takes the place of what the charts' entries say.
    pub(crate) kube_version: Option<String>,
}

impl ChartRenderer for Charts {
    fn render(&self, tree: &dyn FileTree, release: &ChartRelease) -> Result<String, String> {
        self.rendered(tree, release).map_err(|error| format!("{error:#}"))
    }
}

impl Charts {
    fn rendered(&self, tree: &dyn FileTree, asked: &ChartRelease) -> anyhow::Result<String> {
        let sources = Sources::new();
        let chart = load_directory(tree, &asked.directory, &ChartLimits::default(), &sources)?;
        let missing = chart.missing_dependencies();
        anyhow::ensure!(
            missing.is_empty(),
            "the chart has dependencies that are not in its `charts` directory: {}; run `helm dependency build`",
            missing.join(", ")
        );
        let mut values = Value::map();
        for layer in &asked.values {
            merge(&mut values, parse_values(layer, sources.add("values")).map_err(anyhow::Error::msg)?);
        }
        let name = match &asked.name {
            ReleaseName::Given(name) => name.clone(),
            ReleaseName::Template(template) => name_from(template)?,
        };
        anyhow::ensure!(
            is_release_name(&name),
            "`{name}` is no release name: small letters, digits and `-`, at most 53"
        );
        let options = RenderOptions::default();
        let prepared = prepare(chart, &values, &options)?;
        let namespace = asked.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let release = ReleaseOptions { name, namespace, revision: 1, is_upgrade: false };
        let capabilities = self.capabilities(asked)?;
        let rendered = render_once(&prepared, &release, &capabilities, &options)?;
        let hooks = match (asked.skips_hooks, asked.skips_tests) {
            (true, _) => PrintedHooks::None,
            (false, true) => PrintedHooks::ButTests,
            (false, false) => PrintedHooks::All,
        };
        Ok(rendered.printed(asked.includes_crds.then_some(&prepared.chart), hooks))
    }

    fn capabilities(&self, asked: &ChartRelease) -> anyhow::Result<Capabilities> {
        let mut capabilities = Capabilities::default();
        if let Some(version) = self.kube_version.as_ref().or(asked.kube_version.as_ref()) {
            capabilities.kube_version = KubeVersion::parse(version)?;
        }
        let versions = if self.api_versions.is_empty() { &asked.api_versions } else { &self.api_versions };
        capabilities.api_versions.extend(versions.iter().cloned());
        Ok(capabilities)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use soll_tree::DirTree;

    use super::*;

    fn release(kube_version: Option<&str>) -> ChartRelease {
        ChartRelease {
            directory: "charts/web".parse().unwrap(),
            name: ReleaseName::Template("{{ \"a\" | upper | lower }}-b".to_owned()),
            namespace: Some("apps".to_owned()),
            values: vec!["text: one\nlist: [1]\n".to_owned(), "text: two\n".to_owned()],
            api_versions: Vec::new(),
            kube_version: kube_version.map(str::to_owned),
            includes_crds: false,
            skips_hooks: true,
            skips_tests: false,
        }
    }

    #[test]
    fn a_chart_renders_with_all_layers_of_values() {
        let template = "kind: ConfigMap\nname: {{ .Release.Name }}\nns: {{ .Release.Namespace }}\ntext: {{ .Values.text }}{{ .Values.list }}\n\
                        version: {{ .Capabilities.KubeVersion.Version }}\n";
        let files = [
            ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
            ("charts/web/templates/a.yaml", template),
            ("charts/web/templates/hook.yaml", "kind: Job\nmetadata: {annotations: {helm.sh/hook: test}}\n"),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = DirTree::open(folder.path()).unwrap();
        let charts = Charts { api_versions: Vec::new(), kube_version: Some("1.30.0".to_owned()) };
        let text = charts.render(&tree, &release(Some("1.20.0"))).unwrap();
        assert_eq!(
            text.trim(),
            "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\nname: a-b\nns: apps\ntext: two[1]\nversion: v1.30.0"
        );
    }
}
