//! Where objects came from and what changed them, as `buildMetadata` writes it into annotations.

use std::fmt::Write as _;
use std::sync::Arc;

use soll_yaml::Value;

use crate::kustomization::Kustomization;
use crate::remote::RemoteDirectory;
use crate::resource::Resource;

/// Where an object came from, or what changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// A file of objects.
    File(Origin),
    /// A generator or transformer, and the file that asks for it.
    Configured { file: Origin, api_version: String, kind: String, name: String, namespace: String },
}

/// A file, as the overlays name it or in a repository that was fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) repository: Option<Arc<RemoteDirectory>>,
}

impl Origin {
    /// The lines that kustomize writes; `field` is what it calls the path here.
    fn lines(&self, field: &str) -> Vec<String> {
        let place = format!("{field}: {}", self.path);
        let Some(repository) = &self.repository else { return vec![place] };
        let mut lines = vec![format!("repo: {}", repository.repository)];
        lines.extend(repository.reference.iter().map(|reference| format!("ref: {reference}")));
        // Paths come first, what configures last.
        lines.insert(if field == "path" { 0 } else { lines.len() }, place);
        lines
    }
}

impl Provenance {
    /// A field of a kustomization, by the name of its transformer.
    pub(crate) fn builtin(ks: &Kustomization, kind: &str) -> Self {
        Self::Configured {
            file: ks.origin(),
            api_version: "builtin".to_owned(),
            kind: kind.to_owned(),
            name: String::new(),
            namespace: String::new(),
        }
    }

    /// A plugin with a configuration of its own.
    pub(crate) fn plugin(config: &Resource) -> Self {
        let id = config.id();
        let file = match config.origin.as_deref() {
            Some(Self::File(file)) => file.clone(),
            Some(Self::Configured { .. }) | None => Origin::default(),
        };
        Self::Configured {
            file,
            api_version: config.value().lookup_str(&["apiVersion"]).unwrap_or_default().to_owned(),
            kind: id.gvk.kind.to_string(),
            name: id.name.to_string(),
            namespace: id.namespace.to_string(),
        }
    }

    /// The lines that kustomize writes.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::File(origin) => origin.lines("path"),
            Self::Configured { file, api_version, kind, name, namespace } => {
                let mut lines = file.lines("configuredIn");
                lines.push("configuredBy:".to_owned());
                let fields = [("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)];
                let set = fields.iter().filter(|(_, text)| !text.is_empty());
                lines.extend(set.map(|(field, text)| format!("  {field}: {text}")));
                lines
            }
        }
    }
}

impl Resource {
    /// Notes what ran over the object; what came from nowhere came from there.
    pub(crate) fn note_transformation(&mut self, by: &Provenance) {
        match &self.origin {
            None => self.origin = Some(Box::new(by.clone())),
            Some(_) => self.transformations.push(by.clone()),
        }
    }

    /// Writes where the object came from into an annotation.
    pub(crate) fn write_origin(&mut self) {
        let Some(origin) = &self.origin else { return };
        let text: String = origin.lines().into_iter().map(|line| line + "\n").collect();
        self.annotate("config.kubernetes.io/origin", text);
    }

    /// Writes what changed the object into an annotation.
    pub(crate) fn write_transformations(&mut self) {
        if self.transformations.is_empty() {
            return;
        }
        let mut text = String::new();
        for transformation in &self.transformations {
            for (position, line) in transformation.lines().iter().enumerate() {
                let start = if position == 0 { "- " } else { "  " };
                writeln!(text, "{start}{line}").expect("a string takes every write");
            }
        }
        self.annotate("alpha.config.kubernetes.io/transformations", text);
    }

    fn annotate(&mut self, key: &str, text: String) {
        let metadata = self.value_mut().make_map().get_or_insert_with("metadata", Value::map).make_map();
        let annotations = metadata.get_or_insert_with("annotations", Value::map).make_map();
        annotations.insert(key, Value::from(text));
    }
}
