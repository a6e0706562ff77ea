//! What the queue holds: the name of an object that is reconciled.

use std::fmt;
use std::sync::Arc;

/// The kinds that this engine reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `source.toolkit.fluxcd.io` GitRepository.
    GitRepository,
    /// `kustomize.toolkit.fluxcd.io` Kustomization.
    Kustomization,
}

impl Kind {
    /// All of them, sources first.
    pub const ALL: [Self; 2] = [Self::GitRepository, Self::Kustomization];

    /// The kind as objects spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
        }
    }

    /// The API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::GitRepository => "source.toolkit.fluxcd.io",
            Self::Kustomization => "kustomize.toolkit.fluxcd.io",
        }
    }

    /// Group and version as objects carry them.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::GitRepository => "source.toolkit.fluxcd.io/v1",
            Self::Kustomization => "kustomize.toolkit.fluxcd.io/v1",
        }
    }

    /// The name of Flux's controller for this kind: it is in events, metrics and leases.
    #[must_use]
    pub fn controller(self) -> &'static str {
        match self {
            Self::GitRepository => "source-controller",
            Self::Kustomization => "kustomize-controller",
        }
    }

    /// The name of the lease of Flux's controller for this kind.
    #[must_use]
    pub fn lease(self) -> String {
        format!("{}-leader-election", self.controller())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which object: kind, namespace and name. Displays as `Kustomization/apps/podinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Kind.
    pub kind: Kind,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// Names an object.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}
