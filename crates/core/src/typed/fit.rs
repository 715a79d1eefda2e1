//! Whether a value is of a declared type: strictly, part by part, structs by key.

use super::nodes::{Id, MUXED_ID, Node, Nodes, Struct};
use crate::xdr::discriminants::{SCAddressType, SCErrorType, SCSpecType as Type, SCValType as Val};
use crate::xdr::layout::SCVal;
use crate::xdr::{self, Input, between, skip};

/// How deep values may nest in values; the host allows contracts no more than a hundred.
const MAX_DEPTH: u32 = 200;

/// Steps one comparison may take: what several definitions of a name allow may not multiply.
const MAX_STEPS: u32 = 1 << 20;

/// The parts of a map, looked up by name: in the order of names at no cost.
#[derive(Clone, Copy)]
pub struct Entries<'a> {
    count: u32,
    first: Input<'a>,
    next: Input<'a>,
    left: u32,
}

impl<'a> Entries<'a> {
    /// The entries of an SCVal that is a map.
    pub fn of(value: Input<'a>) -> Option<Self> {
        let (present, body) = xdr::present(xdr::arm(value, Val::MAP)?)?;
        Self::of_body(body).filter(|_| present)
    }

    /// The entries of an SCMap.
    pub fn of_body(body: Input<'a>) -> Option<Self> {
        let (count, first) = xdr::u32(body)?;
        Some(Self { count, first, next: first, left: count })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The next key and value.
    pub fn advance(&mut self) -> Option<(Input<'a>, Input<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let key = self.next;
        let value = skip::<SCVal>(key)?;
        self.next = skip::<SCVal>(value)?;
        Some((between(key, value), between(value, self.next)))
    }

    /// The value whose key is a symbol of this name.
    pub fn find(&mut self, name: &[u8]) -> Option<Input<'a>> {
        for _ in 0..self.count {
            if self.left == 0 {
                (self.next, self.left) = (self.first, self.count);
            }
            let (key, value) = self.advance()?;
            let symbol = xdr::arm(key, Val::SYMBOL).and_then(xdr::opaque);
            if symbol.is_some_and(|(symbol, _)| symbol == name) {
                return Some(value);
            }
        }
        None
    }
}

/// The number of elements of an SCVal that is a vector, and the first.
pub fn elements(value: Input<'_>) -> Option<(u32, Input<'_>)> {
    let (present, body) = xdr::present(xdr::arm(value, Val::VEC)?)?;
    xdr::u32(body).filter(|_| present)
}

/// Compares values with types.
pub struct Fit<'n> {
    nodes: &'n Nodes,
    steps: u32,
}

impl<'n> Fit<'n> {
    /// Compare with these types.
    pub fn new(nodes: &'n Nodes) -> Self {
        Self { nodes, steps: MAX_STEPS }
    }

    /// Whether a whole SCVal is of the type.
    pub fn whole(&mut self, id: Id, value: Input<'_>) -> bool {
        self.value(id, value, MAX_DEPTH).is_some_and(<[u8]>::is_empty)
    }

    /// Whether a value may be left out.
    pub fn optional(&self, id: Id) -> bool {
        matches!(self.nodes.get(id), Node::Option(_) | Node::Plain(Type::VOID))
    }

    /// Pass over the SCVal that the bytes begin with if it is of the type.
    fn value<'a>(&mut self, id: Id, bytes: Input<'a>, depth: u32) -> Option<Input<'a>> {
        self.steps = self.steps.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let nodes = self.nodes;
        match nodes.get(id) {
            Node::Plain(arm) => plain(*arm, bytes),
            Node::BytesN(count) => {
                let (value, rest) = xdr::opaque(xdr::arm(bytes, Val::BYTES)?)?;
                (value.len() == *count as usize).then_some(rest)
            }
            Node::Option(one) => match xdr::arm(bytes, Val::VOID) {
                Some(rest) => Some(rest),
                None => self.value(*one, bytes, depth),
            },
            Node::Result(one) => match xdr::arm(bytes, Val::ERROR) {
                Some(_) => skip::<SCVal>(bytes),
                None => self.value(*one, bytes, depth),
            },
            Node::Enum(cases) => listed(cases, xdr::arm(bytes, Val::U32)?),
            Node::ErrorEnum(cases) => {
                listed(cases, xdr::arm(xdr::arm(bytes, Val::ERROR)?, SCErrorType::CONTRACT)?)
            }
            node => self.parts(node, bytes, depth),
        }
    }

    /// A type that is made of others.
    fn parts<'a>(&mut self, node: &Node, bytes: Input<'a>, depth: u32) -> Option<Input<'a>> {
        match node {
            Node::Vec(one) => {
                let (count, rest) = elements(bytes)?;
                (0..count).try_fold(rest, |rest, _| self.value(*one, rest, depth))
            }
            Node::Map(key, value) => {
                let entries = Entries::of(bytes)?;
                (0..entries.count).try_fold(entries.first, |rest, _| {
                    let rest = self.value(*key, rest, depth)?;
                    self.value(*value, rest, depth)
                })
            }
            Node::Tuple(types) => {
                let (count, rest) = elements(bytes)?;
                self.items(types, count as usize, rest, depth)
            }
            Node::Struct(parts) => self.fields(parts, bytes, depth),
            Node::Union(cases) => {
                let (count, rest) = elements(bytes)?;
                let count = count.checked_sub(1)?;
                let (name, rest) = xdr::opaque(xdr::arm(rest, Val::SYMBOL)?)?;
                let case = cases.iter().find(|case| case.name == name)?;
                self.items(&case.values, count as usize, rest, depth)
            }
            Node::Any(definitions) => {
                definitions.iter().find_map(|one| self.value(*one, bytes, depth))
            }
            _ => None,
        }
    }

    fn items<'a>(
        &mut self,
        types: &[Id],
        count: usize,
        bytes: Input<'a>,
        depth: u32,
    ) -> Option<Input<'a>> {
        if types.len() != count {
            return None;
        }
        types.iter().try_fold(bytes, |rest, one| self.value(*one, rest, depth))
    }

    /// Whether values one after another are of these types, to the last byte.
    pub fn arguments(&mut self, types: &[Id], count: usize, bytes: Input<'_>) -> bool {
        self.items(types, count, bytes, MAX_DEPTH).is_some_and(<[u8]>::is_empty)
    }

    fn fields<'a>(&mut self, parts: &Struct, bytes: Input<'a>, depth: u32) -> Option<Input<'a>> {
        let mut entries = Entries::of(bytes)?;
        let tolerant = self.nodes.tolerant;
        if !tolerant && entries.count() != parts.fields.len() {
            return None;
        }
        for place in &parts.sorted {
            let (name, id) = parts.fields.get(*place)?;
            self.steps = self.steps.checked_sub(1)?;
            match entries.find(name) {
                Some(value) => self.value(*id, value, depth).filter(|rest| rest.is_empty())?,
                None if tolerant && self.optional(*id) => &[],
                None => return None,
            };
        }
        skip::<SCVal>(bytes)
    }
}

/// Pass over a number that is one of an enum's.
fn listed<'a>(cases: &[(u32, Vec<u8>)], bytes: Input<'a>) -> Option<Input<'a>> {
    let (number, rest) = xdr::u32(bytes)?;
    cases.iter().any(|(known, _)| *known == number).then_some(rest)
}

/// Pass over an SCVal of a type without parts.
fn plain(arm: u32, bytes: Input<'_>) -> Option<Input<'_>> {
    let (tag, body) = xdr::u32(bytes)?;
    let wanted = match arm {
        Type::VAL => return skip::<SCVal>(bytes),
        MUXED_ID if matches!(tag, Val::U64 | Val::STRING | Val::BYTES) => tag,
        Type::BOOL => Val::BOOL,
        Type::VOID => Val::VOID,
        Type::ERROR => Val::ERROR,
        Type::U32 => Val::U32,
        Type::I32 => Val::I32,
        Type::U64 => Val::U64,
        Type::I64 => Val::I64,
        Type::TIMEPOINT => Val::TIMEPOINT,
        Type::DURATION => Val::DURATION,
        Type::U128 => Val::U128,
        Type::I128 => Val::I128,
        Type::U256 => Val::U256,
        Type::I256 => Val::I256,
        Type::BYTES => Val::BYTES,
        Type::STRING => Val::STRING,
        Type::SYMBOL => Val::SYMBOL,
        Type::ADDRESS | Type::MUXED_ADDRESS => Val::ADDRESS,
        _ => return None,
    };
    if tag != wanted || arm == Type::ADDRESS && is_muxed(body) {
        return None;
    }
    skip::<SCVal>(bytes)
}

fn is_muxed(address: Input<'_>) -> bool {
    xdr::u32(address).is_some_and(|(kind, _)| {
        matches!(kind, SCAddressType::MUXED_ACCOUNT | SCAddressType::MUXED_CONTRACT)
    })
}
