//! CustomResourceDefinitions that are being deleted: their objects go first.

use std::sync::Arc;

use jiff::Timestamp;

use crate::kinds::definition::CLEANUP;
use crate::meta;
use crate::rest::{Api, Deletion, delete_object, finalize};

const DRAWER: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// Deletes the objects of definitions that are to go, and lets those go that have none.
pub(super) fn finish(api: &Arc<Api>) {
    let (definitions, _) = api.store.snapshot(DRAWER);
    for definition in definitions.iter().filter(|entry| meta::is_terminating(&entry.value)) {
        if !meta::finalizers(&definition.value).contains(&CLEANUP) {
            continue;
        }
        let text = |keys: &[&str]| definition.value.lookup_str(keys).unwrap_or_default().to_owned();
        let drawer = format!("{}/{}", text(&["spec", "group"]), text(&["spec", "names", "plural"]));
        if let Some(resource) = api.registry.table().of_drawer(&drawer) {
            for entry in api.store.snapshot(&drawer).0.iter().filter(|entry| !meta::is_terminating(&entry.value)) {
                let deleted = delete_object(api, &resource, entry, &Deletion::default(), false, Timestamp::now());
                if let Err(refusal) = deleted {
                    tracing::debug!(object = %entry.key.name, refusal = refusal.message, "not deleted with its definition");
                }
            }
        }
        if api.store.snapshot(&drawer).0.is_empty() {
            finalize(api, DRAWER, &definition.key, |object| meta::drop_finalizer(object, CLEANUP));
        }
    }
}
