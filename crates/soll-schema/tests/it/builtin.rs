use soll_schema::{ListType, Scalar, Schemas, Scope, Shape, TypeRef, Verb};

fn deployment() -> TypeRef<'static> {
    Schemas::builtin().type_of("apps", "v1", "Deployment").expect("a builtin kind")
}

fn pod_spec() -> TypeRef<'static> {
    deployment().lookup(&["spec", "template", "spec"]).expect("a declared field")
}

#[test]
fn walks_to_leaves() {
    let container = pod_spec().field("containers").expect("declared").items().expect("a list");
    assert_eq!(container.definition(), Some("io.k8s.api.core.v1.Container"));
    let scalar = |path: &[&str]| container.lookup(path).expect("declared").scalar();
    assert_eq!(scalar(&["image"]), Some(Scalar::String));
    assert_eq!(scalar(&["resources", "limits", "cpu"]), Some(Scalar::Quantity));
    assert_eq!(scalar(&["livenessProbe", "httpGet", "port"]), Some(Scalar::IntOrString));
    assert_eq!(scalar(&["securityContext", "runAsUser"]), Some(Scalar::Int64));
    let replicas = deployment().lookup(&["spec", "replicas"]).expect("declared");
    assert_eq!(replicas.scalar(), Some(Scalar::Int32));
    let created = deployment().lookup(&["metadata", "creationTimestamp"]).expect("declared");
    assert_eq!(created.scalar(), Some(Scalar::Time));
    assert!(container.field("imagee").is_none());
}

#[test]
fn knows_how_lists_merge() {
    let containers = pod_spec().field("containers").expect("declared");
    assert_eq!(containers.list_type(), ListType::Map);
    assert_eq!(containers.map_keys().collect::<Vec<_>>(), ["name"]);
    assert_eq!(containers.patch_merge_key(), Some("name"));
    assert!(containers.patch_strategy().merge);

    let ports = containers.items().expect("a list").field("ports").expect("declared");
    assert_eq!(ports.map_keys().collect::<Vec<_>>(), ["containerPort", "protocol"]);
    assert_eq!(ports.patch_merge_key(), Some("containerPort"));
    let protocol = ports.items().expect("a list").struct_field("protocol").expect("declared");
    assert_eq!(protocol.default, Some("\"TCP\""));

    let volumes = pod_spec().field("volumes").expect("declared");
    assert!(volumes.patch_strategy().merge && volumes.patch_strategy().retain_keys);
    let command = containers.items().expect("a list").field("command").expect("declared");
    assert_eq!((command.list_type(), command.patch_strategy().merge), (ListType::Atomic, false));
    let finalizers = deployment().lookup(&["metadata", "finalizers"]).expect("declared");
    assert_eq!((finalizers.list_type(), finalizers.patch_strategy().merge), (ListType::Set, true));
}

#[test]
fn a_field_may_be_granular_though_its_type_is_atomic() {
    let schemas = Schemas::builtin();
    let volume = schemas.type_of("", "v1", "PersistentVolume").expect("builtin");
    assert!(!volume.lookup(&["spec", "claimRef"]).expect("declared").is_atomic());
    let event = schemas.type_of("", "v1", "Event").expect("builtin");
    assert!(event.field("involvedObject").expect("declared").is_atomic());
    assert!(deployment().lookup(&["spec", "selector"]).expect("declared").is_atomic());
}

#[test]
fn value_structs_are_marked_as_always_written() {
    let emitted = |at: TypeRef<'static>, name: &str| at.struct_field(name).expect("declared").emitted;
    assert!(emitted(deployment(), "status") && emitted(deployment(), "metadata"));
    let container = pod_spec().field("containers").and_then(|list| list.items()).expect("declared");
    assert!(emitted(container, "resources") && !emitted(container, "image"));
    assert!(container.struct_field("name").expect("declared").required);
}

#[test]
fn discovery_facts_are_there() {
    let schemas = Schemas::builtin();
    let deployments = schemas.resource("apps", "v1", "deployments").expect("builtin");
    assert_eq!((deployments.kind(), deployments.singular()), ("Deployment", "deployment"));
    assert_eq!(deployments.short_names(), ["deploy"]);
    assert_eq!(deployments.categories(), ["all"]);
    assert_eq!(deployments.scope(), Scope::Namespaced);
    assert!(deployments.verbs().contains(Verb::Watch));
    let scale = deployments.subresource("scale").expect("has a scale");
    assert_eq!(scale.kind(), ("autoscaling", "v1", "Scale"));
    assert_eq!(scale.verbs().names(), ["get", "patch", "update"]);
    let pods = schemas.resource("", "v1", "pods").expect("builtin");
    assert!(pods.subresource("eviction").is_some() && pods.subresource("ephemeralcontainers").is_some());
    let reviews = schemas.resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews").expect("builtin");
    assert_eq!(reviews.verbs().names(), ["create"]);
}

#[test]
fn every_kind_that_has_objects_has_a_type_with_metadata() {
    let mut seen = 0;
    for gv in Schemas::builtin().group_versions() {
        for resource in gv.resources().filter(|resource| resource.verbs().contains(Verb::List)) {
            let kind = Schemas::builtin().kind(gv.group(), gv.version(), resource.kind());
            let kind = kind.unwrap_or_else(|| panic!("{resource:?} has no kind"));
            let metadata = kind.type_ref().field("metadata").expect("objects have metadata");
            assert_eq!(metadata.definition(), Some("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
            assert_eq!(kind.resource().expect("its resource").plural(), resource.plural());
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} kinds");
}

#[test]
fn scopes_hold_for_any_version() {
    let scope = |group, kind| Schemas::builtin().scope(group, kind);
    assert_eq!(scope("", "Namespace"), Some(Scope::Cluster));
    assert_eq!(scope("batch", "CronJob"), Some(Scope::Namespaced));
    assert_eq!(scope("policy", "PodSecurityPolicy"), Some(Scope::Cluster));
    assert_eq!(scope("rbac.authorization.k8s.io", "ClusterRole"), Some(Scope::Cluster));
    assert_eq!(scope("example.com", "Widget"), None);
}

#[test]
fn every_definition_can_be_walked() {
    for (name, of) in Schemas::builtin().definitions() {
        assert_eq!(of.definition(), Some(name));
        let mut last = "";
        for field in of.fields() {
            assert!(last < field.name, "{name}: {last} before {}", field.name);
            last = field.name;
            assert!(of.struct_field(field.name).is_some_and(|found| found.number == field.number));
            if field.of.shape() == Shape::List {
                let item = field.of.items().expect("a list has items");
                assert!(field.of.map_keys().all(|key| item.field(key).is_some()), "{name}.{}", field.name);
            }
        }
    }
}

#[test]
fn protobuf_numbers_are_known_also_of_inlined_fields() {
    let spec = deployment().field("spec").expect("declared");
    assert_eq!(spec.struct_field("replicas").expect("declared").number, 1);
    let volume = pod_spec().field("volumes").and_then(|list| list.items()).expect("declared");
    let secret = volume.struct_field("secret").expect("declared");
    assert_eq!((secret.through, secret.number), (2, 6));
}

#[test]
fn former_versions_merge_as_todays_do() {
    let schemas = Schemas::builtin();
    let cron_job = schemas.merge_type("batch", "v1beta1", "CronJob").expect("formerly served");
    let containers = ["spec", "jobTemplate", "spec", "template", "spec", "containers"];
    assert_eq!(cron_job.lookup(&containers).expect("declared").patch_merge_key(), Some("name"));
    assert!(schemas.merge_type("apps", "v1beta1", "Deployment").is_none());
    assert!(schemas.merge_type("apps", "v1", "Deployment").is_some());
}
