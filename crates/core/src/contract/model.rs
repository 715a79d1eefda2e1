//! A contract's interface as declared (Stellar-contract-spec.x): its types and events.

use crate::contract::wasm::custom_section;
use crate::xdr::discriminants::{
    SCSpecEntryKind, SCSpecEventDataFormat, SCSpecEventParamLocation, SCSpecType,
    SCSpecUDTUnionCaseV0Kind,
};
use crate::xdr::{self, Input};

/// How deep types may nest in types; a hundred is more than any compiler takes.
const MAX_DEPTH: u32 = 100;

/// An arm this far up is no newer one: the protocol's lie in the thousands at most.
const MAX_ARM: u32 = 1 << 16;

/// Why a contract has no interface that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The code has no section for it.
    #[error("absent: the code has no section contractspecv0")]
    Absent,
    /// It is cut short, too large, or not made of entries.
    #[error("malformed: byte {offset} of the section contractspecv0 does not begin what it should")]
    Malformed {
        /// Bytes from the start of the section.
        offset: usize,
    },
    /// The module around it is damaged.
    #[error("malformed: the code is not WebAssembly to its end")]
    Damaged,
    /// It has an entry or a type that is not known here.
    #[error(
        "newer than this version knows: arm {arm} at byte {offset} of the section contractspecv0"
    )]
    Newer {
        /// The arm that is not known.
        arm: u32,
        /// Bytes from the start of the section.
        offset: usize,
    },
}

/// SCSpecTypeDef
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A type without parts, by its SCSpecType.
    Plain(u32),
    /// T or void.
    Option(Box<Type>),
    /// T or an error.
    Result(Box<Type>, Box<Type>),
    /// Any number of T.
    Vec(Box<Type>),
    /// Keys and values.
    Map(Box<Type>, Box<Type>),
    /// One of each, in order.
    Tuple(Vec<Type>),
    /// So many bytes.
    BytesN(u32),
    /// A type of the contract, by name.
    Named(Vec<u8>),
}

/// A name and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As declared; any bytes.
    pub name: Vec<u8>,
    /// Its type.
    pub kind: Type,
}

/// What a type of the contract is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Named fields; a tuple where the names are 0, 1, ….
    Struct(Vec<Field>),
    /// Cases, each with values.
    Union(Vec<(Vec<u8>, Vec<Type>)>),
    /// Named numbers.
    Enum(Vec<(Vec<u8>, u32)>),
    /// Named codes of errors.
    ErrorEnum(Vec<(Vec<u8>, u32)>),
}

/// How an event's data holds its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Void, or the one value.
    Single,
    /// A vector of the values.
    Vec,
    /// A map of them by name.
    Map,
}

/// SCSpecEventParamV0
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Name and type.
    pub field: Field,
    /// Whether it is a topic, and not in the data.
    pub topic: bool,
}

/// SCSpecEventV0
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// As declared.
    pub name: Vec<u8>,
    /// What the first topics are.
    pub prefix: Vec<Vec<u8>>,
    /// In the order declared.
    pub params: Vec<Param>,
    /// How the data holds them.
    pub format: Format,
}

/// The interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// In the order declared; a name may come twice.
    pub types: Vec<(Vec<u8>, Definition)>,
    /// In the order declared; a name may come twice.
    pub events: Vec<Event>,
    /// Version of the Rust SDK the code was built with.
    pub sdk: Option<(u32, u32)>,
}

impl Model {
    /// The interface that code holds.
    pub fn of(code: &[u8]) -> Result<Self, Unusable> {
        let section = custom_section(code, b"contractspecv0").map_err(|_| Unusable::Damaged)?;
        let section = section.ok_or(Unusable::Absent)?;
        let mut model = Self::of_section(&section)?;
        model.sdk =
            custom_section(code, b"contractmetav0").ok().flatten().and_then(|meta| sdk(&meta));
        Ok(model)
    }

    /// The interface of entries one after another.
    pub fn of_section(section: &[u8]) -> Result<Self, Unusable> {
        let mut reader = Reader { section, rest: section };
        let mut model = Self::default();
        while !reader.rest.is_empty() {
            reader.entry(&mut model)?;
        }
        Ok(model)
    }
}

/// `rssdkver` of SCMetaEntry entries, such as `23.0.1#commit`.
fn sdk(mut meta: Input<'_>) -> Option<(u32, u32)> {
    while !meta.is_empty() {
        let (key, value) = xdr::opaque(xdr::arm(meta, 0)?)?;
        let (value, rest) = xdr::opaque(value)?;
        meta = rest;
        if key == b"rssdkver" {
            let mut numbers = std::str::from_utf8(value).ok()?.split('.');
            return Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?));
        }
    }
    None
}

struct Reader<'a> {
    section: Input<'a>,
    rest: Input<'a>,
}

type Read<T> = Result<T, Unusable>;

impl Reader<'_> {
    fn offset(&self) -> usize {
        self.section.len() - self.rest.len()
    }

    fn malformed(&self) -> Unusable {
        Unusable::Malformed { offset: self.offset() }
    }

    fn number(&mut self) -> Read<u32> {
        let (number, rest) = xdr::u32(self.rest).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(number)
    }

    fn text(&mut self, most: usize) -> Read<Vec<u8>> {
        let found = xdr::opaque(self.rest).filter(|(text, _)| text.len() <= most);
        let (text, rest) = found.ok_or_else(|| self.malformed())?;
        let text = text.to_vec();
        self.rest = rest;
        Ok(text)
    }

    /// The error for an arm that has just been read.
    fn unknown<T>(&self, arm: u32) -> Read<T> {
        let offset = self.offset() - 4;
        Err(if arm < MAX_ARM {
            Unusable::Newer { arm, offset }
        } else {
            Unusable::Malformed { offset }
        })
    }

    fn list<T>(&mut self, most: u32, mut one: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let at = self.malformed();
        let count = self.number()?;
        if count > most || count as usize > self.rest.len() {
            return Err(at);
        }
        (0..count).map(|_| one(self)).collect()
    }

    fn entry(&mut self, model: &mut Model) -> Read<()> {
        let kind = self.number()?;
        if kind > SCSpecEntryKind::EVENT_V0 {
            return self.unknown(kind);
        }
        self.text(1024)?;
        if kind == SCSpecEntryKind::FUNCTION_V0 {
            self.text(32)?;
            self.list(u32::MAX, Self::field)?;
            self.list(1, |reader| reader.kind(MAX_DEPTH))?;
            return Ok(());
        }
        self.text(80)?;
        let name = self.text(1024)?;
        let definition = match kind {
            SCSpecEntryKind::UDT_STRUCT_V0 => Definition::Struct(self.list(u32::MAX, Self::field)?),
            SCSpecEntryKind::UDT_UNION_V0 => Definition::Union(self.list(u32::MAX, Self::case)?),
            SCSpecEntryKind::UDT_ENUM_V0 => Definition::Enum(self.list(u32::MAX, Self::named)?),
            SCSpecEntryKind::UDT_ERROR_ENUM_V0 => {
                Definition::ErrorEnum(self.list(u32::MAX, Self::named)?)
            }
            _ => {
                let event = self.event(name)?;
                model.events.push(event);
                return Ok(());
            }
        };
        model.types.push((name, definition));
        Ok(())
    }

    fn field(&mut self) -> Read<Field> {
        self.text(1024)?;
        Ok(Field { name: self.text(30)?, kind: self.kind(MAX_DEPTH)? })
    }

    fn case(&mut self) -> Read<(Vec<u8>, Vec<Type>)> {
        let kind = self.number()?;
        if kind > SCSpecUDTUnionCaseV0Kind::TUPLE_V0 {
            return self.unknown(kind);
        }
        self.text(1024)?;
        let name = self.text(60)?;
        let types = match kind {
            SCSpecUDTUnionCaseV0Kind::VOID_V0 => Vec::new(),
            _ => self.list(u32::MAX, |reader| reader.kind(MAX_DEPTH))?,
        };
        Ok((name, types))
    }

    fn named(&mut self) -> Read<(Vec<u8>, u32)> {
        self.text(1024)?;
        Ok((self.text(60)?, self.number()?))
    }

    fn event(&mut self, name: Vec<u8>) -> Read<Event> {
        let prefix = self.list(2, |reader| reader.text(32))?;
        let params = self.list(u32::MAX, |reader| {
            let field = reader.field()?;
            let location = reader.number()?;
            match location {
                SCSpecEventParamLocation::DATA => Ok(Param { field, topic: false }),
                SCSpecEventParamLocation::TOPIC_LIST => Ok(Param { field, topic: true }),
                _ => reader.unknown(location),
            }
        })?;
        let arm = self.number()?;
        let format = match arm {
            SCSpecEventDataFormat::SINGLE_VALUE => Format::Single,
            SCSpecEventDataFormat::VEC => Format::Vec,
            SCSpecEventDataFormat::MAP => Format::Map,
            _ => return self.unknown(arm),
        };
        Ok(Event { name, prefix, params, format })
    }

    fn kind(&mut self, depth: u32) -> Read<Type> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.malformed())?;
        let arm = self.number()?;
        Ok(match arm {
            SCSpecType::OPTION => Type::Option(self.boxed(depth)?),
            SCSpecType::RESULT => Type::Result(self.boxed(depth)?, self.boxed(depth)?),
            SCSpecType::VEC => Type::Vec(self.boxed(depth)?),
            SCSpecType::MAP => Type::Map(self.boxed(depth)?, self.boxed(depth)?),
            SCSpecType::TUPLE => Type::Tuple(self.list(12, |reader| reader.kind(depth))?),
            SCSpecType::BYTES_N => Type::BytesN(self.number()?),
            SCSpecType::UDT => Type::Named(self.text(1024)?),
            // 15 and 18 are no type.
            _ if arm <= SCSpecType::MUXED_ADDRESS && arm != 15 && arm != 18 => Type::Plain(arm),
            _ => return self.unknown(arm),
        })
    }

    fn boxed(&mut self, depth: u32) -> Read<Box<Type>> {
        self.kind(depth).map(Box::new)
    }
}
