//! Deployments: rollouts over ReplicaSets.

use std::time::Duration;

use serde_json::json;
use soll_api::Object;
use soll_yaml::{Map, Value};

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::condition::{Conditions, Said, Time, Truth, find};
use super::super::fields::{
    self, amount, controller_reference, fingerprint, flag, int, int_or, map_mut, set_label, template_hash, text, value,
};
use super::super::kind::Kind;
use super::super::node::is_held_up;
use super::super::world::World;
use super::pods::active;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";
const COMPONENT: &str = "deployment-controller";

/// A Deployment with its ReplicaSets, as far as a rollout is concerned.
struct Rollout<'w> {
    world: &'w World,
    deployment: &'w Object,
    /// The one with the Deployment's template.
    new: Option<&'w Object>,
    old: Vec<&'w Object>,
    replicas: i64,
    max_surge: i64,
    max_unavailable: i64,
    recreate: bool,
}

/// Moves a rollout one step on, and reports where it is.
pub(super) fn step(world: &World, deployment: &Object) -> Step {
    let rollout = Rollout::new(world, deployment);
    let mut step = Step::nothing();
    if flag(deployment.value(), &["spec", "paused"]) {
        rollout.scale_paused(&mut step);
    } else {
        rollout.proceed(&mut step);
    }
    rollout.report(&mut step);
    step
}

impl<'w> Rollout<'w> {
    fn new(world: &'w World, deployment: &'w Object) -> Self {
        let object = deployment.value();
        let template = template(deployment);
        let name = set_name(deployment, &template);
        let is_new = |set: &&Object| {
            // The server may have filled in more on one side than on the other: the name holds the hash.
            set.name() == name || without_hash(self::template(set)) == template
        };
        let sets = world.controlled_by(deployment, Kind::ReplicaSet).into_iter().filter(|set| !world.is_leaving(set));
        let (mut new, mut old): (Vec<_>, Vec<_>) = sets.partition(is_new);
        new.sort_by_key(|set| revision(set));
        let newest = new.pop();
        old.extend(new);
        old.sort_by_key(|set| revision(set));
        let replicas = int_or(object, &["spec", "replicas"], 1).max(0);
        let strategy = |field| object.lookup(&["spec", "strategy", "rollingUpdate", field]);
        let max_surge = amount(strategy("maxSurge"), replicas, true, "25%");
        let max_unavailable = amount(strategy("maxUnavailable"), replicas, false, "25%");
        Self {
            world,
            deployment,
            new: newest,
            old,
            replicas,
            max_surge,
            // Both zero would never get anywhere.
            max_unavailable: if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable },
            recreate: text(object, &["spec", "strategy", "type"]) == "Recreate",
        }
    }

    fn proceed(&self, step: &mut Step) {
        let Some(new) = self.new else {
            let old_pods = self.old.iter().any(|set| !self.world.controlled_by(set, Kind::Pod).is_empty());
            if self.recreate && old_pods {
                return self.scale_old_to_zero(step);
            }
            return self.create_set(step);
        };
        self.keep_revision(new, step);
        if self.recreate {
            if self.old.iter().any(|set| wanted(set) > 0) {
                return self.scale_old_to_zero(step);
            }
            let gone = self.old.iter().all(|set| active(self.world, set).is_empty());
            if gone && wanted(new) != self.replicas {
                self.scale(new, self.replicas, step);
            }
        } else if wanted(new) > self.replicas {
            self.scale(new, self.replicas, step);
        } else {
            self.scale_up(new, step);
            self.scale_down(new, step);
        }
        self.clean_up(new, step);
    }

    /// A paused Deployment makes no rollout, but follows `replicas`.
    fn scale_paused(&self, step: &mut Step) {
        let holders: Vec<_> = self.old.iter().chain(&self.new).filter(|set| wanted(set) > 0).collect();
        let target = match (holders.as_slice(), self.new) {
            ([only], _) => only,
            ([], Some(new)) => new,
            _ => return,
        };
        if wanted(target) != self.replicas {
            self.scale(target, self.replicas, step);
        }
    }

    fn create_set(&self, step: &mut Step) {
        let template = template(self.deployment);
        let name = set_name(self.deployment, &template);
        let hash = template_hash(&template);
        let total: i64 = self.old.iter().map(|set| wanted(set)).sum();
        let room = if self.recreate { self.replicas } else { self.replicas + self.max_surge - total };
        let replicas = room.clamp(0, self.replicas);
        let last = self.old.iter().map(|set| revision(set)).max().unwrap_or(0);
        let mut hashed = template;
        set_label(&mut hashed, HASH, &hash);
        let mut selector = self.deployment.value().lookup(&["spec", "selector"]).cloned().unwrap_or_else(Value::map);
        map_mut(&mut selector, &["matchLabels"]).insert(HASH, Value::str(&hash));
        let labels = hashed.lookup(&["metadata", "labels"]).cloned().unwrap_or_else(Value::map);
        let mut set = value(&json!({
            "apiVersion": Kind::ReplicaSet.api_version(),
            "kind": Kind::ReplicaSet.name(),
            "metadata": {
                "name": name,
                "namespace": self.deployment.namespace(),
                "annotations": {
                    REVISION: (last + 1).to_string(),
                    "deployment.kubernetes.io/desired-replicas": self.replicas.to_string(),
                    "deployment.kubernetes.io/max-replicas": (self.replicas + self.max_surge).to_string(),
                },
            },
            "spec": {"replicas": replicas},
        }));
        let metadata = map_mut(&mut set, &["metadata"]);
        metadata.insert("labels", labels);
        metadata.insert("ownerReferences", Value::list(vec![controller_reference(self.deployment)]));
        let spec = map_mut(&mut set, &["spec"]);
        spec.insert("selector", selector);
        spec.insert("template", hashed);
        let seconds = int(self.deployment.value(), &["spec", "minReadySeconds"]);
        if seconds > 0 {
            spec.insert("minReadySeconds", Value::from(seconds));
        }
        let object = Object::new(set).expect("it has a kind and a name");
        step.push(Action::Create { kind: Kind::ReplicaSet, object, manager: CONTROLLER_MANAGER });
        self.say_scaled(&name, "up", 0, replicas, step);
    }

    /// A template that comes back makes its ReplicaSet the newest again.
    fn keep_revision(&self, new: &Object, step: &mut Step) {
        let last = self.old.iter().map(|set| revision(set)).max().unwrap_or(0);
        let number = if revision(new) > last { revision(new) } else { last + 1 };
        for (kind, object) in [(Kind::ReplicaSet, new), (Kind::Deployment, self.deployment)] {
            if revision(object) != number {
                let mut object = object.clone();
                let annotations = map_mut(object.value_mut(), &["metadata", "annotations"]);
                annotations.insert(REVISION, Value::from(number.to_string()));
                let manager = CONTROLLER_MANAGER;
                // Through its status, an annotation of a Deployment changes without a new generation.
                step.push(match kind {
                    Kind::Deployment => Action::UpdateStatus { kind, object, manager },
                    _ => Action::Update { kind, object, manager },
                });
            }
        }
    }

    fn scale_up(&self, new: &Object, step: &mut Step) {
        let total: i64 = self.old.iter().chain(&self.new).map(|set| wanted(set)).sum();
        let room = self.replicas + self.max_surge - total;
        let more = room.min(self.replicas - wanted(new));
        if more > 0 {
            self.scale(new, wanted(new) + more, step);
        }
    }

    /// Takes pods from old ReplicaSets as far as enough stay available, those that are not available first.
    fn scale_down(&self, new: &Object, step: &mut Step) {
        let total: i64 = self.old.iter().chain(&self.new).map(|set| wanted(set)).sum();
        let least = self.replicas - self.max_unavailable;
        let new_unavailable = (wanted(new) - available(new)).max(0);
        let mut budget = total - least - new_unavailable;
        let all_available: i64 = self.old.iter().chain(&self.new).map(|set| available(set)).sum();
        let mut spare = all_available - least;
        for set in &self.old {
            let unavailable = (wanted(set) - available(set)).max(0).min(budget.max(0));
            budget -= unavailable;
            let healthy = (wanted(set) - unavailable).min(spare.max(0)).min(budget.max(0));
            spare -= healthy;
            budget -= healthy;
            if unavailable + healthy > 0 {
                self.scale(set, wanted(set) - unavailable - healthy, step);
            }
        }
    }

    fn scale_old_to_zero(&self, step: &mut Step) {
        for set in self.old.iter().filter(|set| wanted(set) > 0) {
            self.scale(set, 0, step);
        }
    }

    fn scale(&self, set: &Object, replicas: i64, step: &mut Step) {
        let (before, direction) = (wanted(set), if replicas > wanted(set) { "up" } else { "down" });
        let mut object = set.clone();
        map_mut(object.value_mut(), &["spec"]).insert("replicas", Value::from(replicas));
        step.push(Action::Update { kind: Kind::ReplicaSet, object, manager: CONTROLLER_MANAGER });
        self.say_scaled(set.name(), direction, before, replicas, step);
    }

    fn say_scaled(&self, set: &str, direction: &str, before: i64, after: i64, step: &mut Step) {
        let message = format!("Scaled {direction} replica set {set} from {before} to {after}");
        let said = Said { component: COMPONENT, warning: false, reason: "ScalingReplicaSet", message: &message };
        step.say(self.world, self.deployment, &said);
    }

    /// Deletes old ReplicaSets past the history limit, oldest first, once the rollout is complete.
    fn clean_up(&self, new: &Object, step: &mut Step) {
        let limit =
            usize::try_from(int_or(self.deployment.value(), &["spec", "revisionHistoryLimit"], 10)).unwrap_or(0);
        if available(new) < self.replicas || wanted(new) != self.replicas {
            return;
        }
        let empty: Vec<_> = self.old.iter().filter(|set| wanted(set) == 0 && held(set) == 0).collect();
        for set in empty.iter().take(empty.len().saturating_sub(limit)) {
            step.push(Action::Delete { kind: Kind::ReplicaSet, object: (**set).clone(), grace: None });
        }
    }

    fn report(&self, step: &mut Step) {
        let all = || self.old.iter().chain(&self.new);
        let updated = self.new.map_or(0, held);
        let replicas: i64 = all().map(|set| held(set)).sum();
        let ready: i64 = all().map(|set| int(set.value(), &["status", "readyReplicas"])).sum();
        let available: i64 = all().map(|set| available(set)).sum();
        let wanted: i64 = all().map(|set| wanted(set)).sum();
        let terminating: i64 = all().map(|set| int(set.value(), &["status", "terminatingReplicas"])).sum();
        let mut status = json!({
            "observedGeneration": self.deployment.generation().unwrap_or(0), "terminatingReplicas": terminating,
        });
        for (key, number) in [
            ("replicas", replicas),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (wanted - available).max(0)),
        ] {
            if number > 0 {
                status[key] = number.into();
            }
        }
        let mut status = value(&status);
        let complete =
            self.new.is_some() && updated == self.replicas && replicas == self.replicas && available == self.replicas;
        let state = format!("{replicas}/{updated}/{ready}/{available}/{}", self.new.map_or("", Object::name));
        let conditions = self.conditions(available, complete, fingerprint(&state), step);
        map_mut(&mut status, &[]).insert("conditions", conditions);
        step.set_status(Kind::Deployment, self.deployment, status, CONTROLLER_MANAGER);
    }

    fn conditions(&self, available: i64, complete: bool, state: u64, step: &mut Step) -> Value {
        let now = self.world.clock.stamp();
        let object = self.deployment.value();
        let mut conditions = Conditions::new(object, &now);
        let mut set_to = |kind: &str, truth: Truth, reason: &str, message: &str| {
            conditions.set_with(kind, truth, reason, message, Some(Time::Updated));
        };
        let mut set =
            |kind: &str, holds: bool, reason: &str, message: &str| set_to(kind, holds.into(), reason, message);
        if available >= self.replicas - if self.recreate { 0 } else { self.max_unavailable } {
            set("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.");
        } else {
            set("Available", false, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
        }
        let name =
            self.new.map_or_else(|| set_name(self.deployment, &template(self.deployment)), |set| set.name().to_owned());
        let live = find(object, "Progressing");
        let was_complete = live.is_some_and(|live| {
            text(live, &["reason"]) == "NewReplicaSetAvailable"
                && text(live, &["message"]).contains(&format!("\"{name}\""))
        });
        // A rollout that was complete stays so when pods fail later.
        if flag(object, &["spec", "paused"]) {
            set_to("Progressing", Truth::Unknown, "DeploymentPaused", "Deployment is paused");
        } else if complete || was_complete {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            set("Progressing", true, "NewReplicaSetAvailable", &message);
        } else if self.is_overdue(state, step) {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            set("Progressing", false, "ProgressDeadlineExceeded", &message);
        } else if self.new.is_none() {
            set("Progressing", true, "NewReplicaSetCreated", &format!("Created new replica set \"{name}\""));
        } else {
            set("Progressing", true, "ReplicaSetUpdated", &format!("ReplicaSet \"{name}\" is progressing."));
        }
        conditions.into_value()
    }

    /// Whether nothing has moved for longer than the Deployment allows.
    ///
    /// Simulated time runs on while a busy machine has no time for the simulation: it counts only against pods that
    /// something holds up. The others have real time, in which they get there.
    fn is_overdue(&self, state: u64, step: &mut Step) -> bool {
        let seconds = int_or(self.deployment.value(), &["spec", "progressDeadlineSeconds"], 600);
        let deadline = Duration::from_secs(u64::try_from(seconds).unwrap_or(600));
        let clock = &self.world.clock;
        let lasted = clock.lasted(self.deployment.uid(), "progress", state);
        if lasted < deadline {
            step.again(clock.really(deadline - lasted));
            return false;
        }
        let really = clock.really(lasted);
        let pods = self.new.map(|new| active(self.world, new)).unwrap_or_default();
        if really >= deadline || pods.iter().any(|pod| is_held_up(self.world, pod, lasted)) {
            return true;
        }
        step.again(deadline - really);
        false
    }
}

fn template(object: &Object) -> Value {
    object.value().lookup(&["spec", "template"]).cloned().unwrap_or_else(Value::map)
}

fn without_hash(mut template: Value) -> Value {
    if template.lookup(&["metadata", "labels", HASH]).is_some() {
        fields::map_mut(&mut template, &["metadata", "labels"]).remove(HASH);
        if template.lookup(&["metadata", "labels"]).and_then(Value::as_map).is_some_and(Map::is_empty) {
            fields::map_mut(&mut template, &["metadata"]).remove("labels");
        }
    }
    template
}

fn set_name(deployment: &Object, template: &Value) -> String {
    format!("{}-{}", deployment.name(), template_hash(template))
}

fn revision(object: &Object) -> i64 {
    object.annotation(REVISION).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// How many pods a ReplicaSet shall have.
fn wanted(set: &Object) -> i64 {
    int_or(set.value(), &["spec", "replicas"], 1)
}

/// How many pods a ReplicaSet has.
fn held(set: &Object) -> i64 {
    int(set.value(), &["status", "replicas"])
}

fn available(set: &Object) -> i64 {
    int(set.value(), &["status", "availableReplicas"])
}

#[cfg(test)]
mod tests {
    use super::super::super::Controllers;
    use super::super::super::queue::Queue;
    use super::*;
    use tokio::time::Instant;

    /// How the rollout of a Deployment with one pod stands when its deadline has passed in simulated time, and the pod
    /// shows no more than that it has a node.
    fn progress(image: &str) -> String {
        let object = |object: serde_json::Value| Object::new(value(&object)).expect("an object");
        let template = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image}]},
        });
        let owned = |kind: &str, name: &str, uid: &str, by: (&str, &str)| {
            let owner = json!({"apiVersion": "apps/v1", "kind": by.0, "name": by.1, "uid": by.1, "controller": true});
            json!({"name": name, "namespace": "n", "uid": uid, "resourceVersion": "1", "ownerReferences": [owner], "labels": {"kind": kind}})
        };
        let deployment = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "n", "uid": "web", "resourceVersion": "1"},
            "spec": {"replicas": 1, "progressDeadlineSeconds": 30, "template": template},
        }));
        let set = object(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": owned("set", "web-1", "set", ("Deployment", "web")),
            "spec": {"replicas": 1, "template": template}, "status": {"replicas": 1},
        }));
        let pod = object(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": owned("pod", "web-1-a", "pod", ("ReplicaSet", "set")),
            "spec": {"nodeName": "node", "containers": template["spec"]["containers"]},
        }));
        let (mut world, mut queue) = (World::new(1000.0, Controllers::Simulated), Queue::default());
        for (kind, object) in [(Kind::Deployment, &deployment), (Kind::ReplicaSet, &set), (Kind::Pod, &pod)] {
            world.insert(kind, object, &mut queue);
        }
        super::super::super::node::step(&world, Kind::Pod, &pod);
        step(&world, &deployment);
        let placed = Instant::now();
        while placed.elapsed() < Duration::from_millis(40) {
            std::thread::yield_now();
        }
        world.clock.tick();
        let written = step(&world, &deployment).actions.into_iter().find_map(|action| match action {
            Action::UpdateStatus { object, .. } => find(object.value(), "Progressing").cloned(),
            _ => None,
        });
        text(&written.expect("a condition"), &["reason"]).to_owned()
    }

    #[test]
    fn a_deadline_counts_against_pods_that_something_holds_up() {
        assert_eq!(progress("example.org/web:sim-fail-pull"), "ProgressDeadlineExceeded");
        assert_eq!(progress("example.org/web:1"), "ReplicaSetUpdated", "only the simulation is late");
    }
}
