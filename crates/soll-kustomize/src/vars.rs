//! `vars`: `$(NAME)` in the fields that may have it becomes the value of a field of some object.

use std::collections::HashMap;

use soll_yaml::{Data, Entry, FieldPath, Map, Str, Value};

use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Var;
use crate::problem::Problem;
use crate::resource::Id;
use crate::resources::Resources;

/// Notes the objects that the variables of a kustomization mean: those that are there now.
pub(crate) fn note(resources: &mut Resources, vars: &[Var], builder: &Builder<'_>) {
    for var in vars {
        let id = Id {
            gvk: var.gvk.clone(),
            name: var.object.text.clone(),
            namespace: var.namespace.as_ref().map_or_else(Str::new, |namespace| namespace.text.clone()),
        };
        // Without a namespace, any will do; with one, what has none at all will not.
        let is_it = |other: &Id| {
            let is_there = id.namespace.is_empty() || id.namespace == other.effective_namespace();
            is_there && other.gvk == id.gvk && other.name == id.name
        };
        let named = resources.named(&id.name).iter().copied();
        let found: Vec<_> = named.filter(|position| resources.get(*position).ids().any(|id| is_it(&id))).collect();
        match found.as_slice() {
            [] => {}
            [position] => resources.content_mut(*position).vars.push(var.name.text.clone()),
            several => {
                let message = format!("found {} resId matches for var `{}`", several.len(), var.name.text);
                builder.problems.add(var.at, format!("{message} (unable to disambiguate); add a namespace"));
            }
        }
    }
}

/// Replaces all variables of the build.
pub(crate) fn resolve(resources: &mut Resources, vars: &[Var], specs: &[FieldSpec], builder: &Builder<'_>) {
    let mut values: HashMap<Str, Value> = HashMap::new();
    for var in vars {
        let Some(value) = value_of(var, resources, builder) else { continue };
        values.insert(var.name.text.clone(), value);
    }
    for resource in resources.contents_mut() {
        let gvk = resource.gvk().clone();
        let before = resource.before_change();
        for spec in specs.iter().filter(|spec| spec.applies_to(&gvk)) {
            let result = spec.visit(resource, Leaf::Existing, &mut |field| expand(field, &values, builder));
            if let Err((message, at)) = result {
                builder.problems.push(Problem::new(at, message).of(resource.id()));
            }
        }
        resource.settle(before.as_ref());
    }
}

fn value_of(var: &Var, resources: &Resources, builder: &Builder<'_>) -> Option<Value> {
    let fail = |message: String| {
        builder.problems.add(var.at, message);
        None
    };
    let Some(resource) = resources.iter().find(|resource| resource.vars.contains(&var.name.text)) else {
        let message = format!("var `{}` cannot be mapped to a field in the set of known resources", var.name.text);
        return fail(format!("{message}; no object `{}` was there when it was read", var.object.text));
    };
    let object = resource.value();
    match FieldPath::parse(&var.path.text).find(object) {
        Some(value) => Some(value.clone()),
        None => fail(format!("field `{}` of var `{}` does not exist in the object", var.path.text, var.name.text)),
    }
}

fn is_untyped(field: &Value, builder: &Builder<'_>) -> bool {
    if !matches!(field.data, Data::Bool(_) | Data::Int(_) | Data::Float(_)) {
        return false;
    }
    let via = builder.sources.get(field.at.source()).and_then(|source| source.via);
    via.is_some_and(|via| via.by == "replacements" && via.before.is_none())
}

fn expand(field: &mut Value, values: &HashMap<Str, Value>, builder: &Builder<'_>) {
    // A field that a replacement has made has no type yet; here it becomes text.
    if is_untyped(field, builder) {
        field.data = Data::Str(builder.written.text(field));
    }
    let is_concerned = |value: &Value| has_variable(value) || is_untyped(value, builder);
    match &field.data {
        Data::Str(text) if text.contains("$(") => {
            let Some(new) = expanded(text, values) else { return };
            let at = builder.sources.through(field.at, "vars", field.at);
            *field = new.at(at);
        }
        Data::List(items) if items.iter().any(is_concerned) => {
            field.as_list_mut().into_iter().flatten().for_each(|item| expand(item, values, builder));
        }
        Data::Map(map) if map.iter().any(|entry| is_concerned(&entry.value)) => {
            let entries = map.iter().cloned().map(|mut entry: Entry| {
                expand(&mut entry.value, values, builder);
                entry
            });
            let mut new = Map::with_capacity(map.len());
            entries.for_each(|entry| {
                new.insert_entry(entry);
            });
            *field = Value::from(new).at(field.at);
        }
        _ => {}
    }
}

fn has_variable(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("$("))
}

/// The text with its variables replaced; none if there are none of ours. `$$(A)` stands for `$(A)`.
///
/// A text that is nothing but one variable takes the variable's type.
fn expanded(text: &str, values: &HashMap<Str, Value>) -> Option<Value> {
    if let Some(name) = text.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'))
        && let Some(value) = values.get(name)
    {
        return Some(value.clone());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            match values.get(name).map(|value| &value.data) {
                Some(Data::Str(value)) => out.push_str(value),
                Some(data @ (Data::Bool(_) | Data::Int(_) | Data::Float(_))) => {
                    out.push_str(&soll_yaml::to_json(&data.clone().into()));
                }
                // Others may mean it: the kubelet expands `$(NAME)` too.
                _ => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    (out != text).then(|| Value::from(out))
}
