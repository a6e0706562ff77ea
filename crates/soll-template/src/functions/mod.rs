//! The functions that templates call: Go's own, Sprig's, Helm's.
//!
//! Each is a row of a table: its name, what its parameters are declared as, and what it does. The counting and
//! checking of arguments, and the words for it, are the same for all and happen before.

mod builtins;
mod conversion;
mod crypto;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod floats;
mod helm;
mod json;
mod lists;
mod merge;
mod numbers;
mod paths;
mod patterns;
mod random;
mod reflection;
mod strings;
mod toml;
mod urls;
mod versions;
mod words;
mod yaml;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::object::Param;
use crate::render::{Fault, World};
use crate::value::Value;

pub(crate) use builtins::call;
pub(crate) use json::check as check_json;
pub(crate) use patterns::compile_text as compile_pattern;
pub(crate) use strings::find as find_bytes;
pub(crate) use urls::summary as parse_url;
pub(crate) use yaml::to_yaml;

/// A function: what it takes and what it does.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    /// What any further arguments are declared as, if there may be some.
    pub(crate) variadic: Option<Param>,
    pub(crate) run: Run,
    /// Whether Go declares its result as `interface {}`, which shows where it is called without arguments.
    pub(crate) boxed: bool,
    /// Whether it looks at all that is in its arguments, which has to be paid for.
    pub(crate) walks: bool,
}

impl Function {
    const fn boxed(self) -> Self {
        Self { boxed: true, ..self }
    }

    const fn walks(self) -> Self {
        Self { walks: true, ..self }
    }
}

/// How a function is run.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// From its arguments alone.
    Pure(fn(&[Value]) -> Result<Value, Fault>),
    /// With the environment, the fuel, or what is remembered between calls.
    World(fn(&mut World<'_>, &[Value]) -> Result<Value, Fault>),
    /// These steer evaluation itself.
    And,
    Or,
    Len,
    Call,
    Include,
    Tpl,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Run")
    }
}

type Pure = fn(&[Value]) -> Result<Value, Fault>;
type InWorld = fn(&mut World<'_>, &[Value]) -> Result<Value, Fault>;

const fn pure(name: &'static str, params: &'static [Param], run: Pure) -> Function {
    Function { name, params, variadic: None, run: Run::Pure(run), boxed: false, walks: false }
}

const fn many(name: &'static str, params: &'static [Param], variadic: Param, run: Pure) -> Function {
    Function { name, params, variadic: Some(variadic), run: Run::Pure(run), boxed: false, walks: false }
}

const fn world(name: &'static str, params: &'static [Param], run: InWorld) -> Function {
    Function { name, params, variadic: None, run: Run::World(run), boxed: false, walks: false }
}

const fn world_many(name: &'static str, params: &'static [Param], variadic: Param, run: InWorld) -> Function {
    Function { name, params, variadic: Some(variadic), run: Run::World(run), boxed: false, walks: false }
}

const fn special(name: &'static str, params: &'static [Param], variadic: Option<Param>, run: Run) -> Function {
    Function { name, params, variadic, run, boxed: false, walks: false }
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function, foldhash::fast::RandomState>> = LazyLock::new(|| {
    // Sprig's names hide those of Go, Helm's those of Sprig.
    let tables = [
        builtins::TABLE,
        conversion::TABLE,
        crypto::TABLE,
        dates::TABLE,
        defaults::TABLE,
        dicts::TABLE,
        encoding::TABLE,
        floats::TABLE,
        json::TABLE,
        lists::TABLE,
        merge::TABLE,
        numbers::TABLE,
        patterns::TABLE,
        paths::TABLE,
        random::TABLE,
        reflection::TABLE,
        strings::TABLE,
        urls::TABLE,
        versions::TABLE,
        words::TABLE,
        yaml::TABLE,
        toml::TABLE,
        helm::TABLE,
    ];
    tables.into_iter().flatten().map(|function| (function.name, function)).collect()
});

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

/// What a function is called and takes.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its name in templates.
    pub name: &'static str,
    /// What it must be given.
    pub params: &'static [Param],
    /// What it may be given besides, as often as one likes.
    pub variadic: Option<Param>,
}

/// All functions, sorted by name.
#[must_use]
pub fn signatures() -> Vec<Signature> {
    let mut signatures: Vec<_> = BY_NAME
        .values()
        .map(|function| Signature { name: function.name, params: function.params, variadic: function.variadic })
        .collect();
    signatures.sort_unstable_by_key(|signature| signature.name);
    signatures
}

/// The text of an argument that is declared as text.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Raw(bytes) => lossy(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Bytes as text; each byte that is not UTF-8 becomes a replacement character, as where Go walks over a text.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// The bytes of an argument that is declared as text.
fn bytes(value: &Value) -> &[u8] {
    value.as_bytes().unwrap_or_default()
}

/// An argument that is declared as `int`.
fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        _ => 0,
    }
}

fn index_of(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What Go's runtime says of a call on nothing.
const NIL_DEREFERENCE: &str = "runtime error: invalid memory address or nil pointer dereference";
