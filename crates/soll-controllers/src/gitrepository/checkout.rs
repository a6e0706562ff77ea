//! The tree of an artifact: which of a commit's files it has.

use soll_api::{Class, Failure, GitRepository, Retry};
use soll_source::blocking;
use soll_tree::{IgnoreRules, Tree, TreePath};

/// Which of a commit's files are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    ignore: Option<String>,
    sparse_checkout: Vec<String>,
}

impl Selection {
    /// What the spec asks for.
    pub(super) fn asked(repository: &GitRepository) -> Self {
        let spec = &repository.spec;
        Self { ignore: spec.ignore.clone(), sparse_checkout: spec.sparse_checkout.clone() }
    }

    /// The wanted part of a tree, on a blocking thread: it is patterns times files.
    pub(super) async fn of(self, tree: Tree) -> Result<Tree, Failure> {
        blocking(move || self.select(tree)).await
    }

    fn select(&self, mut tree: Tree) -> Result<Tree, Failure> {
        let failed =
            |reason: &str, message: String| Failure::new(Class::Configuration, reason, message, Retry::Backoff);
        if !self.sparse_checkout.is_empty() {
            let wrong =
                |why: String| failed("GitOperationFailed", format!("failed to sparse checkout directories: {why}"));
            let directories = self.sparse_checkout.iter().map(|directory| {
                let directory = directory.strip_prefix("./").unwrap_or(directory).trim_end_matches('/');
                directory.parse::<TreePath>().map_err(|error| wrong(error.to_string()))
            });
            let directories: Vec<_> = directories.collect::<Result<_, _>>()?;
            tree = tree.sparse(&directories).map_err(|error| wrong(error.to_string()))?;
        }
        let kept = IgnoreRules::of(&tree, self.ignore.as_deref()).and_then(|rules| rules.apply(&tree));
        kept.map_err(|error| failed("SourceIgnoreError", error.to_string()))
    }
}
