"""What programs do with the Python client, in the namespace that the argument names, on the cluster of $KUBECONFIG.

Says what was done and ends with 0 if the cluster did as the library expects.
"""

import json
import sys
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError

# The longest that a watch waits; it ends as soon as it has seen what it is for.
PATIENCE = 120


def expect(wanted, found):
    if wanted != found:
        raise AssertionError(f"expected {wanted!r}, found {found!r}")


def refused(status, reason, call, *arguments, **options):
    """Makes a call that the server must refuse; returns what it says."""
    try:
        call(*arguments, **options)
    except ApiException as error:
        expect((status, reason), (error.status, json.loads(error.body)["reason"]))
        return error.body
    raise AssertionError(f"{call} was not refused")


def until(wanted, list_call, *arguments, **options):
    """Watches until an object is as wanted; the types of the events that were seen, and the last object."""
    watching, seen = watch.Watch(), []
    for event in watching.stream(list_call, *arguments, timeout_seconds=PATIENCE, **options):
        seen.append(event["type"])
        if wanted(event):
            watching.stop()
            return seen, event["object"]
    raise AssertionError(f"{list_call} told only {seen}")


def config_map(name, value, **labels):
    return {"metadata": {"name": name, "labels": labels}, "data": {"key": value}}


def discovery(ns):
    expect("1", client.VersionApi().get_code().major)
    groups = [group.name for group in client.ApisApi().get_api_versions().groups]
    for wanted in ["apps", "batch", "rbac.authorization.k8s.io", "apiextensions.k8s.io"]:
        assert wanted in groups, groups
    names = [resource.name for resource in client.CoreV1Api().get_api_resources().resources]
    assert "pods" in names and "pods/log" in names, names


def objects(ns):
    core = client.CoreV1Api()
    made = core.create_namespaced_config_map(ns, config_map("one", "a"))
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo is not None
    body = refused(409, "AlreadyExists", core.create_namespaced_config_map, ns, config_map("one", "b"))
    assert 'configmaps \\"one\\" already exists' in body, body
    refused(404, "NotFound", core.read_namespaced_config_map, "none", ns)
    refused(422, "Invalid", core.create_namespaced_config_map, ns, config_map("Bad_Name", "b"))

    stale = core.read_namespaced_config_map("one", ns)
    patched = core.patch_namespaced_config_map("one", ns, {"data": {"more": "b"}})
    expect({"key": "a", "more": "b"}, patched.data)
    refused(409, "Conflict", core.replace_namespaced_config_map, "one", ns, stale)
    patched.data = {"key": "c"}
    expect({"key": "c"}, core.replace_namespaced_config_map("one", ns, patched).data)
    operations = [{"op": "test", "path": "/data/key", "value": "c"}, {"op": "remove", "path": "/data"}]
    expect(None, core.patch_namespaced_config_map("one", ns, operations).data)
    rehearsed = core.patch_namespaced_config_map("one", ns, {"data": {"key": "d"}}, dry_run="All")
    expect(({"key": "d"}, None), (rehearsed.data, core.read_namespaced_config_map("one", ns).data))

    secret = core.create_namespaced_secret(ns, {"metadata": {"generateName": "made-"}, "stringData": {"word": "x"}})
    assert secret.metadata.name.startswith("made-") and secret.data == {"word": "eA=="}, secret
    event = client.CoreV1Event(
        metadata=client.V1ObjectMeta(name="told"),
        involved_object=client.V1ObjectReference(kind="ConfigMap", name="one", namespace=ns),
        reason="Said", message="something", type="Normal",
    )
    core.create_namespaced_event(ns, event)
    told = core.list_namespaced_event(ns, field_selector="involvedObject.name=one,reason=Said").items
    expect(["told"], [event.metadata.name for event in told])
    status = core.delete_namespaced_config_map("one", ns)
    expect("Success", status.status)


def lists_and_watches(ns):
    core = client.CoreV1Api()
    selected = {"label_selector": "of=many"}
    for number in range(7):
        core.create_namespaced_config_map(ns, config_map(f"many-{number}", "a", of="many"))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(ns, limit=3, _continue=token, **selected)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    expect([f"many-{number}" for number in range(7)], names)

    since = page.metadata.resource_version
    core.create_namespaced_config_map(ns, config_map("late", "a", of="many"))
    core.patch_namespaced_config_map("late", ns, {"data": {"key": "b"}})
    core.delete_namespaced_config_map("late", ns)
    gone = lambda event: event["type"] == "DELETED"
    seen, last = until(gone, core.list_namespaced_config_map, ns, resource_version=since, **selected)
    expect((["ADDED", "MODIFIED", "DELETED"], {"key": "b"}), (seen, last.data))
    # From the start: what there is comes first.
    seen, _ = until(lambda event: event["object"].metadata.name == "many-6", core.list_namespaced_config_map, ns, **selected)
    expect(["ADDED"] * 7, seen)

    core.delete_collection_namespaced_config_map(ns, **selected)
    expect([], core.list_namespaced_config_map(ns, **selected).items)


def workloads(ns):
    apps, core = client.AppsV1Api(), client.CoreV1Api()
    container = client.V1Container(name="web", image="example.com/web:1", ports=[client.V1ContainerPort(container_port=80)])
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": "web"}), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels={"app": "web"}), template=template)
    apps.create_namespaced_deployment(ns, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec))
    ready = lambda count: lambda event: event["object"].status.available_replicas == count
    named = {"field_selector": "metadata.name=web"}
    until(ready(2), apps.list_namespaced_deployment, ns, **named)
    scaled = apps.patch_namespaced_deployment_scale("web", ns, {"spec": {"replicas": 3}})
    expect(3, scaled.spec.replicas)
    until(ready(3), apps.list_namespaced_deployment, ns, **named)
    pods = core.list_namespaced_pod(ns, label_selector="app in (web)").items
    expect({"Running"}, {pod.status.phase for pod in pods})
    changed = apps.patch_namespaced_deployment("web", ns, {"spec": {"selector": {"matchLabels": {"app": "web"}}, "paused": True}})
    expect((True, 2 + 1), (changed.spec.paused, changed.metadata.generation))
    # The patch is strategic: a container is known by its name, and keeps its ports.
    image = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "example.com/web:2"}]}}}}
    changed = apps.patch_namespaced_deployment("web", ns, image).spec.template.spec.containers
    expect([("web", "example.com/web:2", 80)], [(one.name, one.image, one.ports[0].container_port) for one in changed])
    apps.delete_namespaced_deployment("web", ns, propagation_policy="Foreground")
    gone = lambda event: event["type"] == "DELETED"
    if apps.list_namespaced_deployment(ns, **named).items:
        until(gone, apps.list_namespaced_deployment, ns, **named)


def custom_resources(ns):
    group = f"{ns}.example.org"
    rows = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}},
            "status": {"type": "object", "properties": {"seen": {"type": "integer"}}}}}
    definition = {
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"}, "versions": [
            {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": rows}}]},
    }
    extensions = client.ApiextensionsV1Api()
    extensions.create_custom_resource_definition(definition)
    established = lambda event: any(
        one.type == "Established" and one.status == "True" for one in event["object"].status.conditions or []
    )
    until(established, extensions.list_custom_resource_definition, field_selector=f"metadata.name=widgets.{group}")
    custom, where = client.CustomObjectsApi(), (group, "v1", ns, "widgets")
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1, "odd": True}}
    made = custom.create_namespaced_custom_object(*where, widget)
    expect({"size": 1}, made["spec"])
    refused(422, "Invalid", custom.patch_namespaced_custom_object, *where, "one", {"spec": {"size": 0}})
    patched = custom.patch_namespaced_custom_object(*where, "one", {"spec": {"size": 2}})
    expect((2, 2), (patched["spec"]["size"], patched["metadata"]["generation"]))
    shown = custom.patch_namespaced_custom_object_status(*where, "one", {"status": {"seen": 2}, "spec": {"size": 9}})
    expect((2, 2), (shown["status"]["seen"], shown["spec"]["size"]))
    expect(1, len(custom.list_namespaced_custom_object(*where)["items"]))
    custom.delete_namespaced_custom_object(*where, "one")
    extensions.delete_custom_resource_definition(f"widgets.{group}")


def by_discovery(ns):
    found = dynamic.DynamicClient(client.ApiClient())
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"key": "a"}}
    applied = maps.server_side_apply(namespace=ns, body=wanted, name="applied", field_manager="one")
    again = maps.server_side_apply(namespace=ns, body=wanted, name="applied", field_manager="one")
    expect(applied.metadata.resourceVersion, again.metadata.resourceVersion)
    other = dict(wanted, data={"key": "b"})
    try:
        maps.server_side_apply(namespace=ns, body=other, name="applied", field_manager="two")
        raise AssertionError("no conflict")
    except ConflictError as error:
        assert b'conflict with \\"one\\"' in error.body, error.body
    forced = maps.server_side_apply(namespace=ns, body=other, name="applied", field_manager="two", force_conflicts=True)
    expect(["two"], [entry.manager for entry in forced.metadata.managedFields if "f:data" in entry.fieldsV1.to_dict()])
    expect("b", maps.get(namespace=ns, name="applied").data.key)
    for event in maps.watch(namespace=ns, name="applied", timeout=PATIENCE):
        expect("ADDED", event["type"])
        break
    deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
    expect([], deployments.get(namespace=ns, label_selector="app=none").items)
    some = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": ns}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader", "namespace": ns},
         "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reader", "namespace": ns},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
         "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": ns}]},
    ]
    for each in some:
        utils.create_from_dict(client.ApiClient(), each)


def rights(ns):
    def may(api, verb, resource):
        asked = {"spec": {"resourceAttributes": {"namespace": ns, "verb": verb, "resource": resource}}}
        return client.AuthorizationV1Api(api).create_self_subject_access_review(asked).status.allowed

    # Roles are the business of `by_discovery`, which made them.
    asked = {"spec": {"expirationSeconds": 3600}}
    token = client.CoreV1Api().create_namespaced_service_account_token("reader", ns, asked).status.token
    own = client.Configuration.get_default_copy()
    own.api_key, own.refresh_api_key_hook = {"authorization": f"Bearer {token}"}, None
    reader = client.ApiClient(own)
    who = client.AuthenticationV1Api(reader).create_self_subject_review({}).status.user_info.username
    expect(f"system:serviceaccount:{ns}:reader", who)
    # The real server takes a moment to know of a role.
    deadline = time.monotonic() + PATIENCE
    while not may(reader, "list", "configmaps") and time.monotonic() < deadline:
        pass
    expect((True, False, True), (may(reader, "list", "configmaps"), may(reader, "list", "secrets"), may(None, "list", "secrets")))
    expect("b", client.CoreV1Api(reader).read_namespaced_config_map("applied", ns).data["key"])
    body = refused(403, "Forbidden", client.CoreV1Api(reader).list_namespaced_secret, ns)
    assert f'cannot list resource \\"secrets\\" in API group \\"\\" in the namespace \\"{ns}\\"' in body, body


def main():
    config.load_kube_config()
    ns = sys.argv[1]
    for part in [discovery, objects, lists_and_watches, workloads, custom_resources, by_discovery, rights]:
        print(part.__name__, flush=True)
        part(ns)
    print("all is well")


main()
