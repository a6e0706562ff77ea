//! Templates that know each other.

use std::collections::HashMap;
use std::sync::Arc;

use soll_yaml::Str;

use crate::ast::Tree;
use crate::error::TemplateError;
use crate::parse::parse;

/// Parsed templates, by the names of their files and of what they `define`. Parsed once, rendered often, by any thread.
#[derive(Clone, Debug, Default)]
pub struct Set {
    trees: HashMap<Str, Arc<Tree>>,
}

impl Set {
    /// No templates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a file and adds it and what it defines. A definition replaces an earlier one of its name, unless the new
    /// one is empty.
    ///
    /// # Errors
    /// What is wrong with the text, displayed as `template: NAME:LINE: …`; the set stays as it was.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        for tree in parse(name, text)? {
            if tree.is_empty() && self.trees.contains_key(&tree.name) {
                continue;
            }
            self.trees.insert(tree.name.clone(), tree);
        }
        Ok(())
    }

    /// Says whether there is a template of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        self.trees.get(name).map(AsRef::as_ref)
    }
}

/// The templates that a text being rendered can call: those of the set, and those that `tpl` texts around it define.
pub(crate) struct Scope<'p> {
    pub(crate) set: &'p Set,
    pub(crate) outer: Option<&'p Scope<'p>>,
    pub(crate) local: &'p [Arc<Tree>],
}

impl Scope<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        // An empty definition does not hide one further out.
        let local = self.local.iter().find(|tree| *tree.name == *name).map(AsRef::as_ref);
        match local {
            Some(tree) if !tree.is_empty() => Some(tree),
            _ => {
                let outer = match self.outer {
                    Some(outer) => outer.get(name),
                    None => self.set.get(name),
                };
                outer.or(local)
            }
        }
    }
}
