//! Fields that others own.

use std::fmt;

use super::managed::{Manager, Operation};
use super::{Element, Set};

/// What an apply may not change, because other managers own it with other values.
#[derive(Debug, Clone)]
pub struct Conflicts {
    list: Vec<Conflict>,
}

/// One field that another manager owns.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Who owns it, as messages say it: `"kubectl" using apps/v1`.
    pub manager: String,
    /// The field: `.spec.replicas`.
    pub field: String,
    pub(super) path: Vec<Element>,
    /// The order of managers in the message.
    identity: String,
}

impl Conflicts {
    pub(super) fn new(mut sets: Vec<(&Manager, Set)>) -> Self {
        sets.sort_by_key(|(manager, _)| manager.identity());
        let mut list = Vec::new();
        for (manager, set) in sets {
            let (name, identity) = (describe(manager), manager.identity());
            list.extend(set.paths().into_iter().map(|path| Conflict {
                manager: name.clone(),
                field: path.iter().map(Element::to_string).collect(),
                path,
                identity: identity.clone(),
            }));
        }
        Self { list }
    }

    /// The conflicts: by manager, then by path.
    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.list.iter()
    }

    /// Leaves out the conflicts in these fields. `None` if none is left.
    pub(super) fn outside(mut self, allowed: &Set) -> Option<Self> {
        self.list.retain(|conflict| !allowed.contains(&conflict.path));
        (!self.list.is_empty()).then_some(self)
    }
}

impl Conflict {
    /// The message of the cause that names this field.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

fn describe(manager: &Manager) -> String {
    let mut text = format!("{:?}", manager.name.as_str());
    if !manager.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", manager.subresource.as_str()));
    }
    if manager.operation == Operation::Update {
        text.push_str(&format!(" using {}", manager.api_version));
    }
    text
}

/// The message of the API server's answer.
impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.list.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", one.message(), one.field);
        }
        write!(f, "Apply failed with {} conflicts: ", self.list.len())?;
        let mut last = None;
        for conflict in &self.list {
            if last != Some(&conflict.identity) {
                let newline = if last.is_some() { "\n" } else { "" };
                write!(f, "{newline}conflicts with {}:", conflict.manager)?;
                last = Some(&conflict.identity);
            }
            write!(f, "\n- {}", conflict.field)?;
        }
        Ok(())
    }
}
