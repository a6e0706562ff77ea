//! The templates of a chart and of all that it depends on, parsed.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use soll_template::{Environment, MapType, Options, Rendering, Set, Value};

use super::scope::Scope;
use super::{RenderOptions, TemplateFailure};
use crate::Chart;

/// Parsed templates. Parse once, render many times.
pub struct Templates {
    set: Set,
    files: Vec<File>,
}

struct File {
    /// `root/charts/child/templates/a.yaml`.
    path: String,
    /// The chart that has it: `root/charts/child`.
    chart: String,
    text: Arc<[u8]>,
}

impl Templates {
    /// Parses the templates of a chart whose dependencies are resolved.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse(chart: &Chart) -> Result<Self, TemplateFailure> {
        let files = files_of(chart);
        let mut set = Set::new();
        for file in &files {
            // Text that is UTF-8 is told so at once; finding what is not takes ten times as long.
            let text = str::from_utf8(&file.text).map_or_else(|_| String::from_utf8_lossy(&file.text), Cow::Borrowed);
            set.parse(&file.path, &text).map_err(|error| TemplateFailure::parsing(&file.path, error))?;
        }
        Ok(Self { set, files })
    }

    /// Says whether these are the templates of this chart still.
    #[must_use]
    pub fn are_of(&self, chart: &Chart) -> bool {
        let files = files_of(chart);
        let same = |(a, b): (&File, &File)| a.path == b.path && (Arc::ptr_eq(&a.text, &b.text) || a.text == b.text);
        files.len() == self.files.len() && files.iter().zip(&self.files).all(same)
    }

    /// Renders everything that is no partial; sorted by path.
    pub(super) fn render(
        &self,
        scopes: &[Scope],
        options: &RenderOptions,
        environment: &dyn Environment,
    ) -> Result<Vec<(String, String)>, TemplateFailure> {
        let limits = options.limits.clone();
        let mut rendering = Rendering::new(&self.set, environment, Options { limits, ..Options::default() });
        let mut rendered = Vec::new();
        for file in &self.files {
            if file.path.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
                continue;
            }
            let scope = scopes.iter().find(|scope| scope.chart == file.chart);
            let data = &scope.expect("every chart has a scope").data;
            let about = soll_template::Map::of(MapType::Values);
            about.insert("Name", Value::text(&file.path));
            about.insert("BasePath", Value::text(&format!("{}/templates", file.chart)));
            data.insert("Template", Value::Map(about));
            let text = rendering
                .render(&file.path, Value::Map(data.clone()))
                .map_err(|error| TemplateFailure::rendering(&file.path, error))?;
            rendered.push((file.path.clone(), text));
        }
        rendered.sort();
        Ok(rendered)
    }
}

/// The templates in the order of Helm: deep paths first, so that a parent's definitions replace a child's.
fn files_of(chart: &Chart) -> Vec<File> {
    let mut files = Vec::new();
    collect(chart, chart.name(), &mut files);
    files.sort_by_cached_key(|file| {
        let depth = file.path.bytes().filter(|byte| *byte == b'/').count();
        Reverse((depth, file.path.clone()))
    });
    files.dedup_by(|a, b| a.path == b.path);
    files
}

fn collect(chart: &Chart, path: &str, into: &mut Vec<File>) {
    for file in chart.templates.iter() {
        let is_partial = file.name.rsplit('/').next().is_some_and(|base| base.starts_with('_'));
        if !chart.is_library() || is_partial {
            let text = file.data.clone();
            into.push(File { path: format!("{path}/{}", file.name), chart: path.to_owned(), text });
        }
    }
    for child in &chart.dependencies {
        collect(child, &format!("{path}/charts/{}", child.name()), into);
    }
}
