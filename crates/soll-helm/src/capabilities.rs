//! What a chart may ask of the cluster: `.Capabilities`.

/// The cluster as templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Its version.
    pub kube_version: KubeVersion,
    /// Groups and versions, and kinds where a cluster was asked: `apps/v1`, `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As it was written, with a `v`: `v1.33.4-gke.1245000`.
    pub version: String,
    /// Without what vendors add, for ranges: `v1.33.4`.
    pub normalized: String,
    /// `1`.
    pub major: String,
    /// `33`.
    pub minor: String,
}

/// A text that is no version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeVersionError {
    /// Not one to three numbers.
    #[error("could not parse {0:?} as version")]
    Unreadable(String),
    /// A number with a leading zero.
    #[error("illegal zero-prefixed version component {component:?} in {version:?}")]
    LeadingZero {
        /// The number.
        component: String,
        /// The text.
        version: String,
    },
}

impl KubeVersion {
    /// Reads a version as Kubernetes does: at least two numbers; what follows them is a vendor's business.
    ///
    /// # Errors
    /// In the words of Kubernetes.
    pub fn parse(text: &str) -> Result<Self, KubeVersionError> {
        let unreadable = || KubeVersionError::Unreadable(text.to_owned());
        let trimmed = text.trim().trim_start_matches('v');
        let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let numbers = &trimmed[..end];
        // The dot before a vendor's text belongs to neither.
        let parts: Vec<&str> = numbers.trim_end_matches('.').split('.').collect();
        if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
            return Err(unreadable());
        }
        for part in &parts {
            if part.len() > 1 && part.starts_with('0') {
                return Err(KubeVersionError::LeadingZero { component: (*part).to_owned(), version: text.to_owned() });
            }
            part.parse::<u64>().map_err(|_| unreadable())?;
        }
        // As many numbers as there were.
        let normalized = format!("v{}", parts.join("."));
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        Ok(Self { version, normalized, major: parts[0].to_owned(), minor: parts[1].to_owned() })
    }
}

impl Default for Capabilities {
    /// What helm 4.2 assumes where no cluster is asked.
    fn default() -> Self {
        let kube_version = KubeVersion {
            version: "v1.36.0".to_owned(),
            normalized: "v1.36.0".to_owned(),
            major: "1".to_owned(),
            minor: "36".to_owned(),
        };
        Self { kube_version, api_versions: KNOWN.iter().map(|&known| known.to_owned()).collect() }
    }
}

/// The helm whose templates we render: `.Capabilities.HelmVersion.Version`.
pub const HELM_VERSION: &str = "v4.2";

/// The Kubernetes client of that helm: `.Capabilities.HelmVersion.KubeClientVersion`.
pub const KUBE_CLIENT_VERSION: &str = "v1.36";

/// The groups of the client that helm 4.2 is built with, in its order.
const KNOWN: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn vendors_may_add_to_a_version() {
        let parse = |text| KubeVersion::parse(text).map(|v| (v.version, v.normalized, v.minor));
        let own = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(parse("v1.35.0"), own("v1.35.0", "v1.35.0", "35"));
        assert_eq!(parse("1.31.2-gke.1"), own("v1.31.2-gke.1", "v1.31.2", "31"));
        assert_eq!(parse("1.29"), own("v1.29", "v1.29", "29"));
        assert_eq!(parse("1.28+"), own("v1.28+", "v1.28", "28"));
        assert!(parse("1").is_err() && parse("abc").is_err() && parse("1.029").is_err());
    }
}
