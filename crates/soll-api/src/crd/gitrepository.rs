//! The fields of `GitRepository`.

use super::field::{Field, bool, list, object, text};
use super::shared::{ARTIFACT, CONDITIONS, DURATION, LAST_HANDLED, LOCAL_REF, OBSERVED_GENERATION, SUSPEND};

const INCLUDE: Field = object(
    "",
    &[
        object("repository", LOCAL_REF, "The GitRepository whose artifact is copied in.").required(),
        text("fromPath", "What of it to copy; all if unset."),
        text("toPath", "Where to copy it; a directory of the repository's name if unset."),
    ],
    "",
);

pub(super) const SPEC: Field = object(
    "spec",
    &[
        text("url", "Address of the repository.").required().pattern(r"^(http|https|ssh)://.*$"),
        text("interval", "How often to look for a new revision.").required().pattern(DURATION),
        text("timeout", "Limit of each Git operation.").default("\"60s\"").pattern(r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"),
        object("secretRef", LOCAL_REF, "Secret with the credentials."),
        text("provider", "Whose way of authenticating to use; generic if unset.")
            .one_of(&["generic", "aws", "azure", "github"])
            .later_choices(&["aws", "azure", "github"]),
        text("serviceAccountName", "Identity towards the provider.").later(),
        object(
            "ref",
            &[
                text("branch", "Branch; master if nothing is set."),
                text("tag", "Tag; wins over semver and branch."),
                text("semver", "Range over tags; wins over branch."),
                text("name", "Full name of a reference, such as refs/pull/1/head; wins over tag."),
                text("commit", "Commit; wins over all others."),
            ],
            "Which revision counts.",
        ),
        object(
            "verify",
            &[
                text("mode", "What must be signed.").default("\"HEAD\"").one_of(&["head", "HEAD", "Tag", "TagAndHEAD"]),
                object("secretRef", LOCAL_REF, "Secret with the public keys.").required(),
            ],
            "Signatures to demand.",
        )
        .later(),
        object("proxySecretRef", LOCAL_REF, "Secret with the proxy's address and credentials."),
        text("ignore", "Lines in the format of .gitignore: what the artifact leaves out."),
        SUSPEND,
        bool("recurseSubmodules", "Fetches submodules too.").later(),
        list("include", &INCLUDE, "Other repositories to copy in.").later(),
        list("sparseCheckout", &text("", ""), "The directories to keep; all if unset."),
    ],
    "What is wanted.",
)
.rules(&[(
    "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
    "serviceAccountName can only be set when provider is 'azure' or 'aws'",
)]);

pub(super) const STATUS: Field = object(
    "status",
    &[
        OBSERVED_GENERATION,
        LAST_HANDLED,
        CONDITIONS,
        object("artifact", ARTIFACT, "The last good artifact."),
        list("includedArtifacts", &object("", ARTIFACT, ""), "The artifacts that were copied in."),
        text("observedIgnore", "The field ignore as of the artifact."),
        bool("observedRecurseSubmodules", "The field recurseSubmodules as of the artifact."),
        list("observedInclude", &INCLUDE, "The field include as of the artifact."),
        list("observedSparseCheckout", &text("", ""), "The field sparseCheckout as of the artifact."),
        text("sourceVerificationMode", "Mode of the last good verification."),
    ],
    "What is.",
)
.default(r#"{"observedGeneration":-1}"#);
