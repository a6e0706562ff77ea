//! How the compiled-in table is laid out: written by `cargo xtask schema-table`, read by this crate.
//!
//! All numbers are little-endian. The file is [`MAGIC`], then the start of each section as `u32` in the
//! order of [`Section`], then the end of the file, then the sections: arrays of records of fixed size.
//! Names and texts are `u16` indexes into [`Section::Strings`]; "optional" ones are one more than the
//! index, and 0 if absent.

/// First bytes of the file; the last one counts versions of the layout.
pub const MAGIC: &[u8; 8] = b"sollkt\0\x01";

/// The sections, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `u32` end of each text in [`Section::Texts`]; texts are sorted and unique.
    Strings,
    /// The bytes of all texts.
    Texts,
    /// Type nodes, [`TYPE`] bytes each.
    Types,
    /// Fields of structs, [`FIELD`] bytes each, sorted by name within a struct.
    Fields,
    /// Lists of texts: map keys, short names, categories; `u16` each.
    Lists,
    /// Named types, `[name, type]`, sorted by name.
    Definitions,
    /// Kinds, [`KIND`] bytes each, sorted by group, kind, version.
    Kinds,
    /// Group versions in the order of discovery, [`GROUP_VERSION`] bytes each.
    GroupVersions,
    /// Resources, [`RESOURCE`] bytes each, in the order of discovery.
    Resources,
    /// Subresources, [`SUBRESOURCE`] bytes each.
    Subresources,
}

/// Number of sections.
pub const SECTIONS: usize = 10;

/// Size of a type node: `tag: u8, flags: u8, a, b, c, definition name (optional)`.
///
/// Struct: fields from `a`, `b` of them. Map: values of type `a`. List: items of type `a`, keys from `b`
/// in [`Section::Lists`], `c` of them.
pub const TYPE: usize = 10;
/// Size of a field: `name, type, flags, merge key (optional), default as JSON (optional), protobuf number`.
pub const FIELD: usize = 12;
/// Size of a definition: `name, type`.
pub const DEFINITION: usize = 4;
/// Size of a kind: `group, version, kind, type, resource (optional)`.
pub const KIND: usize = 10;
/// Size of a group version: `group, version, first resource, number of resources`.
pub const GROUP_VERSION: usize = 8;
/// Size of a resource: `plural, singular, kind, group version, flags, verbs, short names from, count,
/// categories from, count, subresources from, count, storage version hash (optional)`.
pub const RESOURCE: usize = 26;
/// Size of a subresource: `name, group, version, kind, verbs`.
pub const SUBRESOURCE: usize = 10;

/// Tags of type nodes. The scalars stand at the index that equals their tag.
pub mod tag {
    /// Anything; maps merge by key, lists as a whole.
    pub const ANY: u8 = 0;
    /// Anything, always taken as a whole.
    pub const ANY_ATOMIC: u8 = 1;
    /// Text.
    pub const STRING: u8 = 2;
    /// Bytes, as base64 text.
    pub const BYTES: u8 = 3;
    /// A time in whole seconds.
    pub const TIME: u8 = 4;
    /// A time in microseconds.
    pub const MICRO_TIME: u8 = 5;
    /// A whole number of 32 bits.
    pub const INT32: u8 = 6;
    /// A whole number of 64 bits.
    pub const INT64: u8 = 7;
    /// A number.
    pub const DOUBLE: u8 = 8;
    /// True or false.
    pub const BOOL: u8 = 9;
    /// A quantity: `100m`, `1Gi`.
    pub const QUANTITY: u8 = 10;
    /// A whole number or text.
    pub const INT_OR_STRING: u8 = 11;
    /// First tag that is no leaf.
    pub const LEAVES: u8 = 12;
    /// Named fields.
    pub const STRUCT: u8 = 20;
    /// Any keys, values of one type.
    pub const MAP: u8 = 21;
    /// A list.
    pub const LIST: u8 = 22;
}

/// Flags of type nodes.
pub mod type_flag {
    /// Struct or map: always taken as a whole.
    pub const ATOMIC: u8 = 1;
    /// List: a set of scalars.
    pub const SET: u8 = 2;
    /// List: items identified by keys.
    pub const KEYED: u8 = 4;
}

/// Flags of fields.
pub mod field_flag {
    /// Must be there.
    pub const REQUIRED: u16 = 1;
    /// Written even if empty: Go's value fields without `omitempty`.
    pub const EMITTED: u16 = 2;
    /// Patch strategy `merge`.
    pub const MERGE: u16 = 4;
    /// Patch strategy `retainKeys`.
    pub const RETAIN_KEYS: u16 = 8;
    /// Patch strategy `replace`.
    pub const REPLACE: u16 = 16;
    /// The field is not taken as a whole, whatever its type says.
    pub const GRANULAR: u16 = 32;
}

/// Flags of resources.
pub mod resource_flag {
    /// Objects live in namespaces.
    pub const NAMESPACED: u16 = 1;
}

/// Protobuf numbers of fields that Go inlines are `number of the inlined message << this | own number`.
pub const INLINED_SHIFT: u16 = 10;

/// Verbs in the order of their bits.
pub const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
