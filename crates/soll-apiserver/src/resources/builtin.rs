//! The builtin resources: the schema table's, as far as they are served.

use soll_schema::{Schemas, Scope};
use soll_yaml::Str;

use super::{Generation, Resource, Subresource};

/// Two views of one store: core events and those of `events.k8s.io`.
pub(super) const EVENTS_DRAWER: &str = "/events";

pub(super) fn rows() -> Vec<Resource> {
    let versions = Schemas::builtin().group_versions().filter(|version| version.is_served_by_default());
    versions.flat_map(|version| version.resources()).map(row).collect()
}

fn row(resource: soll_schema::Resource) -> Resource {
    let at = resource.group_version();
    let (group, version, plural, kind) = (at.group(), at.version(), resource.plural(), resource.kind());
    let drawer = if plural == "events" { EVENTS_DRAWER.to_owned() } else { format!("{group}/{plural}") };
    let texts = |names: Vec<&'static str>| names.into_iter().map(Str::from).collect();
    Resource {
        group: Str::from(group),
        version: Str::from(version),
        plural: Str::from(plural),
        singular: Str::from(resource.singular()),
        kind: Str::from(kind),
        list_kind: Str::from(format!("{kind}List")),
        namespaced: resource.scope() == Scope::Namespaced,
        short_names: texts(resource.short_names()),
        categories: texts(resource.categories()),
        verbs: resource.verbs().names(),
        subresources: resource.subresources().filter_map(|below| Subresource::parse(below.name())).collect(),
        drawer: Str::from(drawer),
        storage_hash: resource.storage_version_hash().map(str::to_owned),
        generation: generation(group, plural),
        custom: None,
    }
}

/// Which builtin kinds count generations. Most that have a `spec` and a controller do.
fn generation(group: &str, plural: &str) -> Generation {
    match (group, plural) {
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            Generation::AllButStatus
        }
        ("", "podtemplates") => Generation::AllButStatus,
        ("apps", "deployments") => Generation::SpecAndAnnotations,
        ("storage.k8s.io", "csidrivers") => Generation::SpecOnceMade,
        ("discovery.k8s.io", "endpointslices") => Generation::ContentAndLabels,
        ("", "pods" | "replicationcontrollers")
        | ("apps", "daemonsets" | "replicasets" | "statefulsets")
        | ("batch", "cronjobs" | "jobs")
        | ("apiextensions.k8s.io", "customresourcedefinitions")
        | ("admissionregistration.k8s.io", "validatingadmissionpolicies" | "validatingadmissionpolicybindings")
        | ("flowcontrol.apiserver.k8s.io", "flowschemas" | "prioritylevelconfigurations")
        | ("networking.k8s.io", "ingressclasses" | "ingresses" | "networkpolicies")
        | ("policy", "poddisruptionbudgets")
        | ("resource.k8s.io", "deviceclasses")
        | ("scheduling.k8s.io", "priorityclasses") => Generation::Spec,
        _ => Generation::None,
    }
}
