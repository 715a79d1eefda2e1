//! What columns a declared type becomes, and how a value of it is written to each.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::nodes::{Case, Id, MUXED_ID, Node, Nodes};
use crate::values::escape;
use crate::xdr::discriminants::SCSpecType as Type;

/// Types in types that become columns in columns; what is deeper becomes XDR-JSON.
const MAX_DEPTH: usize = 8;

/// Columns one declared value may become; what is wider becomes XDR-JSON.
const MAX_COLUMNS: usize = 2048;

/// The longest byte array that is a fixed-size column.
const MAX_FIXED: u32 = 4096;

/// A column, and how a value is written to it.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The column's name.
    pub name: String,
    /// How a value is written.
    pub kind: Kind,
}

/// Parts of a value, each written to columns of its own.
#[derive(Debug, Clone)]
pub struct Part {
    /// What finds the part: a field's name, a case's symbol.
    pub key: Vec<u8>,
    /// Its columns.
    pub writers: Vec<Writer>,
}

/// How a value is written.
#[derive(Debug, Clone)]
pub enum Kind {
    Bool,
    U32,
    I32,
    U64,
    I64,
    /// A time, null after the year 9999.
    Timestamp,
    /// i128 (or u128), null at the 39th digit.
    Decimal {
        signed: bool,
    },
    /// Any integer, in digits.
    Digits,
    Bytes,
    BytesN(u32),
    /// Escaped as SEP-51.
    String,
    Symbol,
    Address,
    EnumNumber,
    EnumName(Vec<(u32, String)>),
    /// A muxed id as text: digits, the text, or hex.
    MuxedId,
    /// Its type: id, text or hash.
    MuxedType,
    /// XDR-JSON.
    Json,
    List(Box<Writer>),
    /// A map: keys' and values' columns.
    Entries {
        keys: Vec<Writer>,
        values: Vec<Writer>,
    },
    /// Values one after another in a vector.
    Tuple(Vec<Part>),
    /// Fields by name, in the order declared, and their places in the order of names.
    Struct {
        fields: Vec<Part>,
        sorted: Vec<usize>,
    },
    /// Cases by name, and whether its values stand in a struct of their own.
    Union(Vec<Part>),
    /// The values of a union's case, one after another.
    Values(Vec<Part>),
}

impl Writer {
    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }

    /// The Arrow field.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.kind.data_type(), true)
    }
}

/// The writers of parts, in order.
pub fn of_parts(parts: &[Part]) -> impl Iterator<Item = &Writer> {
    parts.iter().flat_map(|part| &part.writers)
}

fn fields<'w>(writers: impl Iterator<Item = &'w Writer>) -> Fields {
    writers.map(Writer::field).collect()
}

impl Kind {
    /// The Arrow type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::U32 | Self::EnumNumber => DataType::UInt32,
            Self::I32 => DataType::Int32,
            Self::U64 => DataType::UInt64,
            Self::I64 => DataType::Int64,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
            Self::Decimal { .. } => DataType::Decimal128(38, 0),
            Self::Bytes => DataType::Binary,
            Self::BytesN(count) => DataType::FixedSizeBinary(*count as i32),
            Self::Digits | Self::String | Self::Symbol | Self::Address | Self::EnumName(_) => {
                DataType::Utf8
            }
            Self::MuxedId | Self::MuxedType | Self::Json => DataType::Utf8,
            Self::List(item) => DataType::List(Arc::new(item.field())),
            Self::Entries { keys, values } => {
                let entry = DataType::Struct(fields(keys.iter().chain(values)));
                DataType::List(Arc::new(Field::new("item", entry, true)))
            }
            Self::Tuple(parts) | Self::Values(parts) | Self::Struct { fields: parts, .. } => {
                DataType::Struct(fields(of_parts(parts)))
            }
            Self::Union(cases) => {
                let tag = Writer::new("tag", Self::Symbol);
                DataType::Struct(fields(std::iter::once(&tag).chain(of_parts(cases))))
            }
        }
    }
}

/// Makes the columns of declared types.
pub struct Expansion<'n> {
    nodes: &'n Nodes,
    path: Vec<Id>,
    made: usize,
}

impl<'n> Expansion<'n> {
    /// Columns of these types.
    pub fn new(nodes: &'n Nodes) -> Self {
        Self { nodes, path: Vec::new(), made: 0 }
    }

    /// The columns of a type: one, two where one cannot hold all, none for void.
    pub fn of(&mut self, name: &str, id: Id) -> Vec<Writer> {
        self.made += 1;
        let too_deep = self.path.len() >= MAX_DEPTH || self.made > MAX_COLUMNS;
        if too_deep || self.path.contains(&id) {
            return vec![Writer::new(name, Kind::Json)];
        }
        self.path.push(id);
        let writers = self.node(name, id);
        self.path.pop();
        writers
    }

    fn node(&mut self, name: &str, id: Id) -> Vec<Writer> {
        let nodes = self.nodes;
        let kind = match nodes.get(id) {
            Node::Plain(arm) => return plain(name, *arm),
            Node::BytesN(count @ 1..=MAX_FIXED) => Kind::BytesN(*count),
            Node::BytesN(_) => Kind::Bytes,
            Node::Option(one) => return self.of(name, *one),
            Node::Result(_) | Node::Any(_) => Kind::Json,
            Node::Vec(one) => return self.list(name, *one),
            Node::Map(key, value) => {
                let (keys, values) = (self.of("key", *key), self.of("value", *value));
                match keys.is_empty() || values.is_empty() {
                    true => Kind::Json,
                    false => Kind::Entries { keys, values },
                }
            }
            Node::Tuple(types) => some(self.items(types), Kind::Tuple),
            Node::Struct(parts) => {
                let named = parts.fields.iter().map(|(name, id)| (name.clone(), *id));
                let sorted = parts.sorted.clone();
                some(self.parts(named, &[]), |fields| Kind::Struct { fields, sorted })
            }
            Node::Union(cases) => Kind::Union(self.cases(cases)),
            Node::Enum(cases) | Node::ErrorEnum(cases) => {
                let named = |(number, name): &(u32, Vec<u8>)| (*number, escape::text(name).into());
                let names = Kind::EnumName(cases.iter().map(named).collect());
                return pair(name, Kind::EnumNumber, "name", names);
            }
        };
        vec![Writer::new(name, kind)]
    }

    fn list(&mut self, name: &str, one: Id) -> Vec<Writer> {
        let items = self.of("item", one);
        if items.is_empty() {
            return vec![Writer::new(name, Kind::Json)];
        }
        let list = |mut item: Writer| {
            let suffix = item.name.split_off("item".len());
            item.name = "item".into();
            Writer::new(format!("{name}{suffix}"), Kind::List(Box::new(item)))
        };
        items.into_iter().map(list).collect()
    }

    fn items(&mut self, types: &[Id]) -> Vec<Part> {
        let numbered = types.iter().enumerate();
        self.parts(numbered.map(|(place, id)| (place.to_string().into_bytes(), *id)), &[])
    }

    fn parts(&mut self, named: impl Iterator<Item = (Vec<u8>, Id)>, taken: &[&str]) -> Vec<Part> {
        let mut names = Names::new(taken.iter().copied());
        let mut parts: Vec<_> = named
            .map(|(key, id)| Part { writers: self.of(&escape::text(&key), id), key })
            .collect();
        names.settle(parts.iter_mut().map(|part| &mut part.writers));
        parts
    }

    fn cases(&mut self, cases: &[Case]) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for case in cases {
            let name = escape::text(&case.name);
            let writers = match case.values.as_slice() {
                [] => Vec::new(),
                [one] => self.of(&name, *one),
                several => match self.items(several) {
                    parts if of_parts(&parts).next().is_none() => Vec::new(),
                    parts => vec![Writer::new(name, Kind::Values(parts))],
                },
            };
            parts.push(Part { key: case.name.clone(), writers });
        }
        Names::new(["tag"]).settle(parts.iter_mut().map(|part| &mut part.writers));
        parts
    }
}

/// A struct without columns cannot be kept in files.
fn some(parts: Vec<Part>, kind: impl FnOnce(Vec<Part>) -> Kind) -> Kind {
    if of_parts(&parts).next().is_none() { Kind::Json } else { kind(parts) }
}

fn pair(name: &str, first: Kind, suffix: &str, second: Kind) -> Vec<Writer> {
    vec![Writer::new(name, first), Writer::new(format!("{name}_{suffix}"), second)]
}

/// The columns of a type without parts.
pub fn plain(name: &str, arm: u32) -> Vec<Writer> {
    let kind = match arm {
        Type::VOID => return Vec::new(),
        Type::BOOL => Kind::Bool,
        Type::U32 => Kind::U32,
        Type::I32 => Kind::I32,
        Type::U64 | Type::DURATION => Kind::U64,
        Type::I64 => Kind::I64,
        Type::TIMEPOINT => return pair(name, Kind::Timestamp, "seconds", Kind::U64),
        Type::U128 | Type::I128 => {
            let decimal = Kind::Decimal { signed: arm == Type::I128 };
            return pair(name, decimal, "text", Kind::Digits);
        }
        Type::U256 | Type::I256 => Kind::Digits,
        Type::BYTES => Kind::Bytes,
        Type::STRING => Kind::String,
        Type::SYMBOL => Kind::Symbol,
        Type::ADDRESS | Type::MUXED_ADDRESS => Kind::Address,
        MUXED_ID => return pair(name, Kind::MuxedId, "type", Kind::MuxedType),
        _ => Kind::Json,
    };
    vec![Writer::new(name, kind)]
}

/// Names that are taken among columns side by side.
pub struct Names(HashSet<String>);

impl Names {
    /// These are taken.
    pub fn new<'t>(taken: impl IntoIterator<Item = &'t str>) -> Self {
        Self(taken.into_iter().map(str::to_owned).collect())
    }

    /// The name, with as many underscores behind it as make it one that is not taken.
    pub fn take(&mut self, mut name: String) -> String {
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// Give each column a name of its own: declared names go before those that are derived.
    pub fn settle<'w>(&mut self, groups: impl Iterator<Item = &'w mut Vec<Writer>>) {
        let mut groups: Vec<_> = groups.collect();
        for first in groups.iter_mut().filter_map(|group| group.first_mut()) {
            first.name = self.take(std::mem::take(&mut first.name));
        }
        for derived in groups.into_iter().filter_map(|group| group.get_mut(1..)).flatten() {
            derived.name = self.take(std::mem::take(&mut derived.name));
        }
    }
}
