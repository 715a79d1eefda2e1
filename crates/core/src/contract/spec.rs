//! A contract's interface (Stellar-contract-spec.x) and meta (Stellar-contract-meta.x) as XDR-JSON
//! (SEP-51), the same text that the official crate's serde gives.

use std::marker::PhantomData;

use crate::values::xdr_json;
use crate::xdr::{self, Input};

/// How deep types may nest in types; a hundred is more than any compiler takes.
const MAX_DEPTH: u32 = 100;

/// An arm this far up is no newer one: the protocol's lie in the thousands at most.
const MOST_ARMS: u32 = 1 << 16;

/// Why bytes could not be written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They end early, nest too deep, or break a limit of their type.
    Malformed,
    /// They hold an arm that is not known here: of a newer protocol, for all that can be told.
    Newer,
}

type Read<'a> = Result<Input<'a>, Fault>;

/// An XDR type that knows to write its encoding as JSON.
pub trait Json {
    /// Write the value the bytes begin with; what follows it comes back.
    fn json<'a>(bytes: Input<'a>, depth: u32, out: &mut Vec<u8>) -> Read<'a>;
}

/// A section of entries as a JSON array; it must be entries to the last byte.
pub fn entries_json<T: Json>(section: impl AsRef<[u8]>) -> Result<String, Fault> {
    let (mut bytes, mut out) = (section.as_ref(), vec![b'[']);
    while !bytes.is_empty() {
        if out.len() > 1 {
            out.push(b',');
        }
        bytes = T::json(bytes, MAX_DEPTH, &mut out)?;
    }
    out.push(b']');
    String::from_utf8(out).map_err(|_| Fault::Malformed)
}

/// string<MAX>
struct Text<const MAX: usize>;

impl<const MAX: usize> Json for Text<MAX> {
    fn json<'a>(bytes: Input<'a>, _: u32, out: &mut Vec<u8>) -> Read<'a> {
        let (text, rest) =
            xdr::opaque(bytes).filter(|(text, _)| text.len() <= MAX).ok_or(Fault::Malformed)?;
        xdr_json::string(out, text);
        Ok(rest)
    }
}

/// uint32
struct Number;

impl Json for Number {
    fn json<'a>(bytes: Input<'a>, _: u32, out: &mut Vec<u8>) -> Read<'a> {
        let (number, rest) = xdr::u32(bytes).ok_or(Fault::Malformed)?;
        out.extend_from_slice(number.to_string().as_bytes());
        Ok(rest)
    }
}

/// T<MAX>
struct List<T, const MAX: u32 = { u32::MAX }>(PhantomData<T>);

impl<T: Json, const MAX: u32> Json for List<T, MAX> {
    fn json<'a>(bytes: Input<'a>, depth: u32, out: &mut Vec<u8>) -> Read<'a> {
        let (count, mut bytes) =
            xdr::u32(bytes).filter(|(count, _)| *count <= MAX).ok_or(Fault::Malformed)?;
        out.push(b'[');
        for index in 0..count {
            if index > 0 {
                out.push(b',');
            }
            bytes = T::json(bytes, depth, out)?;
        }
        out.push(b']');
        Ok(bytes)
    }
}

macro_rules! structs {
    ($($name:ident { $first:ident: $first_type:ty $(, $field:ident: $type:ty)* })*) => {$(
        struct $name;

        impl Json for $name {
            fn json<'a>(bytes: Input<'a>, depth: u32, out: &mut Vec<u8>) -> Read<'a> {
                out.extend_from_slice(concat!("{\"", stringify!($first), "\":").as_bytes());
                let bytes = <$first_type>::json(bytes, depth, out)?;
                $(
                    out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
                    let bytes = <$type>::json(bytes, depth, out)?;
                )*
                out.push(b'}');
                Ok(bytes)
            }
        }
    )*};
}

/// Unions and enums: a value without a type stands as its name alone.
macro_rules! unions {
    ($($(#[$doc:meta])* $visibility:vis $name:ident {
        $($void:literal => $word:literal,)* ; $($tag:literal => $arm:literal: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        $visibility struct $name;

        impl Json for $name {
            fn json<'a>(bytes: Input<'a>, depth: u32, out: &mut Vec<u8>) -> Read<'a> {
                let (tag, rest) = xdr::u32(bytes).ok_or(Fault::Malformed)?;
                let _depth = depth.checked_sub(1).ok_or(Fault::Malformed)?;
                match tag {
                    $($void => {
                        out.extend_from_slice(concat!("\"", $word, "\"").as_bytes());
                        Ok(rest)
                    })*
                    $($tag => {
                        out.extend_from_slice(concat!("{\"", $arm, "\":").as_bytes());
                        let rest = <$type>::json(rest, _depth, out)?;
                        out.push(b'}');
                        Ok(rest)
                    })*
                    _ if tag < MOST_ARMS => Err(Fault::Newer),
                    _ => Err(Fault::Malformed),
                }
            }
        }
    )*};
}

structs! {
    TypeOption { value_type: Type }
    TypeResult { ok_type: Type, error_type: Type }
    TypeVec { element_type: Type }
    TypeMap { key_type: Type, value_type: Type }
    TypeTuple { value_types: List<Type, 12> }
    TypeBytesN { n: Number }
    TypeUdt { name: Text<1024> }
    Field { doc: Text<1024>, name: Text<30>, type: Type }
    Function { doc: Text<1024>, name: Text<32>, inputs: List<Field>, outputs: List<Type, 1> }
    Struct { doc: Text<1024>, lib: Text<80>, name: Text<1024>, fields: List<Field> }
    CaseVoid { doc: Text<1024>, name: Text<60> }
    CaseTuple { doc: Text<1024>, name: Text<60>, type: List<Type> }
    Union { doc: Text<1024>, lib: Text<80>, name: Text<1024>, cases: List<UnionCase> }
    EnumCase { doc: Text<1024>, name: Text<60>, value: Number }
    Enum { doc: Text<1024>, lib: Text<80>, name: Text<1024>, cases: List<EnumCase> }
    EventParam { doc: Text<1024>, name: Text<30>, type: Type, location: Location }
    Event {
        doc: Text<1024>, lib: Text<80>, name: Text<1024>, prefix_topics: List<Text<32>, 2>,
        params: List<EventParam>, data_format: DataFormat
    }
    MetaV0 { key: Text<{ usize::MAX }>, val: Text<{ usize::MAX }> }
}

unions! {
    Type {
        0 => "val", 1 => "bool", 2 => "void", 3 => "error", 4 => "u32", 5 => "i32", 6 => "u64",
        7 => "i64", 8 => "timepoint", 9 => "duration", 10 => "u128", 11 => "i128", 12 => "u256",
        13 => "i256", 14 => "bytes", 16 => "string", 17 => "symbol", 19 => "address",
        20 => "muxed_address",
        ;
        1000 => "option": TypeOption, 1001 => "result": TypeResult, 1002 => "vec": TypeVec,
        1004 => "map": TypeMap, 1005 => "tuple": TypeTuple, 1006 => "bytes_n": TypeBytesN,
        2000 => "udt": TypeUdt,
    }
    UnionCase { ; 0 => "void_v0": CaseVoid, 1 => "tuple_v0": CaseTuple, }
    Location { 0 => "data", 1 => "topic_list", ; }
    DataFormat { 0 => "single_value", 1 => "vec", 2 => "map", ; }
    /// SCSpecEntry
    pub Entry {
        ;
        0 => "function_v0": Function, 1 => "udt_struct_v0": Struct, 2 => "udt_union_v0": Union,
        3 => "udt_enum_v0": Enum, 4 => "udt_error_enum_v0": Enum, 5 => "event_v0": Event,
    }
    /// SCMetaEntry
    pub Meta { ; 0 => "sc_meta_v0": MetaV0, }
}
