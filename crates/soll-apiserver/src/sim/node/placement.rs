//! Where a pod can run, as far as that is simulated: ready nodes, node selectors, volumes.

use soll_api::Object;
use soll_yaml::Value;

use super::super::failure::Mode;
use super::super::fields::{list, text};
use super::super::kind::Kind;
use super::super::selector::contains;
use super::super::world::World;
use super::machine::takes_pods;

/// What comes of looking for a node.
#[derive(Debug, PartialEq)]
pub(super) enum Placement {
    Node(String),
    /// Something is on its way that will wake the pod.
    Waiting,
    /// No node will do, for this reason.
    Nowhere(String),
}

/// Finds a node for a pod.
pub(super) fn place(world: &World, pod: &Object, ordered: Option<Mode>) -> Placement {
    let total = world.all(Kind::Node).count();
    let nowhere = |why: &str| Placement::Nowhere(format!("0/{total} nodes are available: {why}."));
    if ordered == Some(Mode::Unschedulable) {
        return nowhere("1 Insufficient cpu");
    }
    for volume in list(pod.value(), &["spec", "volumes"]) {
        let Some(name) = volume.lookup_str(&["persistentVolumeClaim", "claimName"]) else { continue };
        match world.find(Kind::PersistentVolumeClaim, pod.namespace(), name) {
            None if world.knows(Kind::PersistentVolumeClaim) => {
                return nowhere(&format!("persistentvolumeclaim \"{name}\" not found"));
            }
            None => return Placement::Waiting,
            Some(claim) if text(claim.value(), &["status", "phase"]) == "Bound" => {}
            Some(claim) if waits_for_consumer(world, claim) => return Placement::Waiting,
            Some(_) => return nowhere("pod has unbound immediate PersistentVolumeClaims"),
        }
    }
    let ready: Vec<_> = world.all(Kind::Node).filter(|node| takes_pods(node)).collect();
    if ready.is_empty() {
        return nowhere("no node is ready");
    }
    let fits = |node: &&Object| {
        let labels = node.value().lookup(&["metadata", "labels"]);
        let selected = pod.value().lookup(&["spec", "nodeSelector"]).is_none_or(|wanted| contains(wanted, labels));
        selected && wanted_node(pod).is_none_or(|name| name == node.name())
    };
    let fitting: Vec<_> = ready.into_iter().filter(fits).collect();
    // The node with the fewest pods, so that several nodes are used.
    let load = |node: &&Object| {
        world.all(Kind::Pod).filter(|pod| text(pod.value(), &["spec", "nodeName"]) == node.name()).count()
    };
    let best = if fitting.len() > 1 { fitting.into_iter().min_by_key(load) } else { fitting.into_iter().next() };
    match best {
        Some(node) => Placement::Node(node.name().to_owned()),
        None => nowhere(&format!("{total} node(s) didn't match Pod's node affinity/selector")),
    }
}

/// The node that a DaemonSet wants a pod on.
fn wanted_node(pod: &Object) -> Option<&str> {
    let path =
        ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let terms = list(pod.value(), &path);
    let fields = terms.iter().flat_map(|term| list(term, &["matchFields"]));
    let mut named = fields.filter(|field| text(field, &["key"]) == "metadata.name");
    list(named.next()?, &["values"]).first().and_then(Value::as_str)
}

/// Whether a claim is bound only once a pod needs it.
pub(super) fn waits_for_consumer(world: &World, claim: &Object) -> bool {
    let class = text(claim.value(), &["spec", "storageClassName"]);
    let class = world.find(Kind::StorageClass, "", class);
    class.is_some_and(|class| text(class.value(), &["volumeBindingMode"]) == "WaitForFirstConsumer")
}
