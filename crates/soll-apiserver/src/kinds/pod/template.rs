//! The defaults of pod specs, wherever they stand.

use soll_yaml::{Map, Value};

use crate::kinds::{child, default, items};

/// Permissions of projected files: 0644.
const FILE_MODE: i64 = 0o644;

/// Fills in what a pod spec leaves open.
pub(crate) fn settle(spec: &mut Map) {
    default(spec, "restartPolicy", "Always");
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "terminationGracePeriodSeconds", 30);
    spec.get_or_insert_with("securityContext", Value::map);
    // The old name of the field is still shown.
    if let Some(account) = spec.get("serviceAccountName").or_else(|| spec.get("serviceAccount")).cloned() {
        spec.insert("serviceAccountName", account.clone());
        spec.insert("serviceAccount", account);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    items(spec, "volumes").for_each(volume);
}

fn container(container: &mut Map) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if pulls_always(image) { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", policy);
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    items(container, "ports").for_each(|port| default(port, "protocol", "TCP"));
    for env in items(container, "env") {
        if let Some(from) = child(env, "valueFrom") {
            refer(from);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = child(container, name) {
            default(probe, "timeoutSeconds", 1);
            default(probe, "periodSeconds", 10);
            default(probe, "successThreshold", 1);
            default(probe, "failureThreshold", 3);
            handler(probe);
        }
    }
    if let Some(lifecycle) = child(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            child(lifecycle, name).into_iter().for_each(handler);
        }
    }
}

fn handler(handler: &mut Map) {
    if let Some(get) = child(handler, "httpGet") {
        default(get, "path", "/");
        default(get, "scheme", "HTTP");
    }
    if let Some(grpc) = child(handler, "grpc") {
        default(grpc, "service", "");
    }
}

/// Images without a tag, and `latest`, are pulled each time; a digest counts as a tag.
fn pulls_always(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Map) {
    if volume.iter().all(|entry| entry.key == "name") {
        volume.insert("emptyDir", Value::map());
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = child(volume, source) {
            default(source, "defaultMode", FILE_MODE);
        }
    }
    child(volume, "downwardAPI").into_iter().for_each(downward);
    if let Some(projected) = child(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(token) = child(source, "serviceAccountToken") {
                default(token, "expirationSeconds", 3600);
            }
            child(source, "downwardAPI").into_iter().for_each(downward);
        }
    }
    if let Some(path) = child(volume, "hostPath") {
        default(path, "type", "");
    }
    if let Some(claim) = child(volume, "ephemeral").and_then(|volume| child(volume, "volumeClaimTemplate"))
        && let Some(spec) = child(claim, "spec")
    {
        default(spec, "volumeMode", "Filesystem");
    }
}

fn downward(source: &mut Map) {
    items(source, "items").for_each(refer);
}

/// What is taken from the pod itself: a field, or a number of its resources.
fn refer(from: &mut Map) {
    if let Some(field) = child(from, "fieldRef") {
        default(field, "apiVersion", "v1");
    }
    if let Some(resource) = child(from, "resourceFieldRef") {
        default(resource, "divisor", "0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_move_is_pulled_always() {
        for image in ["nginx", "nginx:latest", "registry:5000/nginx"] {
            assert!(pulls_always(image), "{image}");
        }
        for image in ["nginx:1", "registry:5000/nginx:1", "nginx@sha256:00"] {
            assert!(!pulls_always(image), "{image}");
        }
    }
}
