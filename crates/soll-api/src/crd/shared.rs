//! Rows that several kinds share.

use super::field::{Field, bool, int64, list, object, text, text_map, time};

/// Spans of time, hours included.
pub(super) const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// A reference by name within the namespace.
pub(super) const LOCAL_REF: &[Field] = &[text("name", "Name of the object.").required()];

/// Which objects.
pub(super) const SELECTOR: &[Field] = &[
    text("group", "API group, a regular expression that must match as a whole; so are all below but the selectors."),
    text("version", "API version."),
    text("kind", "Kind."),
    text("name", "Name."),
    text("namespace", "Namespace."),
    text("labelSelector", "Selector over labels."),
    text("annotationSelector", "Selector over annotations."),
];

pub(super) const SUSPEND: Field = bool("suspend", "Leaves everything as it is while true.");

pub(super) const OBSERVED_GENERATION: Field =
    int64("observedGeneration", "Generation of the object that was last reconciled.");

pub(super) const LAST_HANDLED: Field =
    text("lastHandledReconcileAt", "Value of the annotation reconcile.fluxcd.io/requestedAt that was last answered.");

pub(super) const CONDITIONS: Field = list(
    "conditions",
    &object(
        "",
        &[
            text("type", "What the condition is about.").required().length(0, 316).pattern(
                r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
            ),
            text("status", "The answer.").required().one_of(&["True", "False", "Unknown"]),
            int64("observedGeneration", "Generation of the object that the answer is about.").at_least(0),
            time("lastTransitionTime", "When status, reason or message last changed.").required(),
            text("reason", "One word for machines.")
                .required()
                .length(1, 1024)
                .pattern(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
            text("message", "A sentence for people.").required().length(0, 32_768),
        ],
        "",
    ),
    "What the object says about itself.",
);

pub(super) const ARTIFACT: &[Field] = &[
    text("path", "Path relative to the root of the store.").required(),
    text("url", "Where to download it.").required(),
    text("revision", "Revision of the source.").required(),
    text("digest", "Algorithm and digest of the file.")
        .required()
        .pattern(r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"),
    time("lastUpdateTime", "When it was written.").required(),
    int64("size", "Size in bytes."),
    text_map("metadata", "Annotations of the upstream."),
];
