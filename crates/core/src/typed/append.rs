//! Values written to columns. They are of the type the column was made for, as `Fit` has seen; one
//! that is not becomes null.

use std::io::Write;

use super::fit::{Entries, elements};
use super::store::{Runs, Store, Values};
use super::writer::{Kind, Part, Writer};
use crate::values::{escape, strkey, xdr_json};
use crate::xdr::discriminants::{SCErrorType, SCValType as Val};
use crate::xdr::layout::SCVal;
use crate::xdr::{self, Input, between, skip};

/// The last second of the year 9999: beyond it, most readers of timestamps give up.
const LAST_SECOND: u64 = 253_402_300_799;

/// Decimals have 38 digits.
const DECIMAL_END: u128 = 10u128.pow(38);

/// Write a value, an SCVal.
pub fn append(store: &mut Store, kind: &Kind, value: Input<'_>) {
    let is_void = xdr::arm(value, Val::VOID).is_some();
    let written = match is_void && !matches!(kind, Kind::Json) {
        true => None,
        false => write(store, kind, value),
    };
    match written {
        Some(()) => store.added(),
        None => store.null(),
    }
}

fn write(store: &mut Store, kind: &Kind, value: Input<'_>) -> Option<()> {
    let (tag, body) = xdr::u32(value)?;
    match &mut store.values {
        Values::Bool(values) => values.append(xdr::present(body)?.0),
        Values::U32(values) => values.push(number(tag, body)?),
        Values::I32(values) => values.push(xdr::i32(body)?.0),
        Values::U64(values) => values.push(xdr::u64(body)?.0),
        Values::I64(values) => values.push(xdr::i64(body)?.0),
        Values::Seconds(values) => {
            let (seconds, _) = xdr::u64(body).filter(|(seconds, _)| *seconds <= LAST_SECOND)?;
            values.push(seconds as i64);
        }
        Values::Decimal(values) => values.push(decimal(kind, body)?),
        Values::Text(runs) => text(runs, kind, value, tag, body)?,
        Values::Binary(runs) => {
            runs.bytes.extend_from_slice(xdr::opaque(body)?.0);
            runs.end();
        }
        Values::Fixed(size, bytes) => {
            let (value, _) = xdr::opaque(body).filter(|(value, _)| value.len() == *size)?;
            bytes.extend_from_slice(value);
        }
        Values::List(ends, items) => {
            match kind {
                Kind::List(item) => list(items, item, value)?,
                Kind::Entries { keys, values } => entries(items, keys, values, value)?,
                _ => return None,
            }
            ends.push(items.rows() as i32);
        }
        Values::Struct(parts) => structure(parts, kind, value)?,
    }
    Some(())
}

fn structure(parts: &mut [Store], kind: &Kind, value: Input<'_>) -> Option<()> {
    match kind {
        Kind::Tuple(items) => {
            let (count, first) = elements(value)?;
            sequence(parts, items, count as usize, first)
        }
        Kind::Struct { fields, sorted } => named(parts, fields, sorted, value),
        Kind::Union(cases) => union(parts, cases, value),
        _ => None,
    }
}

/// A u32, or the code of an error.
fn number(tag: u32, body: Input<'_>) -> Option<u32> {
    let body = if tag == Val::ERROR { xdr::arm(body, SCErrorType::CONTRACT)? } else { body };
    Some(xdr::u32(body)?.0)
}

fn decimal(kind: &Kind, body: Input<'_>) -> Option<i128> {
    let bytes = *xdr::array::<16>(body)?.0;
    if let Kind::Decimal { signed: false } = kind {
        let value = u128::from_be_bytes(bytes);
        return (value < DECIMAL_END).then_some(value as i128);
    }
    Some(i128::from_be_bytes(bytes)).filter(|value| value.unsigned_abs() < DECIMAL_END)
}

fn text(runs: &mut Runs, kind: &Kind, value: Input<'_>, tag: u32, body: Input<'_>) -> Option<()> {
    let out = &mut runs.bytes;
    match kind {
        Kind::String => sep51(out, xdr::opaque(body)?.0),
        Kind::Symbol => push_text(out, xdr::opaque(body)?.0),
        Kind::Address => address(out, body)?,
        Kind::Digits => digits(out, tag, value, body)?,
        Kind::EnumName(names) => {
            let number = number(tag, body)?;
            let (_, name) = names.iter().find(|(known, _)| *known == number)?;
            out.extend_from_slice(name.as_bytes());
        }
        Kind::MuxedId => muxed_id(out, tag, body)?,
        Kind::MuxedType => out.extend_from_slice(match tag {
            Val::U64 => b"id",
            Val::STRING => b"text",
            _ => b"hash",
        }),
        _ => xdr_json::append(value, out),
    }
    runs.end();
    Some(())
}

fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        true => out.extend_from_slice(bytes),
        false => out.extend_from_slice(escape::text(bytes).as_bytes()),
    }
}

/// A string as SEP-51 writes it: what is not printable ASCII is escaped.
fn sep51(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(byte),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\0"),
            _ => {
                out.extend_from_slice(b"\\x");
                hex_simd::encode_append([byte], out, hex_simd::AsciiCase::Lower);
            }
        }
    }
}

fn address(out: &mut Vec<u8>, body: Input<'_>) -> Option<()> {
    let rest = skip::<xdr::layout::SCAddress>(body)?;
    let address = between(body, rest);
    match crate::values::scval::contract(address) {
        Some(id) => out.extend_from_slice(&strkey::encode(strkey::CONTRACT, id)),
        None => out.extend_from_slice(strkey::address(address)?.as_bytes()),
    }
    Some(())
}

fn digits(out: &mut Vec<u8>, tag: u32, value: Input<'_>, body: Input<'_>) -> Option<()> {
    match tag {
        Val::U128 => write!(out, "{}", u128::from_be_bytes(*xdr::array(body)?.0)).ok(),
        Val::I128 => write!(out, "{}", i128::from_be_bytes(*xdr::array(body)?.0)).ok(),
        _ => {
            out.extend_from_slice(xdr_json::wide_digits(value)?.as_bytes());
            Some(())
        }
    }
}

fn muxed_id(out: &mut Vec<u8>, tag: u32, body: Input<'_>) -> Option<()> {
    match tag {
        Val::U64 => return write!(out, "{}", xdr::u64(body)?.0).ok(),
        Val::STRING => push_text(out, xdr::opaque(body)?.0),
        _ => hex_simd::encode_append(xdr::opaque(body)?.0, out, hex_simd::AsciiCase::Lower),
    }
    Some(())
}

fn list(items: &mut Store, item: &Writer, value: Input<'_>) -> Option<()> {
    let (count, mut bytes) = elements(value)?;
    for _ in 0..count {
        let rest = skip::<SCVal>(bytes)?;
        append(items, &item.kind, between(bytes, rest));
        bytes = rest;
    }
    Some(())
}

fn entries(items: &mut Store, keys: &[Writer], values: &[Writer], value: Input<'_>) -> Option<()> {
    let mut entries = Entries::of(value)?;
    while let Some((key, value)) = entries.advance() {
        if let Values::Struct(parts) = &mut items.values {
            let (key_parts, value_parts) = parts.split_at_mut_checked(keys.len())?;
            each(key_parts, keys, Some(key));
            each(value_parts, values, Some(value));
        }
        items.added();
    }
    Some(())
}

/// Write one value to several columns, or nulls.
pub fn each<'s, 'w>(
    stores: impl IntoIterator<Item = &'s mut Store>,
    writers: impl IntoIterator<Item = &'w Writer>,
    value: Option<Input<'_>>,
) {
    for (store, writer) in stores.into_iter().zip(writers) {
        match value {
            Some(value) => append(store, &writer.kind, value),
            None => store.null(),
        }
    }
}

/// Values one after another.
fn sequence(stores: &mut [Store], parts: &[Part], count: usize, first: Input<'_>) -> Option<()> {
    let (mut stores, mut bytes) = (stores.iter_mut(), first);
    for (place, part) in parts.iter().enumerate() {
        let rest = if place < count { skip::<SCVal>(bytes)? } else { bytes };
        let value = (place < count).then(|| between(bytes, rest));
        each(stores.by_ref().take(part.writers.len()), &part.writers, value);
        bytes = rest;
    }
    Some(())
}

fn named(stores: &mut [Store], fields: &[Part], sorted: &[usize], value: Input<'_>) -> Option<()> {
    let mut entries = Entries::of(value)?;
    let mut found = vec![None; fields.len()];
    for place in sorted {
        *found.get_mut(*place)? = entries.find(&fields.get(*place)?.key);
    }
    let mut stores = stores.iter_mut();
    for (part, value) in fields.iter().zip(found) {
        each(stores.by_ref().take(part.writers.len()), &part.writers, value);
    }
    Some(())
}

fn union(stores: &mut [Store], cases: &[Part], value: Input<'_>) -> Option<()> {
    let (count, first) = elements(value)?;
    let tag = skip::<SCVal>(first)?;
    let name = xdr::opaque(xdr::arm(first, Val::SYMBOL)?)?.0;
    let case = cases.iter().position(|case| case.key == name)?;
    let (head, mut rest) = stores.split_first_mut()?;
    append(head, &Kind::Symbol, between(first, tag));
    for (place, part) in cases.iter().enumerate() {
        let (mine, others) = rest.split_at_mut_checked(part.writers.len())?;
        rest = others;
        match (place == case, mine, part.writers.as_slice()) {
            (true, [store], [Writer { kind: Kind::Values(items), .. }]) => {
                if let Values::Struct(parts) = &mut store.values {
                    sequence(parts, items, (count as usize).checked_sub(1)?, tag)?;
                }
                store.added();
            }
            (here, mine, writers) => each(mine, writers, here.then_some(tag)),
        }
    }
    Some(())
}
