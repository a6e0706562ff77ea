//! The fields of `Kustomization`.

use super::field::{Field, bool, int64, list, object, text, text_map, time};
use super::shared::{CONDITIONS, DURATION, LAST_HANDLED, LOCAL_REF, OBSERVED_GENERATION, SELECTOR, SUSPEND};

const ONE_KUBECONFIG: &str =
    "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified";

pub(super) const SPEC: Field = object(
    "spec",
    &[
        text("interval", "Time between two successful runs.").required().pattern(DURATION),
        text("retryInterval", "Time between a failed run and the next; the interval if unset.").pattern(DURATION),
        text("timeout", "Limit of health checks; half a minute less than the interval if unset.").pattern(DURATION),
        text("path", "Directory in the artifact; its root if unset."),
        object(
            "sourceRef",
            &[
                text("apiVersion", "API version of the source."),
                text("kind", "Kind of the source.")
                    .required()
                    .one_of(&["OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"])
                    .later_choices(&["OCIRepository", "Bucket", "ExternalArtifact"]),
                text("name", "Name of the source.").required(),
                text("namespace", "Namespace of the source; the own one if unset."),
            ],
            "Where manifests come from.",
        )
        .required(),
        bool("prune", "Deletes objects that left the build.").required(),
        text("deletionPolicy", "What becomes of the objects when this one is deleted; MirrorPrune if unset.")
            .one_of(&["MirrorPrune", "Delete", "WaitForTermination", "Orphan"]),
        SUSPEND,
        bool("force", "Recreates objects whose change is refused as immutable.").default("false"),
        bool("wait", "Waits until every applied object is healthy."),
        list(
            "healthChecks",
            &object(
                "",
                &[
                    text("apiVersion", "API version; apps/v1 if unset."),
                    text("kind", "Kind.").required(),
                    text("name", "Name.").required(),
                    text("namespace", "Namespace."),
                ],
                "",
            ),
            "Objects to wait for; not looked at with wait.",
        ),
        list(
            "healthCheckExprs",
            &object(
                "",
                &[
                    text("apiVersion", "API version; only its group counts.").required(),
                    text("kind", "Kind; all of the group if unset."),
                    text("current", "True when the object is as wanted.").required(),
                    text("inProgress", "True while the object is on its way."),
                    text("failed", "True when the object will not get there."),
                ],
                "",
            ),
            "How to tell the health of custom resources, in CEL.",
        ),
        list(
            "dependsOn",
            &object(
                "",
                &[
                    text("name", "Name.").required(),
                    text("namespace", "Namespace; the own one if unset."),
                    text("readyExpr", "When it counts as ready, in CEL over self and dep."),
                ],
                "",
            ),
            "Kustomizations that must be ready first.",
        ),
        text("targetNamespace", "Namespace for all objects.").length(1, 63),
        text("namePrefix", "Prefix for the names of all objects.").length(1, 200),
        text("nameSuffix", "Suffix for the names of all objects.").length(1, 200),
        list(
            "patches",
            &object(
                "",
                &[
                    text("patch", "A strategic merge patch or a JSON 6902 patch, as YAML.").required(),
                    object("target", SELECTOR, "What to patch; what the patch names if unset."),
                ],
                "",
            ),
            "Patches on top of those in the source.",
        ),
        list(
            "images",
            &object(
                "",
                &[
                    text("name", "Name of the image as it stands in the manifests.").required(),
                    text("newName", "Name to write instead."),
                    text("newTag", "Tag to write instead."),
                    text("digest", "Digest to write instead of a tag."),
                ],
                "",
            ),
            "Images to replace.",
        ),
        list("components", &text("", ""), "Directories of components to add."),
        bool("ignoreMissingComponents", "Leaves out components that do not exist."),
        object(
            "commonMetadata",
            &[text_map("labels", "Labels."), text_map("annotations", "Annotations.")],
            "Labels and annotations for all objects.",
        ),
        list(
            "buildMetadata",
            &text("", "")
                .one_of(&["originAnnotations", "transformerAnnotations"])
                .later_choices(&["transformerAnnotations"]),
            "Which notes of the build to leave on objects.",
        ),
        object(
            "postBuild",
            &[
                text_map("substitute", "Variables; they win over those of substituteFrom."),
                list(
                    "substituteFrom",
                    &object(
                        "",
                        &[
                            text("kind", "Kind of the object.").required().one_of(&["Secret", "ConfigMap"]),
                            text("name", "Name of the object.").required().length(1, 253),
                            bool("optional", "Goes on without the object if it is missing.").default("false"),
                        ],
                        "",
                    ),
                    "Objects that hold variables; later ones win.",
                ),
                text("substituteStrategy", "When to substitute: only with variables, or always.")
                    .one_of(&["WithVariables", "Always"]),
            ],
            "What to do with the text of built objects.",
        ),
        object(
            "decryption",
            &[
                text("provider", "How the text is encrypted.").required().one_of(&["sops"]),
                object("secretRef", LOCAL_REF, "Secret with the keys."),
                text("serviceAccountName", "Identity towards key services."),
            ],
            "How to decrypt.",
        )
        .later(),
        text("serviceAccountName", "Identity that applies, prunes and checks."),
        object(
            "kubeConfig",
            &[
                object(
                    "secretRef",
                    &[text("name", "Name.").required(), text("key", "Key; value or value.yaml if unset.")],
                    "Secret with a kubeconfig.",
                ),
                object("configMapRef", LOCAL_REF, "ConfigMap that says how to authenticate."),
            ],
            "Another cluster to apply to.",
        )
        .rules(&[
            ("has(self.configMapRef) || has(self.secretRef)", ONE_KUBECONFIG),
            ("!has(self.configMapRef) || !has(self.secretRef)", ONE_KUBECONFIG),
        ])
        .later(),
        list(
            "ignore",
            &object(
                "",
                &[
                    list("paths", &text("", ""), "JSON pointers.").required(),
                    object("target", SELECTOR, "Of which objects; all if unset."),
                ],
                "",
            ),
            "Fields that others may change without being corrected.",
        ),
    ],
    "What is wanted.",
);

pub(super) const STATUS: Field = object(
    "status",
    &[
        OBSERVED_GENERATION,
        LAST_HANDLED,
        CONDITIONS,
        text("lastAppliedRevision", "Revision that was applied, pruned and found healthy."),
        text("lastAppliedOriginRevision", "The revision that the artifact of the last applied one was made from."),
        text("lastAttemptedRevision", "Revision that was last tried."),
        object(
            "inventory",
            &[list(
                "entries",
                &object(
                    "",
                    &[
                        text("id", "<namespace>_<name>_<group>_<kind>.").required(),
                        text("v", "API version without the group.").required(),
                    ],
                    "",
                ),
                "One entry for each object.",
            )
            .required()],
            "The objects in the cluster.",
        ),
        list(
            "history",
            &object(
                "",
                &[
                    text("digest", "Digest of what was built.").required(),
                    time("firstReconciled", "When the first of equal runs ended.").required(),
                    time("lastReconciled", "When the last of equal runs ended.").required(),
                    text("lastReconciledDuration", "How long the last of equal runs took.").required(),
                    text("lastReconciledStatus", "How it ended.").required(),
                    int64("totalReconciliations", "How many equal runs there were.").required(),
                    text_map("metadata", "Revisions."),
                ],
                "",
            ),
            "The last runs, newest first.",
        ),
    ],
    "What is.",
)
.default(r#"{"observedGeneration":-1}"#);
