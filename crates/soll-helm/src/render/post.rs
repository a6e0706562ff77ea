//! What may change manifests between rendering and sorting.

use super::RenderError;
use crate::{sort_manifests, split_manifests};

/// One document on its way through a post-renderer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The template that it comes from; a document that the post-renderer adds may name any.
    pub path: String,
    /// The text.
    pub content: String,
}

/// Changes documents before they are sorted into hooks and manifests: kustomize patches, labels.
pub trait PostRender {
    /// Takes documents in the order of their templates, and returns what shall be installed instead.
    ///
    /// # Errors
    /// Why not, in words.
    fn run(&mut self, documents: Vec<Document>) -> Result<Vec<Document>, String>;
}

/// Which documents a post-renderer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostRenderStrategy {
    /// Hooks and manifests together.
    #[default]
    Combined,
    /// Hooks and manifests, one after the other.
    Separate,
    /// Manifests only, as in Helm 3.
    NoHooks,
}

/// The files that remain when the post-renderer has run.
pub(super) fn post_render(
    files: &[(String, String)],
    post: &mut dyn PostRender,
    strategy: PostRenderStrategy,
) -> Result<Vec<(String, String)>, RenderError> {
    let mut run = |documents| post.run(documents).map_err(RenderError::PostRender);
    let documents = match strategy {
        PostRenderStrategy::Combined => run(documents_of(files))?,
        PostRenderStrategy::Separate | PostRenderStrategy::NoHooks => {
            let (hooks, manifests) =
                sort_manifests(files).map_err(|error| super::BadManifest { error, files: files.to_vec() })?;
            let hooks = hooks.into_iter().map(|hook| Document { path: hook.path, content: hook.manifest }).collect();
            let manifests = manifests.into_iter().map(|one| Document { path: one.path, content: one.content });
            let mut documents = if strategy == PostRenderStrategy::Separate { run(hooks)? } else { hooks };
            documents.extend(run(manifests.collect())?);
            documents
        }
    };
    Ok(files_of(documents))
}

fn documents_of(files: &[(String, String)]) -> Vec<Document> {
    let is_partial = |path: &str| path.rsplit('/').next().is_some_and(|base| base.starts_with('_'));
    let files = files.iter().filter(|(path, _)| !is_partial(path));
    let documents = files.flat_map(|(path, text)| {
        split_manifests(text).map(|content| Document { path: path.clone(), content: content.to_owned() })
    });
    documents.collect()
}

/// Documents of one template are one file again.
fn files_of(documents: Vec<Document>) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for document in documents {
        match files.iter_mut().find(|(path, _)| *path == document.path) {
            Some((_, text)) => {
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str("---\n");
                text.push_str(&document.content);
            }
            None => files.push((document.path, document.content)),
        }
    }
    files.sort();
    files
}
