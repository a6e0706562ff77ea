// What programs do with the Node client, in the namespace that the argument names, on the cluster of $KUBECONFIG.
// Says what was done and ends with 0 if the cluster did as the library expects.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

// The longest that anything waits, in milliseconds; it ends as soon as it has seen what it is for.
const PATIENCE = 120_000;

const namespace = process.argv[2];
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const withStrategy = (strategy) => k8s.setHeaderOptions('Content-Type', strategy);

// Makes a call that the server must refuse; returns its Status.
async function refused(code, reason, call) {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof k8s.ApiException)) throw error;
    const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
    assert.deepEqual([error.code, status.reason], [code, reason]);
    return status;
  }
  assert.fail(`not refused: ${call}`);
}

function configMap(name, value, labels = {}) {
  return { metadata: { name, labels }, data: { key: value } };
}

// Watches until an event is as wanted; all that were seen.
async function until(path, query, wanted) {
  const watch = new k8s.Watch(config);
  const seen = [];
  let controller;
  let timer;
  try {
    await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${path} told only ${JSON.stringify(seen)}`)), PATIENCE);
      const tell = (type, object) => {
        seen.push({ type, object });
        if (wanted({ type, object })) resolve();
      };
      const ended = (error) => reject(error ?? new Error(`the watch of ${path} ended`));
      watch.watch(path, query, tell, ended).then((made) => (controller = made), reject);
    });
  } finally {
    clearTimeout(timer);
    controller?.abort();
  }
  return seen;
}

async function discovery() {
  const version = await config.makeApiClient(k8s.VersionApi).getCode();
  assert.equal(version.major, '1');
  const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
  assert.ok(groups.groups.some((group) => group.name === 'apps'));
  assert.ok(await new k8s.Health(config).readyz({}));
}

async function objects() {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap('one', 'a') });
  assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
  const again = () => core.createNamespacedConfigMap({ namespace, body: configMap('one', 'a') });
  const status = await refused(409, 'AlreadyExists', again);
  assert.deepEqual([status.details.kind, status.details.name], ['configmaps', 'one']);
  await refused(404, 'NotFound', () => core.readNamespacedConfigMap({ namespace, name: 'none' }));
  const bad = await refused(422, 'Invalid', () => core.createNamespacedConfigMap({ namespace, body: configMap('Bad', 'a') }));
  assert.deepEqual(bad.details.causes.map((cause) => cause.field), ['metadata.name']);

  const patch = (body, strategy) =>
    core.patchNamespacedConfigMap({ namespace, name: 'one', body, fieldManager: 'node' }, withStrategy(strategy));
  const merged = await patch({ data: { more: 'b' } }, k8s.PatchStrategy.MergePatch);
  assert.deepEqual(merged.data, { key: 'a', more: 'b' });
  const strategic = await patch({ data: { more: null } }, k8s.PatchStrategy.StrategicMergePatch);
  assert.deepEqual(strategic.data, { key: 'a' });
  const operations = [{ op: 'replace', path: '/data/key', value: 'c' }];
  assert.deepEqual((await patch(operations, k8s.PatchStrategy.JsonPatch)).data, { key: 'c' });
  await refused(409, 'Conflict', () => core.replaceNamespacedConfigMap({ namespace, name: 'one', body: made }));
  const current = await core.readNamespacedConfigMap({ namespace, name: 'one' });
  assert.ok(current.metadata.managedFields.some((entry) => entry.manager === 'node' && entry.operation === 'Update'));
  current.data = { key: 'd' };
  assert.deepEqual((await core.replaceNamespacedConfigMap({ namespace, name: 'one', body: current })).data, { key: 'd' });
  const rehearsed = await core.deleteNamespacedConfigMap({ namespace, name: 'one', dryRun: 'All' });
  assert.equal(rehearsed.status, 'Success');
  await core.deleteNamespacedConfigMap({ namespace, name: 'one' });

  const body = { metadata: { generateName: 'made-' }, stringData: { word: 'x' } };
  assert.deepEqual((await core.createNamespacedSecret({ namespace, body })).data, { word: 'eA==' });
}

async function informers() {
  const labelSelector = 'of=many';
  for (let number = 0; number < 5; number++) {
    await core.createNamespacedConfigMap({ namespace, body: configMap(`many-${number}`, 'a', { of: 'many' }) });
  }
  const names = [];
  let token;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector, limit: 2, _continue: token });
    names.push(...page.items.map((item) => item.metadata.name));
    token = page.metadata._continue;
  } while (token);
  assert.deepEqual(names, [0, 1, 2, 3, 4].map((number) => `many-${number}`));

  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector });
  const informer = k8s.makeInformer(config, path, list, labelSelector);
  const told = [];
  let heard = () => {};
  for (const verb of ['add', 'update', 'delete']) {
    informer.on(verb, (object) => {
      told.push(`${verb} ${object.metadata.name}`);
      heard();
    });
  }
  const hear = (wanted) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`heard only ${told}`)), PATIENCE);
      heard = () => {
        if (!told.includes(wanted)) return;
        clearTimeout(timer);
        resolve();
      };
      heard();
    });
  await informer.start();
  await hear('add many-4');
  await core.createNamespacedConfigMap({ namespace, body: configMap('late', 'a', { of: 'many' }) });
  await hear('add late');
  const body = { data: { key: 'b' } };
  await core.patchNamespacedConfigMap({ namespace, name: 'late', body }, withStrategy(k8s.PatchStrategy.MergePatch));
  await hear('update late');
  assert.equal(informer.get('late', namespace).data.key, 'b');
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector });
  await hear('delete late');
  await hear('delete many-4');
  await informer.stop();
}

async function workloads() {
  const metadata = { labels: { app: 'web' } };
  const template = { metadata, spec: { containers: [{ name: 'web', image: 'example.com/web:1' }] } };
  const spec = { replicas: 2, selector: { matchLabels: { app: 'web' } }, template };
  await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'web' }, spec } });
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const fieldSelector = 'metadata.name=web';
  await until(path, { fieldSelector }, ({ object }) => object.status?.availableReplicas === 2);
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'web' });
  scale.spec.replicas = 3;
  assert.equal((await apps.replaceNamespacedDeploymentScale({ namespace, name: 'web', body: scale })).spec.replicas, 3);
  await until(path, { fieldSelector }, ({ object }) => object.status?.availableReplicas === 3);
  const pods = await core.listNamespacedPod({ namespace, labelSelector: 'app=web', fieldSelector: 'status.phase=Running' });
  assert.equal(pods.items.length, 3);
  const { metadata: { resourceVersion } } = await apps.readNamespacedDeployment({ namespace, name: 'web' });
  await apps.deleteNamespacedDeployment({ namespace, name: 'web', body: { propagationPolicy: 'Foreground' } });
  await until(path, { fieldSelector, resourceVersion }, ({ type }) => type === 'DELETED');

  const job = { metadata: { name: 'once' }, spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'once', image: 'x:1' }] } } } };
  await config.makeApiClient(k8s.BatchV1Api).createNamespacedJob({ namespace, body: job });
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  await until(jobs, {}, ({ object }) => object.status?.conditions?.some((one) => one.type === 'Complete' && one.status === 'True'));
}

async function anyKind() {
  const client = k8s.KubernetesObjectApi.makeApiClient(config);
  const group = `${namespace}.example.org`;
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer', _default: 3 } } } } } };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `gadgets.${group}` },
    spec: {
      group, scope: 'Namespaced', names: { plural: 'gadgets', kind: 'Gadget' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
  await client.create(definition);
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const fieldSelector = `metadata.name=gadgets.${group}`;
  await until(definitions, { fieldSelector }, ({ object }) => object.status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True'));

  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const where = { group, version: 'v1', namespace, plural: 'gadgets' };
  const gadget = { apiVersion: `${group}/v1`, kind: 'Gadget', metadata: { name: 'one', namespace }, spec: {} };
  assert.deepEqual((await custom.createNamespacedCustomObject({ ...where, body: gadget })).spec, { size: 3 });
  const typed = { ...where, name: 'one', body: { spec: { size: 'big' } } };
  const status = await refused(422, 'Invalid', () => custom.patchNamespacedCustomObject(typed, withStrategy(k8s.PatchStrategy.MergePatch)));
  assert.deepEqual(status.details.causes.map((cause) => cause.field), ['spec.size']);
  const applied = { ...gadget, spec: { size: 4 } };
  const result = await client.patch(applied, undefined, undefined, 'node-apply', true, k8s.PatchStrategy.ServerSideApply);
  assert.equal(result.spec.size, 4);
  const conflicting = { ...gadget, spec: { size: 5 } };
  await refused(409, 'Conflict', () => client.patch(conflicting, undefined, undefined, 'other', false, k8s.PatchStrategy.ServerSideApply));
  assert.equal((await client.list(`${group}/v1`, 'Gadget', namespace)).items.length, 1);
  await client.delete(gadget);
  await refused(404, 'NotFound', () => client.read(gadget));
  await client.delete(definition);
}

async function rights() {
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: 'nobody' } } });
  const body = { spec: { audiences: [], expirationSeconds: 3600 } };
  const { status: { token } } = await core.createNamespacedServiceAccountToken({ namespace, name: 'nobody', body });
  const other = new k8s.KubeConfig();
  other.loadFromClusterAndUser(config.getCurrentCluster(), { name: 'nobody', token });
  const review = await other.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
  assert.equal(review.status.userInfo.username, `system:serviceaccount:${namespace}:nobody`);
  await refused(403, 'Forbidden', () => other.makeApiClient(k8s.CoreV1Api).listNamespacedSecret({ namespace }));
}

for (const part of [discovery, objects, informers, workloads, anyKind, rights]) {
  console.log(part.name);
  await part();
}
console.log('all is well');
process.exit(0);
