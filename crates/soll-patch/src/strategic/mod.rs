//! Strategic merge: patches that merge lists by key, as the schema says.

mod kustomize;
mod server;

use soll_schema::TypeRef;
use soll_yaml::{FieldPath, Step, Value};

use crate::{PatchError, Trace};

/// Whose strategic merge: the two agree on most patches and differ on the order of lists and on
/// directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The API server's: what `kubectl patch` sends. Knows `$setElementOrder`, `$deleteFromPrimitiveList`
    /// and `$retainKeys`; new items come last.
    ApiServer,
    /// Kustomize's: items of the patch come first, types of old and new must agree.
    Kustomize,
}

/// The directive in maps and lists of a patch: `$patch: replace`, `delete` or `merge`.
const DIRECTIVE: &str = "$patch";

/// Merges a strategic merge patch into a value. `of` is the type of the value; without one, maps merge and
/// lists are replaced. Returns `None` if the patch deletes the whole value.
///
/// # Errors
/// The first part of the patch that does not fit, with its place.
pub fn strategic_merge(
    target: &Value,
    patch: &Value,
    of: Option<TypeRef<'_>>,
    dialect: Dialect,
    trace: Option<Trace<'_>>,
) -> Result<Option<Value>, PatchError> {
    let mut path = FieldPath::root();
    match dialect {
        Dialect::ApiServer => server::merge(target, patch, of, trace, &mut path).map(Some),
        Dialect::Kustomize => kustomize::merge(target, patch, of, trace, &mut path),
    }
}

/// An error about a part of the patch.
fn error(path: &FieldPath, patch: &Value, message: impl std::fmt::Display) -> PatchError {
    let message = if path.0.is_empty() { message.to_string() } else { format!("{path}: {message}") };
    PatchError { message, path: path.clone(), at: patch.at }
}

/// Runs with one more step on the path.
fn within<T>(path: &mut FieldPath, step: Step, run: impl FnOnce(&mut FieldPath) -> T) -> T {
    path.0.push(step);
    let result = run(path);
    path.0.pop();
    result
}
