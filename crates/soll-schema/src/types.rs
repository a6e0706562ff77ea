//! Types of fields: the graph that merging, pruning and comparing walk.

use crate::CrdSchema;
use crate::crd::CrdNode;
use crate::layout::{self, Section, field_flag, tag, type_flag};
use crate::table::{self, Record};

/// The type of one place in an object, with the facts of the field that led there. Cheap to copy.
#[derive(Clone, Copy)]
pub struct TypeRef<'a> {
    node: Node<'a>,
    field: FieldFacts<'a>,
}

#[derive(Clone, Copy)]
enum Node<'a> {
    /// Index into the compiled-in table.
    Table(u16),
    /// Node of a CRD's schema.
    Crd(&'a CrdSchema, u32),
}

#[derive(Clone, Copy, Default)]
struct FieldFacts<'a> {
    flags: u16,
    merge_key: Option<&'a str>,
}

/// What kind of type it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Named fields; see [`TypeRef::field`].
    Struct,
    /// Any keys, values of one type; see [`TypeRef::values`].
    Map,
    /// A list; see [`TypeRef::items`], [`TypeRef::list_type`].
    List,
    /// A leaf of a known form.
    Scalar(Scalar),
    /// Anything: the value tells. Maps merge by key, lists are taken as a whole.
    Any,
}

/// The forms of leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// Bytes as base64 text.
    Bytes,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Double,
    /// True or false.
    Bool,
    /// A quantity: `100m`, `1Gi`.
    Quantity,
    /// A whole number or text: `80`, `25%`.
    IntOrString,
}

/// How items of a list are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// Not at all: the list is one value.
    Atomic,
    /// By their value.
    Set,
    /// By the fields that [`TypeRef::map_keys`] names.
    Map,
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PatchStrategy {
    /// Lists merge by [`TypeRef::patch_merge_key`], or as sets without one.
    pub merge: bool,
    /// Only the keys named by `$retainKeys` stay.
    pub retain_keys: bool,
    /// Taken as a whole.
    pub replace: bool,
}

/// One field of a struct.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub of: TypeRef<'a>,
    /// Whether it must be there.
    pub required: bool,
    /// Whether Go writes it even if it is empty (`status: {}`, `resources: {}`).
    pub emitted: bool,
    /// Its default as JSON, if the schema names one other than empty. Builtin kinds only; a CRD's
    /// defaults stand in [`TypeRef::openapi`].
    pub default: Option<&'a str>,
    /// Its number in protobuf messages; 0 if unknown.
    pub number: u16,
    /// The number of the message that holds it in protobuf, if JSON inlines that message; else 0.
    pub through: u16,
}

impl<'a> TypeRef<'a> {
    /// The type of what no schema describes: maps merge by key, lists are taken as a whole.
    pub const ANY: TypeRef<'static> = TypeRef::table(tag::ANY as u16);
    /// Any text.
    pub const STRING: TypeRef<'static> = TypeRef::table(tag::STRING as u16);

    pub(crate) const fn table(index: u16) -> Self {
        Self { node: Node::Table(index), field: FieldFacts { flags: 0, merge_key: None } }
    }

    pub(crate) fn crd(schema: &'a CrdSchema, index: u32) -> Self {
        Self { node: Node::Crd(schema, index), field: FieldFacts::default() }
    }

    /// What kind of type it is.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self.node {
            Node::Table(index) => match type_record(index).u8(0) {
                tag::STRUCT => Shape::Struct,
                tag::MAP => Shape::Map,
                tag::LIST => Shape::List,
                leaf => Scalar::of_tag(leaf).map_or(Shape::Any, Shape::Scalar),
            },
            Node::Crd(schema, index) => schema.node(index).shape,
        }
    }

    /// The form of a leaf, if it is one.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        match self.shape() {
            Shape::Scalar(scalar) => Some(scalar),
            Shape::Struct | Shape::Map | Shape::List | Shape::Any => None,
        }
    }

    /// The type under a key: a struct's field, a map's values. `None` if the schema knows no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Self> {
        match self.node {
            Node::Table(index) => {
                let record = type_record(index);
                match record.u8(0) {
                    tag::STRUCT => field_index(record, name).map(|index| table_field(index).of),
                    tag::MAP => Some(Self::table(record.u16(2))),
                    tag::ANY | tag::ANY_ATOMIC => Some(*self),
                    _ => None,
                }
            }
            Node::Crd(schema, index) => schema.field(index, name),
        }
    }

    /// The type at the end of a path of keys.
    #[must_use]
    pub fn lookup(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(*self, |at, key| at.field(key))
    }

    /// A struct's field with its facts.
    #[must_use]
    pub fn struct_field(&self, name: &str) -> Option<Field<'a>> {
        match self.node {
            Node::Table(index) => {
                let record = type_record(index);
                (record.u8(0) == tag::STRUCT).then(|| field_index(record, name).map(table_field))?
            }
            Node::Crd(schema, index) => schema.struct_field(index, name),
        }
    }

    /// The fields of a struct, by name.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let node = self.node;
        let count = match node {
            Node::Table(index) => {
                let record = type_record(index);
                if record.u8(0) == tag::STRUCT { record.u16(4) as usize } else { 0 }
            }
            Node::Crd(schema, index) => schema.node(index).fields.len(),
        };
        (0..count).map(move |position| match node {
            Node::Table(index) => table_field(type_record(index).u16(2) as usize + position),
            Node::Crd(schema, index) => schema.field_at(index, position),
        })
    }

    /// The type of a map's values, or of fields that a struct does not name but keeps.
    #[must_use]
    pub fn values(&self) -> Option<Self> {
        match self.node {
            Node::Table(index) => {
                let record = type_record(index);
                match record.u8(0) {
                    tag::MAP => Some(Self::table(record.u16(2))),
                    tag::ANY | tag::ANY_ATOMIC => Some(*self),
                    _ => None,
                }
            }
            Node::Crd(schema, index) => schema.values(index),
        }
    }

    /// The type of fields that the schema does not name and that pruning keeps; `None` if it drops them.
    ///
    /// For merging [`TypeRef::values`] counts, which is wider in the schemas of CRDs: an object of which
    /// nothing is said is free-form there, while pruning empties it.
    #[must_use]
    pub fn undeclared(&self) -> Option<Self> {
        match self.node {
            Node::Table(_) => self.values(),
            Node::Crd(schema, index) => schema.undeclared(index),
        }
    }

    /// The type of a list's items.
    #[must_use]
    pub fn items(&self) -> Option<Self> {
        match self.node {
            Node::Table(index) => {
                let record = type_record(index);
                match record.u8(0) {
                    tag::LIST => Some(Self::table(record.u16(2))),
                    tag::ANY | tag::ANY_ATOMIC => Some(*self),
                    _ => None,
                }
            }
            Node::Crd(schema, index) => schema.items(index),
        }
    }

    /// How items of the list are told apart; [`ListType::Atomic`] for anything but a list.
    #[must_use]
    pub fn list_type(&self) -> ListType {
        match self.node {
            Node::Table(index) => match type_record(index).u8(1) {
                flags if flags & type_flag::SET != 0 => ListType::Set,
                flags if flags & type_flag::KEYED != 0 => ListType::Map,
                _ => ListType::Atomic,
            },
            Node::Crd(schema, index) => schema.node(index).list_type,
        }
    }

    /// The fields that identify an item of a list of [`ListType::Map`], in the schema's order.
    pub fn map_keys(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        let node = self.node;
        let (from, count) = match node {
            Node::Table(index) => {
                let record = type_record(index);
                if record.u8(0) == tag::LIST { (record.u16(4), record.u16(6)) } else { (0, 0) }
            }
            Node::Crd(schema, index) => (0, schema.node(index).map_keys.len() as u16),
        };
        (from..from + count).map(move |position| match node {
            Node::Table(_) => table::text(table::record(Section::Lists, 2, position.into()).u16(0)),
            Node::Crd(schema, index) => schema.node(index).map_keys[usize::from(position)].as_str(),
        })
    }

    /// Says whether a struct or map is always taken as a whole.
    #[must_use]
    pub fn is_atomic(&self) -> bool {
        match self.node {
            Node::Table(index) => {
                let record = type_record(index);
                let atomic = record.u8(0) == tag::ANY_ATOMIC || record.u8(1) & type_flag::ATOMIC != 0;
                atomic && self.field.flags & field_flag::GRANULAR == 0
            }
            Node::Crd(schema, index) => schema.node(index).atomic,
        }
    }

    /// The field that a strategic merge patch matches the items of this list by.
    #[must_use]
    pub fn patch_merge_key(&self) -> Option<&'a str> {
        match self.node {
            Node::Table(_) => self.field.merge_key,
            Node::Crd(schema, index) => schema.node(index).merge_key.as_deref(),
        }
    }

    /// How a strategic merge patch treats this field.
    #[must_use]
    pub fn patch_strategy(&self) -> PatchStrategy {
        if let Some(node) = self.crd_node() {
            return node.patch;
        }
        PatchStrategy {
            merge: self.field.flags & field_flag::MERGE != 0,
            retain_keys: self.field.flags & field_flag::RETAIN_KEYS != 0,
            replace: self.field.flags & field_flag::REPLACE != 0,
        }
    }

    /// The name of a builtin type in OpenAPI documents: `io.k8s.api.core.v1.PodSpec`.
    #[must_use]
    pub fn definition(&self) -> Option<&'static str> {
        match self.node {
            Node::Table(index) => type_record(index).optional_text(8),
            Node::Crd(..) => None,
        }
    }

    /// The OpenAPI node that a CRD wrote for this type, with its validations and defaults.
    #[must_use]
    pub fn openapi(&self) -> Option<&'a soll_yaml::Value> {
        match self.node {
            Node::Table(_) => None,
            Node::Crd(schema, index) => Some(&schema.node(index).openapi),
        }
    }

    /// The node of a CRD's schema, for what only CRDs have.
    pub(crate) fn crd_node(&self) -> Option<&'a CrdNode> {
        match self.node {
            Node::Table(_) => None,
            Node::Crd(schema, index) => Some(schema.node(index)),
        }
    }

    /// Says whether a CRD allows `null` here.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.crd_node().is_some_and(|node| node.nullable)
    }

    /// Says whether a CRD declares a whole object here, with `apiVersion`, `kind` and `metadata`.
    #[must_use]
    pub fn is_embedded_resource(&self) -> bool {
        self.crd_node().is_some_and(|node| node.embedded)
    }
}

impl std::fmt::Debug for TypeRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.definition() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:?}", self.shape()),
        }
    }
}

impl Scalar {
    fn of_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            tag::STRING => Self::String,
            tag::BYTES => Self::Bytes,
            tag::TIME => Self::Time,
            tag::MICRO_TIME => Self::MicroTime,
            tag::INT32 => Self::Int32,
            tag::INT64 => Self::Int64,
            tag::DOUBLE => Self::Double,
            tag::BOOL => Self::Bool,
            tag::QUANTITY => Self::Quantity,
            tag::INT_OR_STRING => Self::IntOrString,
            _ => return None,
        })
    }
}

fn type_record(index: u16) -> Record {
    table::record(Section::Types, layout::TYPE, index.into())
}

fn field_index(of: Record, name: &str) -> Option<usize> {
    let from = usize::from(of.u16(2));
    let range = from..from + usize::from(of.u16(4));
    table::search(Section::Fields, layout::FIELD, range, |field| field.bytes(0).cmp(name.as_bytes()))
}

fn table_field(index: usize) -> Field<'static> {
    let record = table::record(Section::Fields, layout::FIELD, index);
    let flags = record.u16(4);
    let facts = FieldFacts { flags, merge_key: record.optional_text(6) };
    Field {
        name: record.text(0),
        of: TypeRef { node: Node::Table(record.u16(2)), field: facts },
        required: flags & field_flag::REQUIRED != 0,
        emitted: flags & field_flag::EMITTED != 0,
        default: record.optional_text(8),
        number: record.u16(10) & ((1 << layout::INLINED_SHIFT) - 1),
        through: record.u16(10) >> layout::INLINED_SHIFT,
    }
}
