//! The status of a pod on a node.

use serde_json::json;
use soll_api::Object;
use soll_yaml::{Map, Value};

use super::super::condition::{Conditions, Time};
use super::super::fields::{self, fingerprint, list, text, value};
use super::life::{Life, back_off};
use super::machine::host_ip;

/// What is reported.
pub(super) struct Report<'r> {
    pub(super) pod: &'r Object,
    pub(super) life: Life,
    /// What does not exist, if that is what keeps it from starting.
    pub(super) missing: Option<&'r str>,
    pub(super) now: &'r str,
}

/// The status that follows from where a pod is in its life. Times and addresses of the live status stay.
pub(super) fn status(report: &Report<'_>) -> Value {
    let (pod, life) = (report.pod.value(), report.life);
    let initialized = !matches!(life, Life::Creating | Life::PullFails { .. } | Life::ConfigError) || !has_init(pod);
    let ready = life == Life::Running { ready: true };
    let phase = match life {
        Life::Creating | Life::PullFails { .. } | Life::ConfigError => "Pending",
        Life::Running { .. } | Life::CrashLoop { .. } => "Running",
        Life::Finished { success: true } => "Succeeded",
        Life::Finished { success: false } => "Failed",
    };
    // The fields that the API server has set, such as qosClass, stay.
    let mut status = pod.get("status").cloned().unwrap_or_else(Value::map);
    let containers = container_statuses(report, "containers", "containerStatuses");
    let init = container_statuses(report, "initContainers", "initContainerStatuses");
    let conditions = conditions(report, initialized, ready, &containers);
    let fields = status.make_map();
    fields.insert("phase", Value::str(phase));
    fields.insert("conditions", conditions);
    let host = host_ip(text(pod, &["spec", "nodeName"]));
    fields.insert("hostIPs", value(&json!([{ "ip": host }])));
    fields.insert("hostIP", Value::from(host.clone()));
    fields.get_or_insert_with("startTime", || Value::str(report.now));
    if life != Life::Creating {
        let on_host = fields::flag(pod, &["spec", "hostNetwork"]);
        let ip = if on_host { host } else { pod_ip(report.pod) };
        fields.insert("podIPs", value(&json!([{ "ip": ip }])));
        fields.insert("podIP", Value::from(ip));
    }
    fields.insert("containerStatuses", Value::list(containers));
    if !init.is_empty() {
        fields.insert("initContainerStatuses", Value::list(init));
    }
    status
}

fn has_init(pod: &Value) -> bool {
    !list(pod, &["spec", "initContainers"]).is_empty()
}

fn conditions(report: &Report<'_>, initialized: bool, ready: bool, containers: &[Value]) -> Value {
    let finished = matches!(report.life, Life::Finished { .. });
    let succeeded = report.life == Life::Finished { success: true };
    let unready: Vec<_> =
        containers.iter().filter(|c| !fields::flag(c, &["ready"])).map(|c| text(c, &["name"])).collect();
    let unready = format!("containers with unready status: [{}]", unready.join(" "));
    let mut conditions = Conditions::keeping(report.pod.value(), report.now);
    let mut set = |kind: &str, holds: bool, reason: &str, message: &str| {
        conditions.set_with(kind, holds.into(), reason, message, Some(Time::NeverProbed));
    };
    let sandbox = !finished && report.life != Life::Creating;
    set("PodReadyToStartContainers", sandbox, "", "");
    match (initialized, succeeded) {
        (true, true) => set("Initialized", true, "PodCompleted", ""),
        (true, false) => set("Initialized", true, "", ""),
        (false, _) => set("Initialized", false, "ContainersNotInitialized", "containers with incomplete status"),
    }
    for kind in ["Ready", "ContainersReady"] {
        match report.life {
            _ if ready => set(kind, true, "", ""),
            Life::Finished { success: true } => set(kind, false, "PodCompleted", ""),
            Life::Finished { success: false } => set(kind, false, "PodFailed", ""),
            _ => set(kind, false, "ContainersNotReady", &unready),
        }
    }
    // A pod that was created with a node was never placed.
    set("PodScheduled", true, "", "");
    conditions.into_value()
}

fn container_statuses(report: &Report<'_>, field: &str, status_field: &str) -> Vec<Value> {
    let live = list(report.pod.value(), &["status", status_field]);
    let containers = list(report.pod.value(), &["spec", field]);
    let statuses = containers.iter().map(|container| {
        let live = live.iter().find(|status| text(status, &["name"]) == text(container, &["name"]));
        container_status(report, container, live, field == "initContainers")
    });
    statuses.collect()
}

fn container_status(report: &Report<'_>, container: &Value, live: Option<&Value>, init: bool) -> Value {
    let name = text(container, &["name"]);
    let image = text(container, &["image"]);
    let id = format!("sim://{:016x}", fingerprint(&format!("{}{name}", report.pod.uid())));
    let live_time = |state: &str, field: &str| {
        live.and_then(|live| live.lookup_str(&["state", state, field])).unwrap_or(report.now).to_owned()
    };
    let waiting = |reason: &str, message: Option<String>| {
        let mut state = json!({ "reason": reason });
        if let Some(message) = message {
            state["message"] = message.into();
        }
        json!({ "waiting": state })
    };
    let running = || json!({ "running": { "startedAt": live_time("running", "startedAt") } });
    let ended = |code: i64, reason: &str| {
        json!({ "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": live_time("terminated", "startedAt"),
            "finishedAt": live_time("terminated", "finishedAt"),
            "containerID": id,
        } })
    };
    let (mut restarts, mut last) = (0, json!({}));
    let state = match report.life {
        Life::Creating if has_init(report.pod.value()) && !init => waiting("PodInitializing", None),
        Life::Creating => waiting("ContainerCreating", None),
        Life::PullFails { backing_off: false } => {
            waiting("ErrImagePull", Some(format!("failed to pull image \"{image}\": not found (simulated)")))
        }
        Life::PullFails { backing_off: true } => {
            waiting("ImagePullBackOff", Some(format!("Back-off pulling image \"{image}\": not found (simulated)")))
        }
        Life::ConfigError => {
            waiting("CreateContainerConfigError", Some(report.missing.unwrap_or("ordered by annotation").to_owned()))
        }
        _ if init => ended(0, "Completed"),
        Life::Running { .. } => running(),
        Life::CrashLoop { restarts: times, out_of_memory } => {
            restarts = times;
            let (code, reason) = if out_of_memory { (137, "OOMKilled") } else { (1, "Error") };
            last = live.and_then(|live| kept_end(live, times)).unwrap_or_else(|| ended(code, reason));
            let pod = format!("{}_{}({})", report.pod.name(), report.pod.namespace(), report.pod.uid());
            let pause = back_off(times).as_secs();
            let pause = if pause < 60 { format!("{pause}s") } else { format!("{}m{}s", pause / 60, pause % 60) };
            waiting("CrashLoopBackOff", Some(format!("back-off {pause} restarting failed container={name} pod={pod}")))
        }
        Life::Finished { success: true } => ended(0, "Completed"),
        Life::Finished { success: false } => ended(1, "Error"),
    };
    let pulled = !matches!(report.life, Life::Creating | Life::PullFails { .. } | Life::ConfigError);
    let is_running = state.get("running").is_some();
    let mut status = value(&json!({
        "name": name,
        "image": image,
        "imageID": if pulled { format!("sim://{:016x}", fingerprint(image)) } else { String::new() },
        "ready": if init { pulled } else { report.life == Life::Running { ready: true } },
        "started": is_running,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }));
    if pulled {
        fields::map_mut(&mut status, &[]).insert("containerID", Value::from(id));
    }
    status
}

/// The last end of a container, if it has not been restarted since.
fn kept_end(live: &Value, restarts: i64) -> Option<serde_json::Value> {
    if fields::int(live, &["restartCount"]) != restarts {
        return None;
    }
    let last = live.get("lastState").filter(|last| last.as_map().is_some_and(|last| !Map::is_empty(last)))?;
    serde_json::from_str(&soll_yaml::to_json(last)).ok()
}

/// The address of a pod: kept, or drawn from the range of pods by its uid.
fn pod_ip(pod: &Object) -> String {
    let kept = text(pod.value(), &["status", "podIP"]);
    if !kept.is_empty() {
        return kept.to_owned();
    }
    let number = fingerprint(pod.uid());
    format!("10.244.{}.{}", number % 256, 1 + number / 256 % 254)
}
