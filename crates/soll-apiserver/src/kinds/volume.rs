//! Volumes: what they are made of.

use soll_yaml::Value;

use super::amount::nanos;
use super::checks::{self, invalid, list, named, one_of, optional, quoted, required, text};
use super::{child, default, spec_of, spec_without, storage};
use crate::names;
use crate::refusal::{Cause, shown};

/// What a volume can be made of, in the order in which Kubernetes looks.
const SOURCES: [&str; 22] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "hostPath",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
    "image",
];
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub(super) fn settle(object: &mut Value) {
    let spec = spec_of(object);
    default(spec, "volumeMode", "Filesystem");
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    if let Some(path) = child(spec, "hostPath") {
        default(path, "type", "");
    }
}

/// What users of a volume are told of its policy.
pub(super) fn warn(volume: &Value) -> Option<String> {
    let recycles = volume.lookup_str(&["spec", "persistentVolumeReclaimPolicy"]) == Some("Recycle");
    recycles.then(|| {
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use \
         dynamic provisioning."
            .to_owned()
    })
}

/// What is wrong with a list of access modes.
pub(super) fn validate_modes(modes: &[Value], missing: &str) -> Vec<Cause> {
    let modes: Vec<&str> = modes.iter().filter_map(Value::as_str).collect();
    let mut causes: Vec<_> = modes.iter().filter_map(|mode| one_of("spec.accessModes", mode, &MODES)).collect();
    if modes.is_empty() {
        causes.push(Cause::required("spec.accessModes", missing));
    }
    let is_alone = |mode: &&str| *mode == "ReadWriteOncePod";
    if modes.iter().any(is_alone) && modes.iter().any(|mode| !is_alone(mode) && MODES.contains(mode)) {
        causes.push(Cause::forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes"));
    }
    causes
}

pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = validate_modes(list(&spec, &["accessModes"]), "");
    causes.extend(validate_capacity(spec.get("capacity")));
    let policy = text(&spec, &["persistentVolumeReclaimPolicy"]);
    causes.extend(one_of("spec.persistentVolumeReclaimPolicy", policy, &["Delete", "Recycle", "Retain"]));
    causes.extend(one_of("spec.volumeMode", text(&spec, &["volumeMode"]), &["Block", "Filesystem"]));
    let class = text(&spec, &["storageClassName"]);
    causes.extend(optional("spec.storageClassName", class, names::subdomain));
    let sources: Vec<_> = SOURCES.iter().filter_map(|name| Some((*name, spec.get(name)?))).collect();
    match sources.first() {
        None => causes.push(Cause::required("spec", "must specify a volume type")),
        Some((name, source)) => causes.extend(validate_source(name, source)),
    }
    let more = sources.iter().skip(1);
    causes.extend(
        more.map(|(name, _)| Cause::forbidden(format!("spec.{name}"), "may not specify more than 1 volume type")),
    );
    if policy == "Recycle" && spec.lookup_str(&["hostPath", "path"]).is_some_and(is_root) {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        causes.push(Cause::forbidden("spec.persistentVolumeReclaimPolicy", why));
    }
    match spec.get("nodeAffinity") {
        Some(affinity) => causes.extend(validate_nodes(affinity)),
        None if spec.get("local").is_some() => {
            causes.push(Cause::required("spec.nodeAffinity", "Local volume requires node affinity"));
        }
        None => {}
    }
    causes
}

fn is_root(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| part.is_empty() || part == ".")
}

fn validate_capacity(capacity: Option<&Value>) -> Vec<Cause> {
    let entries = capacity.and_then(Value::as_map).into_iter().flatten();
    let mut causes = Vec::new();
    let mut names = Vec::new();
    for entry in entries {
        let (name, amount) = (entry.key.as_str(), entry.value.as_str().unwrap_or_default());
        names.push(name);
        let field = format!("spec.capacity[{name}]");
        let much = nanos(&entry.value);
        if much < 0 {
            let whole = much.div_euclid(1_000_000_000).to_string();
            causes.push(Cause::invalid(&*field, &whole, "must be a valid resource quantity"));
        }
        if much <= 0 {
            causes.push(Cause::invalid(field, &quoted(amount), "must be greater than zero"));
        }
    }
    if names.is_empty() {
        causes.push(Cause::required("spec.capacity", ""));
    }
    if names != ["storage"] {
        let all = capacity.map_or_else(|| "null".into(), shown);
        causes.push(Cause::unsupported("spec.capacity", &all, &["storage"]));
    }
    causes
}

fn validate_source(name: &str, source: &Value) -> Vec<Cause> {
    let at = format!("spec.{name}");
    let of = |field: &str| text(source, &[field]);
    let field = |field: &str| format!("{at}.{field}");
    let path = of("path");
    match name {
        "hostPath" => {
            let place = required(field("path"), path).or_else(|| no_way_up(field("path"), path));
            place.into_iter().chain(one_of(field("type"), of("type"), &HOST_PATHS)).collect()
        }
        "local" => required(field("path"), path).or_else(|| no_way_up(field("path"), path)).into_iter().collect(),
        "nfs" => {
            let relative = || invalid(field("path"), path, Err("must be an absolute path".to_owned()));
            let place = required(field("path"), path).or_else(|| if path.starts_with('/') { None } else { relative() });
            required(field("server"), of("server")).into_iter().chain(place).collect()
        }
        "csi" => {
            let driver = storage::driver_name(field("driver"), of("driver"));
            let handle = required(field("volumeHandle"), of("volumeHandle"));
            let secrets = [
                "controllerPublishSecretRef",
                "controllerExpandSecretRef",
                "nodePublishSecretRef",
                "nodeExpandSecretRef",
            ];
            let secrets = secrets.into_iter().filter_map(|name| Some((name, source.get(name)?)));
            let parts = secrets.flat_map(|(name, secret)| {
                let at = field(name);
                ["name", "namespace"]
                    .into_iter()
                    .filter_map(move |part| named(format!("{at}.{part}"), text(secret, &[part]), |_| Ok(())))
            });
            driver.into_iter().chain(handle).chain(parts).collect()
        }
        _ => Vec::new(),
    }
}

fn no_way_up(field: String, path: &str) -> Option<Cause> {
    let goes_up = path.split('/').any(|part| part == "..");
    goes_up.then(|| Cause::invalid(field, &quoted(path), "must not contain '..'"))
}

/// On which nodes a volume can be used.
fn validate_nodes(affinity: &Value) -> Vec<Cause> {
    let at = "spec.nodeAffinity.required";
    let Some(required) = affinity.get("required") else {
        return vec![Cause::required(at, "must specify required node constraints")];
    };
    checks::node_selector(at, required)
}

/// What is wrong with the change of a volume: it stays what it is made of.
pub(super) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    const NOT_THE_SOURCE: [&str; 9] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    ];
    let source = |object: &Value| {
        let mut source = spec_without(object, &NOT_THE_SOURCE);
        if let Some(driver) = child(source.make_map(), "csi") {
            // This may still be named later.
            driver.remove("controllerExpandSecretRef");
        }
        source
    };
    let mut causes = Vec::new();
    if source(old) != source(object) {
        let why = "spec.persistentvolumesource is immutable after creation";
        causes.push(Cause::forbidden("spec.persistentvolumesource", why));
    }
    let differs = |field: &str| old.lookup(&["spec", field]) != object.lookup(&["spec", field]);
    let now = |field: &str| object.lookup(&["spec", field]).map_or_else(|| "null".into(), shown);
    if differs("volumeMode") {
        causes.push(Cause::invalid("volumeMode", &now("volumeMode"), "field is immutable"));
    }
    if old.lookup(&["spec", "nodeAffinity"]).is_some() && differs("nodeAffinity") {
        let why = "field is immutable, except for updating from beta label to GA";
        causes.push(Cause::invalid("nodeAffinity", &now("nodeAffinity"), why));
    }
    causes
}
