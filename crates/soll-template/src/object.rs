//! Values with fields and methods of their own: `.Files`, `.Capabilities`, certificates.

use soll_yaml::Str;

use crate::value::{Kind, Value};

/// What templates see of a Go struct, or of a Go type with methods.
///
/// `{{ .Files.Get "x" }}` asks for the method first, then, of a struct, for the field, or, of a map, for the key of
/// [`Object::contents`]. Everything that looks inside (`range`, `index`, `len`, `toYaml`) takes the contents.
pub trait Object {
    /// Go's name of the type, as errors and `typeOf` say it: `*common.Capabilities`, `engine.files`.
    fn type_name(&self) -> &str;

    /// What the type is made of: `Struct`, `Map`, `Slice` or `Ptr` (to a struct).
    fn kind(&self) -> Kind;

    /// The field of a struct.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// Fields of a struct that Go does not export; asking for one is an error of its own.
    fn hidden(&self) -> &'static [&'static str] {
        &[]
    }

    /// What a method takes, if there is one of this name.
    fn method(&self, name: &str) -> Option<&'static [Param]> {
        (name == "String" && self.string().is_some()).then_some(&[])
    }

    /// Calls a method with as many arguments, of the types, that it takes.
    ///
    /// # Errors
    /// What the method returned as its error.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let _ = arguments;
        let text = self.string().filter(|_| name == "String");
        text.map(Value::from).ok_or_else(|| format!("{} has no method {name}", self.type_name()))
    }

    /// What is inside: a map or a list; of a struct a map from the names that JSON uses.
    fn contents(&self) -> Value;

    /// What JSON shows of a struct whose fields are not in the order of the alphabet.
    fn json_fields(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    /// The fields of a struct in Go's order, for printing.
    fn fields(&self) -> Vec<(Str, Value)> {
        Vec::new()
    }

    /// What its `String` method says, if it has one.
    fn string(&self) -> Option<String> {
        None
    }

    /// Another number of the type, if these are numbers; `range` counts in them.
    fn of_number(&self, number: i64) -> Option<Value> {
        let _ = number;
        None
    }

    /// What `deepCopy` makes, if it is something else: Go leaves out fields that are not exported.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// The value itself, for methods that take another of its type.
    fn inner(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// What a parameter of a function or method is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `interface {}`
    Any,
    /// `string`
    Str,
    /// `int`
    Int,
    /// `uint32`
    Uint32,
    /// `float64`
    Float,
    /// `bool`
    Bool,
    /// `map[string]interface {}`
    Map,
    /// `[]interface {}`
    List,
    /// A type that is no other's, such as `time.Time` or `sprig.certificate`.
    Named(&'static str),
    /// `reflect.Value`: the builtins take whatever there is, nothing included.
    Reflect,
}

impl Param {
    /// Go's name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Named(name) => name,
            Self::Reflect => "reflect.Value",
        }
    }
}
