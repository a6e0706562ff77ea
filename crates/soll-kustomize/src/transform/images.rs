//! `images`.

use regex::Regex;
use soll_yaml::{Data, Value};

use super::{Single, replace, visit};
use crate::accumulate::Builder;
use crate::field_spec::{FieldSpec, Leaf};
use crate::kustomization::Image;
use crate::problem::Problem;
use crate::resource::Resource;
use crate::selector::{is_dotted, strip_dotted};

/// Images of one name, with any tag and digest. The name is an expression to kustomize.
enum Pattern {
    /// As most names are: `ghcr.io/stefanprodan/podinfo`.
    Dotted(String),
    Expression(Regex),
}

impl Pattern {
    fn new(name: &str) -> Result<Self, regex::Error> {
        if is_dotted(name) {
            return Ok(Self::Dotted(name.to_owned()));
        }
        let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
        Regex::new(&pattern).map(Self::Expression)
    }

    fn is_match(&self, image: &str) -> bool {
        let name = match self {
            Self::Dotted(name) => name,
            Self::Expression(expression) => return expression.is_match(image),
        };
        let Some(mut rest) = strip_dotted(image, name) else { return false };
        let of_tag = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '{' | '}' | '-');
        for start in [":", "@sha256:"] {
            rest = rest.strip_prefix(start).map_or(rest, |tag| tag.trim_start_matches(of_tag));
        }
        rest.is_empty()
    }
}

/// Changes an image wherever containers name it.
pub(crate) struct Rename<'k> {
    image: &'k Image,
    pattern: Pattern,
    specs: &'k [FieldSpec],
}

impl<'k> Rename<'k> {
    /// # Errors
    /// If the name is no expression.
    pub(crate) fn new(image: &'k Image, specs: &'k [FieldSpec]) -> Result<Self, Problem> {
        let pattern = Pattern::new(&image.name.text).map_err(|error| {
            let message = format!("`{}` is no regular expression: {error}", image.name.text);
            Problem::new(image.name.at, message)
        })?;
        Ok(Self { image, pattern, specs })
    }
}

impl Single for Rename<'_> {
    fn transform(&mut self, resource: &mut Resource, builder: &Builder<'_>) {
        if resource.kind() == "CustomResourceDefinition" {
            return;
        }
        let mut update = |field: &mut Value| {
            let Data::Str(old) = &field.data else { return };
            if self.pattern.is_match(old) {
                let new = renamed(old, self.image);
                if new.as_str() != old.as_str() {
                    replace(field, Value::from(new).at(self.image.at), "images", builder);
                }
            }
        };
        let gvk = resource.gvk().clone();
        // Looked at first, so that what has no such image stays shared, and known by its name.
        if mentions(resource.value(), &self.pattern) {
            in_containers(resource.value_mut(), &self.pattern, &mut update);
        }
        for spec in self.specs.iter().filter(|spec| spec.applies_to(&gvk)) {
            // Containers are met twice, and a suffix is added twice: so does kustomize.
            visit(resource, spec, Leaf::Existing, builder, &mut update);
        }
    }
}

/// Every list named `containers` or `initContainers`, wherever it stands in what mentions the image.
fn in_containers(value: &mut Value, pattern: &Pattern, update: &mut dyn FnMut(&mut Value)) {
    if let Some(items) = value.as_list_mut() {
        for item in items.iter_mut().filter(|item| mentions(item, pattern)) {
            in_containers(item, pattern, update);
        }
    } else if let Some(map) = value.as_map_mut() {
        for (key, inner) in map.iter_mut() {
            if mentions(inner, pattern) {
                in_containers(inner, pattern, update);
            }
            if matches!(key.as_str(), "containers" | "initContainers") {
                for item in inner.as_list_mut().into_iter().flatten() {
                    if let Some(image) = item.get_mut("image") {
                        update(image);
                    }
                }
            }
        }
    }
}

/// Says whether some `image` below has a name that fits.
fn mentions(value: &Value, pattern: &Pattern) -> bool {
    match &value.data {
        Data::List(items) => items.iter().any(|item| mentions(item, pattern)),
        Data::Map(map) => map.iter().any(|entry| match &entry.value.data {
            Data::Str(text) => entry.key.as_str() == "image" && pattern.is_match(text),
            Data::List(_) | Data::Map(_) => mentions(&entry.value, pattern),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => false,
        }),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => false,
    }
}

fn renamed(old: &str, image: &Image) -> String {
    let (name, tag, digest) = split(old);
    let text = |text: &Option<crate::kustomization::Text>| text.as_ref().map(|text| text.text.to_string());
    let name = text(&image.new_name).unwrap_or_else(|| name.to_owned());
    let (tag, digest) = match (text(&image.new_tag), text(&image.digest), text(&image.tag_suffix)) {
        (Some(tag), Some(digest), _) => (tag, digest),
        (Some(tag), None, _) => (tag, String::new()),
        (None, Some(digest), _) => (String::new(), digest),
        (None, None, Some(suffix)) => (format!("{tag}{suffix}"), String::new()),
        (None, None, None) => (tag.to_owned(), digest.to_owned()),
    };
    let mut new = name;
    if !tag.is_empty() {
        new = format!("{new}:{tag}");
    }
    if !digest.is_empty() {
        new = format!("{new}@{digest}");
    }
    new
}

/// Name, tag and digest; a colon before the first slash belongs to the registry's port.
fn split(image: &str) -> (&str, &str, &str) {
    let (rest, digest) =
        match image.find('/').map_or(image.find('@'), |slash| image[slash..].find('@').map(|found| slash + found)) {
            Some(at) => (&image[..at], &image[at + 1..]),
            None => (image, ""),
        };
    let slash = rest.find('/').filter(|slash| *slash > 0).unwrap_or(0);
    match rest[slash..].find(':') {
        Some(colon) => (&rest[..slash + colon], &rest[slash + colon + 1..], digest),
        None => (rest, "", digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_need_no_expression_mean_the_same() {
        for name in ["nginx", "ghcr.io/a/b", ""] {
            let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
            let expression = Regex::new(&pattern).expect("valid");
            for start in ["nginx", "ghcr.io/a/b", "ghcr-io/a/b", "ghcr.io/a", "my-nginx", ""] {
                for end in
                    ["", ":", ":1.2-{a}_b", ":1:2", "@sha256:f", "@sha1:f", ":1@sha256:f", "@sha256:f:1", ":\u{e9}"]
                {
                    let image = format!("{start}{end}");
                    let found = Pattern::new(name).expect("valid").is_match(&image);
                    assert_eq!(found, expression.is_match(&image), "{name:?} {image:?}");
                }
            }
        }
    }

    #[test]
    fn images_split_into_name_tag_and_digest() {
        for (image, expected) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1", ("nginx", "1", "")),
            ("localhost:5000/a/b", ("localhost:5000/a/b", "", "")),
            ("localhost:5000/a:1@sha256:f", ("localhost:5000/a", "1", "sha256:f")),
            ("a@sha256:f", ("a", "", "sha256:f")),
        ] {
            assert_eq!(split(image), expected, "{image}");
        }
    }
}
