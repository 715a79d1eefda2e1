//! Declared types made ready to be compared with values: each a node that names its parts by number.

use std::collections::HashMap;

use crate::contract::model::{Definition, Field, Model, Type};
use crate::xdr::discriminants::SCSpecType;

/// A node's place among all.
pub type Id = usize;

/// A type without parts that is not in the protocol: a muxed id of the Stellar Asset Contract.
pub const MUXED_ID: u32 = u32::MAX;

/// A type.
#[derive(Debug, Clone)]
pub enum Node {
    /// By its SCSpecType.
    Plain(u32),
    /// So many bytes.
    BytesN(u32),
    /// T or void.
    Option(Id),
    /// T or an error.
    Result(Id),
    /// Any number of T.
    Vec(Id),
    /// Keys and values.
    Map(Id, Id),
    /// One of each, in order; a struct whose fields are numbers, too.
    Tuple(Vec<Id>),
    /// Fields by name.
    Struct(Struct),
    /// Cases by name.
    Union(Vec<Case>),
    /// Names by number.
    Enum(Vec<(u32, Vec<u8>)>),
    /// Names by an error's code.
    ErrorEnum(Vec<(u32, Vec<u8>)>),
    /// Any of several definitions of one name.
    Any(Vec<Id>),
}

/// Fields by name.
#[derive(Debug, Clone)]
pub struct Struct {
    /// In the order declared.
    pub fields: Vec<(Vec<u8>, Id)>,
    /// Their places in the order of names, which is the order of a map's keys.
    pub sorted: Vec<usize>,
}

/// A case of a union.
#[derive(Debug, Clone)]
pub struct Case {
    /// The symbol it begins with.
    pub name: Vec<u8>,
    /// Types of its values.
    pub values: Vec<Id>,
}

/// All types of a contract.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    nodes: Vec<Node>,
    named: HashMap<Vec<u8>, Id>,
    /// Structs may lack fields that can be void, and have others: contracts of SDK 28 on.
    pub tolerant: bool,
}

impl Nodes {
    /// The types of an interface.
    pub fn of(model: &Model) -> Self {
        let tolerant = model.sdk.is_some_and(|(major, _)| major >= 28);
        let mut made = Self { tolerant, ..Self::default() };
        let mut groups: Vec<(&[u8], Vec<&Definition>)> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for (name, definition) in &model.types {
            let place = *places.entry(name).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, known)) if known.contains(&definition) => {}
                Some((_, known)) => known.push(definition),
                None => groups.push((name, vec![definition])),
            }
        }
        for (name, _) in &groups {
            let id = made.push(Node::Plain(SCSpecType::VAL));
            made.named.insert(name.to_vec(), id);
        }
        for (id, (_, definitions)) in groups.iter().enumerate() {
            let mut nodes: Vec<Node> = definitions.iter().map(|one| made.define(one)).collect();
            let several = nodes.len() > 1;
            let node = match nodes.pop() {
                Some(only) if !several => only,
                last => {
                    Node::Any(nodes.into_iter().chain(last).map(|one| made.push(one)).collect())
                }
            };
            if let Some(place) = made.nodes.get_mut(id) {
                *place = node;
            }
        }
        made
    }

    /// A node; one that is not there takes any value.
    pub fn get(&self, id: Id) -> &Node {
        static ANY: Node = Node::Plain(SCSpecType::VAL);
        self.nodes.get(id).unwrap_or(&ANY)
    }

    /// The node of a type that the contract names.
    pub fn named(&self, name: &[u8]) -> Option<Id> {
        self.named.get(name).copied()
    }

    /// Add a node.
    pub fn push(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The node of a type; a name that nothing defines takes any value.
    pub fn add(&mut self, kind: &Type) -> Id {
        let node = match kind {
            Type::Named(name) => match self.named.get(name) {
                Some(id) => return *id,
                None => Node::Plain(SCSpecType::VAL),
            },
            Type::Plain(arm) => Node::Plain(*arm),
            Type::BytesN(count) => Node::BytesN(*count),
            Type::Option(one) => Node::Option(self.add(one)),
            Type::Result(one, _) => Node::Result(self.add(one)),
            Type::Vec(one) => Node::Vec(self.add(one)),
            Type::Map(key, value) => Node::Map(self.add(key), self.add(value)),
            Type::Tuple(types) => Node::Tuple(self.all(types)),
        };
        self.push(node)
    }

    fn all(&mut self, types: &[Type]) -> Vec<Id> {
        types.iter().map(|one| self.add(one)).collect()
    }

    fn define(&mut self, definition: &Definition) -> Node {
        match definition {
            Definition::Struct(fields) if is_tuple(fields) => {
                Node::Tuple(fields.iter().map(|field| self.add(&field.kind)).collect())
            }
            Definition::Struct(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|one| (one.name.clone(), self.add(&one.kind))).collect();
                Node::Struct(Struct::new(fields))
            }
            Definition::Union(cases) => {
                let case = |(name, types): &(Vec<u8>, Vec<Type>)| Case {
                    name: name.clone(),
                    values: self.all(types),
                };
                Node::Union(cases.iter().map(case).collect())
            }
            Definition::Enum(cases) => Node::Enum(numbered(cases)),
            Definition::ErrorEnum(cases) => Node::ErrorEnum(numbered(cases)),
        }
    }
}

impl Struct {
    /// Fields in the order declared.
    pub fn new(fields: Vec<(Vec<u8>, Id)>) -> Self {
        let mut sorted: Vec<usize> = (0..fields.len()).collect();
        sorted.sort_by_key(|place| fields.get(*place).map(|(name, _)| name));
        Self { fields, sorted }
    }
}

fn numbered(cases: &[(Vec<u8>, u32)]) -> Vec<(u32, Vec<u8>)> {
    cases.iter().map(|(name, number)| (*number, name.clone())).collect()
}

/// A struct whose fields are named 0, 1, … is written as a vector.
fn is_tuple(fields: &[Field]) -> bool {
    let numbered = |(place, field): (usize, &Field)| field.name == place.to_string().as_bytes();
    !fields.is_empty() && fields.iter().enumerate().all(numbered)
}
