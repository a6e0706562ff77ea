//! What was rendered as one text: what `helm template` prints, and what records keep.

use regex::Regex;

use super::Rendered;
use crate::glob::PathPattern;
use crate::{Chart, HookEvent, split_manifests};

impl Rendered {
    /// The manifest as records keep it: each document behind its template's path.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        for manifest in &self.manifests {
            append(&mut text, &manifest.path, &manifest.content);
        }
        text
    }

    /// What `helm template` prints: definitions if `crds` has them, the manifest, and the hooks that are asked for.
    #[must_use]
    pub fn printed(&self, crds: Option<&Chart>, hooks: PrintedHooks) -> String {
        let mut text = String::new();
        if let Some(chart) = crds {
            chart.visit_crds(&mut |path, file| {
                append(&mut text, &format!("{path}/{}", file.name), &String::from_utf8_lossy(&file.data));
            });
        }
        text.push_str(&self.manifest());
        let mut text = format!("{}\n", text.trim());
        for hook in &self.hooks {
            let is_test = hook.events.contains(&HookEvent::Test);
            if hooks == PrintedHooks::All || (hooks == PrintedHooks::ButTests && !is_test) {
                append(&mut text, &hook.path, &hook.manifest);
            }
        }
        text
    }
}

/// Which hooks are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintedHooks {
    /// All.
    All,
    /// All but tests.
    ButTests,
    /// None.
    None,
}

/// The documents of printed text whose template, within its chart, matches a pattern: `templates/*.yaml`.
///
/// # Errors
/// A pattern that matches nothing.
pub fn show_only(printed: &str, patterns: &[String]) -> Result<String, NoSuchTemplate> {
    let source = Regex::new("# Source: [^/]+/(.+)").expect("it is an expression");
    let documents: Vec<(&str, &str)> = split_manifests(printed)
        .filter_map(|document| Some((source.captures(document)?.get(1)?.as_str(), document)))
        .collect();
    let mut shown = String::new();
    for pattern in patterns {
        let is_shown = PathPattern::parse(pattern).map(|pattern| move |path: &str| pattern.matches(path));
        let chosen: Vec<&str> = match is_shown {
            Ok(is_shown) => {
                documents.iter().filter(|(path, _)| is_shown(path)).map(|(_, document)| *document).collect()
            }
            Err(_) => Vec::new(),
        };
        if chosen.is_empty() {
            return Err(NoSuchTemplate(pattern.clone()));
        }
        for document in chosen {
            shown.push_str(&format!("---\n{document}\n"));
        }
    }
    Ok(shown)
}

/// Nothing was rendered by a template of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not find template {0} in chart")]
pub struct NoSuchTemplate(pub String);

fn append(text: &mut String, path: &str, content: &str) {
    text.push_str(&format!("---\n# Source: {path}\n{content}\n"));
}
