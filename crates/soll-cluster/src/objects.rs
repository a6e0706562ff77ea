//! Reading and writing objects: the verbs of the Kubernetes API.

use soll_api::{Gvk, Object, ObjectRef};
use soll_yaml::{Map, Value};

use crate::transport::{JSON, Request};
use crate::{ApiError, Cluster, Resource, Verb};

/// Where to look for objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selection {
    /// One namespace, or all if none is given.
    pub namespace: Option<String>,
    /// A label selector as the API writes it: `a=b,!c`.
    pub labels: Option<String>,
    /// A field selector: `metadata.name=a`.
    pub fields: Option<String>,
}

impl Selection {
    /// All objects, everywhere.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The objects that a label selector selects, everywhere.
    #[must_use]
    pub fn labelled(labels: &str) -> Self {
        Self { labels: Some(labels.to_owned()), ..Self::default() }
    }

    /// One object.
    #[must_use]
    pub fn named(namespace: &str, name: &str) -> Self {
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Self { namespace, labels: None, fields: Some(format!("metadata.name={name}")) }
    }

    /// Only what is in one namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub(crate) fn request(&self, verb: Verb, resource: &Resource, depth: Depth) -> Request {
        let mut request = Request::new(verb, resource.collection_path(self.namespace.as_deref()));
        request.accept = match (depth, verb) {
            (Depth::Whole, _) => JSON,
            (Depth::Metadata, Verb::List) => METADATA_LIST,
            (Depth::Metadata, _) => METADATA,
        };
        if let Some(labels) = &self.labels {
            request = request.query("labelSelector", labels);
        }
        if let Some(fields) = &self.fields {
            request = request.query("fieldSelector", fields);
        }
        request
    }
}

/// How much of each object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Depth {
    /// The object.
    #[default]
    Whole,
    /// `apiVersion`, `kind` and `metadata`.
    Metadata,
}

/// A list with the version at which it was true.
#[derive(Debug, Clone, Default)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Object>,
    /// Where a watch goes on.
    pub resource_version: String,
}

/// Whether a write is for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It changes the cluster.
    #[default]
    Real,
    /// The server answers as if, and changes nothing.
    DryRun,
}

/// What happens to fields that another manager owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ownership {
    /// They become ours.
    #[default]
    Force,
    /// The apply fails with a conflict.
    Respect,
}

/// How to apply.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// On whose behalf fields are owned.
    pub field_manager: String,
    /// What happens to fields that another manager owns.
    pub ownership: Ownership,
    /// Whether it is for real.
    pub mode: Mode,
}

impl ApplyOptions {
    /// A forced apply for real.
    #[must_use]
    pub fn forced(field_manager: &str) -> Self {
        Self { field_manager: field_manager.to_owned(), ownership: Ownership::Force, mode: Mode::Real }
    }

    /// The same, changing nothing.
    #[must_use]
    pub fn dry(mut self) -> Self {
        self.mode = Mode::DryRun;
        self
    }
}

/// A change of an object.
#[derive(Debug, Clone)]
pub enum Patch {
    /// RFC 6902: a list of operations.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' merge by keys of lists; builtin kinds only.
    Strategic(Value),
}

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Only the object with this uid, not a namesake that was made since.
    pub uid: Option<String>,
    /// What becomes of the objects that it owns.
    pub propagation: Propagation,
    /// How long a pod has to end; its own choice if none is given, at once if zero.
    pub grace_seconds: Option<u32>,
    /// Whether it is for real.
    pub mode: Mode,
}

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
/// Objects a page; as client-go.
const PAGE: &str = "500";

impl Cluster {
    /// Reads an object.
    ///
    /// # Errors
    /// [`ApiError::is_not_found`] if there is none.
    pub async fn get(&self, gvk: &Gvk, namespace: &str, name: &str) -> Result<Object, ApiError> {
        self.read(gvk, namespace, name, Depth::Whole).await
    }

    /// Reads an object's metadata.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn get_metadata(&self, gvk: &Gvk, namespace: &str, name: &str) -> Result<Object, ApiError> {
        self.read(gvk, namespace, name, Depth::Metadata).await
    }

    /// Reads an object that need not exist.
    ///
    /// # Errors
    /// Anything but that it does not exist.
    pub async fn find(&self, gvk: &Gvk, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        if_there(self.get(gvk, namespace, name).await)
    }

    async fn read(&self, gvk: &Gvk, namespace: &str, name: &str, depth: Depth) -> Result<Object, ApiError> {
        let resource = self.resource(gvk).await?;
        self.read_at(&resource, namespace, name, depth).await
    }

    async fn read_at(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        depth: Depth,
    ) -> Result<Object, ApiError> {
        let mut request = Request::new(Verb::Get, resource.object_path(namespace, name)?);
        if depth == Depth::Metadata {
            request.accept = METADATA;
        }
        let answer = self.exchange_object(resource, &request).await?;
        self.object(&resource.gvk, answer)
    }

    /// Reads many objects, page by page. Items carry `apiVersion` and `kind`.
    ///
    /// A list that expires between two pages is read anew, once.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn list(&self, gvk: &Gvk, selection: &Selection, depth: Depth) -> Result<ObjectList, ApiError> {
        let resource = self.resource(gvk).await?;
        match self.list_pages(&resource, selection, depth).await {
            Err(error) if error.is_expired() => self.list_pages(&resource, selection, depth).await,
            listed => listed,
        }
    }

    async fn list_pages(
        &self,
        resource: &Resource,
        selection: &Selection,
        depth: Depth,
    ) -> Result<ObjectList, ApiError> {
        let mut list = ObjectList::default();
        let mut next = String::new();
        loop {
            let mut request = selection.request(Verb::List, resource, depth).query("limit", PAGE);
            if !next.is_empty() {
                request = request.query("continue", &next);
            }
            let page = self.exchange_object(resource, &request).await?;
            for item in page.get("items").and_then(Value::as_list).unwrap_or_default() {
                list.items.push(self.object(&resource.gvk, item.clone())?);
            }
            let metadata = |key| page.lookup_str(&["metadata", key]).unwrap_or_default().to_owned();
            list.resource_version = metadata("resourceVersion");
            next = metadata("continue");
            if next.is_empty() {
                return Ok(list);
            }
        }
    }

    /// Makes an object and returns it as it is then.
    ///
    /// # Errors
    /// [`ApiError::is_already_exists`] if there is one of that name.
    pub async fn create(&self, object: &Object, field_manager: &str, mode: Mode) -> Result<Object, ApiError> {
        let resource = self.resource(&object.gvk()).await?;
        if resource.namespaced && object.namespace().is_empty() {
            return Err(ApiError::NoNamespace(resource.gvk.clone()));
        }
        let path = resource.collection_path(Some(object.namespace()));
        let request = write(Verb::Create, path, mode).query("fieldManager", field_manager).body(JSON, object.value());
        let answer = self.exchange_object(&resource, &request).await?;
        self.object(&resource.gvk, answer)
    }

    /// Replaces an object; its resource version, if set, must be the current one.
    ///
    /// # Errors
    /// [`ApiError::is_conflict`] if somebody wrote meanwhile.
    pub async fn update(&self, object: &Object, field_manager: &str, mode: Mode) -> Result<Object, ApiError> {
        self.replace(object, "", field_manager, mode).await
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// As [`Cluster::update`].
    pub async fn update_status(&self, object: &Object, field_manager: &str) -> Result<Object, ApiError> {
        self.replace(object, "/status", field_manager, Mode::Real).await
    }

    async fn replace(&self, object: &Object, sub: &str, manager: &str, mode: Mode) -> Result<Object, ApiError> {
        let resource = self.resource(&object.gvk()).await?;
        let path = resource.object_path(object.namespace(), object.name())? + sub;
        let request = write(Verb::Update, path, mode).query("fieldManager", manager).body(JSON, object.value());
        let answer = self.exchange_object(&resource, &request).await?;
        self.object(&resource.gvk, answer)
    }

    /// Server-side apply; returns the object as it is then.
    ///
    /// # Errors
    /// [`ApiError::is_conflict`] if another manager owns a field and ownership is respected.
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Object, ApiError> {
        self.apply_at(object, "", options).await
    }

    /// Server-side apply of the status.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn apply_status(&self, object: &Object, options: &ApplyOptions) -> Result<Object, ApiError> {
        self.apply_at(object, "/status", options).await
    }

    async fn apply_at(&self, object: &Object, sub: &str, options: &ApplyOptions) -> Result<Object, ApiError> {
        let resource = self.resource(&object.gvk()).await?;
        let path = resource.object_path(object.namespace(), object.name())? + sub;
        let force = options.ownership == Ownership::Force;
        // JSON is YAML.
        let request = write(Verb::Apply, path, options.mode)
            .query("fieldManager", &options.field_manager)
            .query("force", if force { "true" } else { "false" })
            .body("application/apply-patch+yaml", object.value());
        let answer = self.exchange_object(&resource, &request).await?;
        self.object(&resource.gvk, answer)
    }

    /// Changes an object and returns it as it is then.
    ///
    /// # Errors
    /// [`ApiError::is_not_found`] if there is none.
    pub async fn patch(
        &self,
        gvk: &Gvk,
        namespace: &str,
        name: &str,
        patch: &Patch,
        field_manager: &str,
    ) -> Result<Object, ApiError> {
        self.patch_at(gvk, (namespace, name, ""), patch, field_manager).await
    }

    /// Changes an object's status.
    ///
    /// # Errors
    /// As [`Cluster::patch`].
    pub async fn patch_status(
        &self,
        gvk: &Gvk,
        namespace: &str,
        name: &str,
        patch: &Patch,
        field_manager: &str,
    ) -> Result<Object, ApiError> {
        self.patch_at(gvk, (namespace, name, "/status"), patch, field_manager).await
    }

    async fn patch_at(
        &self,
        gvk: &Gvk,
        (namespace, name, sub): (&str, &str, &str),
        patch: &Patch,
        field_manager: &str,
    ) -> Result<Object, ApiError> {
        let resource = self.resource(gvk).await?;
        let (content_type, body) = match patch {
            Patch::Json(body) => ("application/json-patch+json", body),
            Patch::Merge(body) => ("application/merge-patch+json", body),
            Patch::Strategic(body) => ("application/strategic-merge-patch+json", body),
        };
        let request = Request::new(Verb::Patch, resource.object_path(namespace, name)? + sub)
            .query("fieldManager", field_manager)
            .body(content_type, body);
        let answer = self.exchange_object(&resource, &request).await?;
        self.object(&resource.gvk, answer)
    }

    /// Deletes an object. Finalizers may keep it for a while.
    ///
    /// # Errors
    /// [`ApiError::is_not_found`] if there is none, [`ApiError::is_conflict`] if it has another uid.
    pub async fn delete(
        &self,
        gvk: &Gvk,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let resource = self.resource(gvk).await?;
        let mut request = Request::new(Verb::Delete, resource.object_path(namespace, name)?);
        request = request.body(JSON, &options.to_value());
        self.exchange_object(&resource, &request).await.map(|_| ())
    }

    /// Posts to a subresource: `binding`, `eviction`, `token`. Returns the answer as it is.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn create_subresource(
        &self,
        gvk: &Gvk,
        namespace: &str,
        name: &str,
        subresource: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let resource = self.resource(gvk).await?;
        let path = format!("{}/{subresource}", resource.object_path(namespace, name)?);
        self.exchange_object(&resource, &Request::new(Verb::Create, path).body(JSON, body)).await
    }

    /// Reads a path that is no object: `/version`.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn get_path(&self, path: &str) -> Result<Value, ApiError> {
        self.exchange(&Request::new(Verb::Get, path)).await
    }

    /// Sends a request about a kind; notices when the kind itself has vanished.
    pub(crate) async fn exchange_object(&self, resource: &Resource, request: &Request) -> Result<Value, ApiError> {
        let answered = self.exchange(request).await;
        answered.map_err(|error| self.notice_vanished(resource, error))
    }

    /// An unknown path is a 404 that names no object: the CRD was deleted, or is not served any more.
    pub(crate) fn notice_vanished(&self, resource: &Resource, error: ApiError) -> ApiError {
        match error.status() {
            Some(status) if status.code == 404 && status.details.name.is_empty() => {
                self.forget_resource(&resource.gvk);
                ApiError::NotServed(resource.gvk.clone())
            }
            _ => error,
        }
    }

    /// Checks an answer; list items and metadata get the `apiVersion` and `kind` that they stand for.
    pub(crate) fn object(&self, gvk: &Gvk, mut value: Value) -> Result<Object, ApiError> {
        let kind = value.lookup_str(&["kind"]).unwrap_or_default();
        if kind != gvk.kind {
            let mut whole = Map::new();
            whole.insert("apiVersion", gvk.api_version().into());
            whole.insert("kind", gvk.kind.as_str().into());
            if let Some(map) = value.as_map() {
                let others = map.iter().filter(|entry| !matches!(entry.key.as_str(), "apiVersion" | "kind"));
                others.for_each(|entry| drop(whole.insert_entry(entry.clone())));
            }
            value = whole.into();
        }
        Object::new(value)
            .map_err(|error| ApiError::Unreadable { url: self.shared.url.clone(), cause: error.to_string() })
    }
}

impl DeleteOptions {
    fn to_value(&self) -> Value {
        let policy = match self.propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut options = Map::from_iter([
            ("kind", Value::from("DeleteOptions")),
            ("apiVersion", Value::from("v1")),
            ("propagationPolicy", Value::from(policy)),
        ]);
        if let Some(uid) = &self.uid {
            options.insert("preconditions", Map::from_iter([("uid", Value::from(uid.as_str()))]).into());
        }
        if let Some(seconds) = self.grace_seconds {
            options.insert("gracePeriodSeconds", Value::from(i64::from(seconds)));
        }
        if self.mode == Mode::DryRun {
            options.insert("dryRun", vec![Value::from("All")].into());
        }
        options.into()
    }
}

fn write(verb: Verb, path: String, mode: Mode) -> Request {
    let request = Request::new(verb, path);
    match mode {
        Mode::Real => request,
        Mode::DryRun => Request { verb: Verb::DryRun, ..request }.query("dryRun", "All"),
    }
}

/// An object that something refers to, with the version to ask for.
pub(crate) fn gvk_of(reference: &ObjectRef, version: &str) -> Gvk {
    Gvk { group: reference.group.clone(), version: version.to_owned(), kind: reference.kind.clone() }
}

impl Cluster {
    /// Reads an object that a reference names, in the given version or in the one that the server prefers.
    ///
    /// # Errors
    /// Anything but that it does not exist.
    pub async fn find_ref(&self, reference: &ObjectRef, version: &str) -> Result<Option<Object>, ApiError> {
        let gvk = gvk_of(reference, version);
        let resource = self.resource_in_any_version(&gvk).await?;
        match self.find_at(&resource, &reference.namespace, &reference.name).await {
            // This version is not served any more. Another may be, and discovery tells when it is read anew.
            Err(ApiError::NotServed(_)) => {
                self.forget_resource(&gvk);
                let resource = self.resource_in_any_version(&gvk).await?;
                self.find_at(&resource, &reference.namespace, &reference.name).await
            }
            found => found,
        }
    }

    /// Reads an object that need not exist, at a place that is known.
    ///
    /// # Errors
    /// As [`Cluster::find`].
    pub(crate) async fn find_at(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, ApiError> {
        if_there(self.read_at(resource, namespace, name, Depth::Whole).await)
    }
}

/// Nothing if an object does not exist.
fn if_there(read: Result<Object, ApiError>) -> Result<Option<Object>, ApiError> {
    match read {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
