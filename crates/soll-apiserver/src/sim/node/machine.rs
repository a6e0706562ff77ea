//! The nodes themselves, and their leases.

use std::time::Duration;

use serde_json::json;
use soll_api::{Gvk, Object};
use soll_cluster::{ApiError, Cluster, Depth, Mode, Patch, Selection};

use super::super::SimulationError;
use super::super::action::{Action, KUBELET, Step};
use super::super::condition::{Conditions, holds};
use super::super::fields::{self, value};
use super::super::kind::Kind;
use super::super::world::World;

/// The label of the nodes that are ours.
const OURS: &str = "sim.soll.dev/node";
/// Set to `true`, a node is not ready.
const NOT_READY: &str = "sim.soll.dev/not-ready";
const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i64 = 40;
/// How often a lease is renewed; real time, since others judge it by their clocks.
const RENEWAL: Duration = Duration::from_secs(10);

/// Makes the nodes that are missing.
///
/// # Errors
/// If there is a node that no simulation made.
pub(in super::super) async fn prepare(cluster: &Cluster, count: usize) -> Result<(), SimulationError> {
    let nodes = cluster.list(&Kind::Node.gvk(), &Selection::all(), Depth::Metadata).await?;
    if let Some(foreign) = nodes.items.iter().find(|node| node.label(OURS).is_none()) {
        return Err(SimulationError::RealNode(foreign.name().to_owned()));
    }
    for number in 0..count {
        let name = format!("sim-{number}");
        if nodes.items.iter().all(|node| node.name() != name) {
            let created = cluster.create(&node(&name), KUBELET, Mode::Real).await;
            created.map(|_| ()).or_else(|error| if error.is_already_exists() { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

fn node(name: &str) -> Object {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            OURS: "true",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            "kubernetes.io/hostname": name,
            "node.kubernetes.io/instance-type": "simulated",
        }},
        "spec": {"podCIDR": "10.244.0.0/16", "providerID": format!("sim://{name}")},
    });
    Object::new(value(&node)).expect("it has a kind and a name")
}

/// Reports the state of a node and renews its lease.
pub(super) fn step(world: &World, node: &Object) -> Step {
    let mut step = Step::nothing();
    if node.label(OURS).is_none() || world.is_leaving(node) {
        return step;
    }
    let ready = node.annotation(NOT_READY) != Some("true");
    step.set_status(Kind::Node, node, status(world, node, ready), KUBELET);
    step.push(Action::Renew { node: node.name().to_owned() });
    step.again(RENEWAL);
    step
}

fn status(world: &World, node: &Object, ready: bool) -> soll_yaml::Value {
    let now = world.clock.stamp();
    let live = node.value();
    let mut conditions = Conditions::new(live, &now);
    conditions
        .set("MemoryPressure", false, "KubeletHasSufficientMemory", "nothing runs here")
        .set("DiskPressure", false, "KubeletHasNoDiskPressure", "nothing runs here")
        .set("PIDPressure", false, "KubeletHasSufficientPID", "nothing runs here");
    if ready {
        conditions.set("Ready", true, "KubeletReady", "simulated: no container runs here");
    } else {
        conditions.set("Ready", false, "KubeletNotReady", "ordered by annotation");
    }
    let resources = json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "10000"});
    let mut status = value(&json!({
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": host_ip(node.name())},
            {"type": "Hostname", "address": node.name()},
        ],
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "simulated", "osImage": "simulated",
            "containerRuntimeVersion": "simulated://0", "kubeletVersion": "v1.35.4", "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": "amd64",
        },
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    }));
    fields::map_mut(&mut status, &[]).insert("conditions", conditions.into_value());
    status
}

/// Writes the lease of a node, which says that it is alive.
pub(in super::super) async fn renew(cluster: &Cluster, node: &str) -> Result<(), ApiError> {
    let gvk = Gvk::new("coordination.k8s.io/v1", "Lease");
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let patch = Patch::Merge(value(&json!({"spec": {"renewTime": now}})));
    match cluster.patch(&gvk, LEASE_NAMESPACE, node, &patch, KUBELET).await {
        Err(error) if error.is_not_found() => {}
        renewed => return renewed.map(|_| ()),
    }
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": LEASE_NAMESPACE},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now},
    });
    let lease = Object::new(value(&lease)).expect("it has a kind and a name");
    cluster.create(&lease, KUBELET, Mode::Real).await.map(|_| ())
}

/// Whether pods can be placed on a node.
pub(super) fn takes_pods(node: &Object) -> bool {
    node.label(OURS).is_some()
        && holds(node.value(), "Ready")
        && !fields::flag(node.value(), &["spec", "unschedulable"])
}

/// The address of a node: the same for the same name, from a range that leads nowhere.
pub(super) fn host_ip(node: &str) -> String {
    format!("192.0.2.{}", 1 + fields::fingerprint(node) % 250)
}
