//! Types in words, and the types of values that tell theirs.

use crate::contract::model::Type;
use crate::values::escape;
use crate::xdr::discriminants::{SCSpecType, SCValType as Val};
use crate::xdr::{self, Input};

/// The type of a value that tells it, by SCSpecType.
pub fn plain(value: Input<'_>) -> Option<u32> {
    Some(match xdr::u32(value)?.0 {
        Val::BOOL => SCSpecType::BOOL,
        Val::VOID => SCSpecType::VOID,
        Val::U32 => SCSpecType::U32,
        Val::I32 => SCSpecType::I32,
        Val::U64 => SCSpecType::U64,
        Val::I64 => SCSpecType::I64,
        Val::TIMEPOINT => SCSpecType::TIMEPOINT,
        Val::DURATION => SCSpecType::DURATION,
        Val::U128 => SCSpecType::U128,
        Val::I128 => SCSpecType::I128,
        Val::U256 => SCSpecType::U256,
        Val::I256 => SCSpecType::I256,
        Val::BYTES => SCSpecType::BYTES,
        Val::STRING => SCSpecType::STRING,
        Val::SYMBOL => SCSpecType::SYMBOL,
        Val::ADDRESS => SCSpecType::MUXED_ADDRESS,
        _ => return None,
    })
}

/// A type in words: `Map<address, i128>`.
pub fn words(kind: &Type) -> String {
    match kind {
        Type::Plain(arm) => plain_words(*arm).into(),
        Type::Option(one) => format!("Option<{}>", words(one)),
        Type::Result(one, other) => format!("Result<{}, {}>", words(one), words(other)),
        Type::Vec(one) => format!("Vec<{}>", words(one)),
        Type::Map(key, value) => format!("Map<{}, {}>", words(key), words(value)),
        Type::Tuple(types) => {
            format!("({})", types.iter().map(words).collect::<Vec<_>>().join(", "))
        }
        Type::BytesN(count) => format!("BytesN<{count}>"),
        Type::Named(name) => escape::text(name).into_owned(),
    }
}

/// A type without parts in a word.
pub fn plain_words(arm: u32) -> &'static str {
    match arm {
        SCSpecType::BOOL => "bool",
        SCSpecType::VOID => "void",
        SCSpecType::ERROR => "error",
        SCSpecType::U32 => "u32",
        SCSpecType::I32 => "i32",
        SCSpecType::U64 => "u64",
        SCSpecType::I64 => "i64",
        SCSpecType::TIMEPOINT => "timepoint",
        SCSpecType::DURATION => "duration",
        SCSpecType::U128 => "u128",
        SCSpecType::I128 => "i128",
        SCSpecType::U256 => "u256",
        SCSpecType::I256 => "i256",
        SCSpecType::BYTES => "bytes",
        SCSpecType::STRING => "string",
        SCSpecType::SYMBOL => "symbol",
        SCSpecType::ADDRESS | SCSpecType::MUXED_ADDRESS => "address",
        _ => "val",
    }
}
