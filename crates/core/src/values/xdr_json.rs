//! Contract values as XDR-JSON (SEP-51), written straight from the bytes where they lie: the same
//! text that the official crate's serde gives.

use std::io::Write;

use crate::values::strkey;
use crate::xdr::{self, Input};

const ERROR_TYPES: [&str; 10] = [
    "contract", "wasm_vm", "context", "storage", "object", "crypto", "events", "budget", "value",
    "auth",
];
const ERROR_CODES: [&str; 10] = [
    "arith_domain",
    "index_bounds",
    "invalid_input",
    "missing_value",
    "existing_value",
    "exceeded_limit",
    "invalid_action",
    "internal_error",
    "unexpected_type",
    "unexpected_size",
];

/// Append an SCVal that the walk has passed over.
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if value(bytes, out).is_none() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Write the SCVal the bytes begin with; what follows it comes back. `None` where it is not one,
/// which a walk over the bytes has ruled out.
pub fn value<'a>(bytes: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (arm, body) = xdr::u32(bytes)?;
    match arm {
        0 => number(out, "bool", xdr::u32(body).map(|(bit, rest)| (bit == 1, rest))?),
        1 => bare(out, "\"void\"", body),
        2 => error(body, out),
        3 => number(out, "u32", xdr::u32(body)?),
        4 => number(out, "i32", xdr::i32(body)?),
        5 => quoted(out, "u64", xdr::u64(body)?),
        6 => quoted(out, "i64", xdr::i64(body)?),
        7 => quoted(out, "timepoint", xdr::u64(body)?),
        8 => quoted(out, "duration", xdr::u64(body)?),
        9 => {
            quoted(out, "u128", xdr::array(body).map(|(n, rest)| (u128::from_be_bytes(*n), rest))?)
        }
        10 => {
            quoted(out, "i128", xdr::array(body).map(|(n, rest)| (i128::from_be_bytes(*n), rest))?)
        }
        11 => quoted(out, "u256", xdr::array(body).map(|(n, rest)| (wide(n, false), rest))?),
        12 => quoted(out, "i256", xdr::array(body).map(|(n, rest)| (wide(n, true), rest))?),
        13 => {
            open(out, "bytes");
            let (bytes, rest) = xdr::opaque(body)?;
            hex(out, bytes);
            close(out, rest)
        }
        14 => text(out, "string", body),
        15 => text(out, "symbol", body),
        16 => {
            open(out, "vec");
            let rest = vec(body, out)?;
            close(out, rest)
        }
        17 => {
            open(out, "map");
            let rest = map(body, out)?;
            close(out, rest)
        }
        18 => {
            open(out, "address");
            let rest = address(body, out)?;
            close(out, rest)
        }
        19 => {
            open(out, "contract_instance");
            let rest = instance(body, out)?;
            close(out, rest)
        }
        20 => bare(out, "\"ledger_key_contract_instance\"", body),
        21 => {
            out.extend_from_slice(b"{\"ledger_key_nonce\":");
            let rest = quoted(out, "nonce", xdr::i64(body)?)?;
            close(out, rest)
        }
        22 => text(out, "executable_tag", body),
        _ => None,
    }
}

fn open(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn close<'a>(out: &mut Vec<u8>, rest: Input<'a>) -> Option<Input<'a>> {
    out.push(b'}');
    Some(rest)
}

fn bare<'a>(out: &mut Vec<u8>, json: &str, rest: Input<'a>) -> Option<Input<'a>> {
    out.extend_from_slice(json.as_bytes());
    Some(rest)
}

fn number<'a>(
    out: &mut Vec<u8>,
    name: &str,
    (value, rest): (impl std::fmt::Display, Input<'a>),
) -> Option<Input<'a>> {
    open(out, name);
    write!(out, "{value}}}").ok()?;
    Some(rest)
}

fn quoted<'a>(
    out: &mut Vec<u8>,
    name: &str,
    (value, rest): (impl std::fmt::Display, Input<'a>),
) -> Option<Input<'a>> {
    open(out, name);
    write!(out, "\"{value}\"}}").ok()?;
    Some(rest)
}

fn text<'a>(out: &mut Vec<u8>, name: &str, body: Input<'a>) -> Option<Input<'a>> {
    open(out, name);
    let (bytes, rest) = xdr::opaque(body)?;
    string(out, bytes);
    close(out, rest)
}

/// A string: the bytes escaped as SEP-51 does, and the backslashes of that once more as JSON does.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\\\\\"),
            0x20..=0x7e => out.push(byte),
            b'\n' => out.extend_from_slice(b"\\\\n"),
            b'\t' => out.extend_from_slice(b"\\\\t"),
            b'\r' => out.extend_from_slice(b"\\\\r"),
            0 => out.extend_from_slice(b"\\\\0"),
            _ => {
                out.extend_from_slice(b"\\\\x");
                hex_simd::encode_append([byte], out, hex_simd::AsciiCase::Lower);
            }
        }
    }
    out.push(b'"');
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    hex_simd::encode_append(bytes, out, hex_simd::AsciiCase::Lower);
    out.push(b'"');
}

fn error<'a>(body: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (kind, body) = xdr::u32(body)?;
    let (code, rest) = xdr::u32(body)?;
    open(out, "error");
    open(out, ERROR_TYPES.get(kind as usize)?);
    match kind {
        0 => write!(out, "{code}").ok()?,
        _ => write!(out, "\"{}\"", ERROR_CODES.get(code as usize)?).ok()?,
    }
    out.push(b'}');
    close(out, rest)
}

fn vec<'a>(optional: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (present, body) = xdr::u32(optional)?;
    if present == 0 {
        return bare(out, "null", body);
    }
    let (count, mut bytes) = xdr::u32(body)?;
    out.push(b'[');
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        bytes = value(bytes, out)?;
    }
    out.push(b']');
    Some(bytes)
}

fn map<'a>(optional: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (present, body) = xdr::u32(optional)?;
    if present == 0 {
        return bare(out, "null", body);
    }
    let (count, mut bytes) = xdr::u32(body)?;
    out.push(b'[');
    for index in 0..count {
        out.extend_from_slice(if index > 0 { b",{\"key\":" } else { b"{\"key\":" });
        let val = value(bytes, out)?;
        out.extend_from_slice(b",\"val\":");
        bytes = value(val, out)?;
        out.push(b'}');
    }
    out.push(b']');
    Some(bytes)
}

fn address<'a>(bytes: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let rest = xdr::skip::<xdr::layout::SCAddress>(bytes)?;
    let address = xdr::between(bytes, rest);
    out.push(b'"');
    match (address.get(..4)?, address.last_chunk::<32>()?) {
        ([0, 0, 0, 1], id) => out.extend_from_slice(&strkey::encode(strkey::CONTRACT, id)),
        ([0, 0, 0, 0], key) => out.extend_from_slice(&strkey::encode(strkey::ACCOUNT, key)),
        _ => out.extend_from_slice(strkey::address(address)?.as_bytes()),
    }
    out.push(b'"');
    Some(rest)
}

fn instance<'a>(bytes: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    out.extend_from_slice(b"{\"executable\":");
    let (kind, body) = xdr::u32(bytes)?;
    let rest = match kind {
        0 => {
            open(out, "wasm");
            let (hash, rest) = xdr::array::<32>(body)?;
            hex(out, hash);
            close(out, rest)?
        }
        1 => bare(out, "\"stellar_asset\"", body)?,
        _ => {
            out.extend_from_slice(b"{\"external_ref\":{\"executable_owner\":");
            let rest = address(body, out)?;
            let (tag, rest) = xdr::opaque(rest)?;
            out.extend_from_slice(b",\"tag\":");
            string(out, tag);
            out.extend_from_slice(b"}}");
            rest
        }
    };
    out.extend_from_slice(b",\"storage\":");
    let rest = map(rest, out)?;
    close(out, rest)
}

/// A 256-bit integer in decimal, by long division by 10^18.
fn wide(bytes: &[u8; 32], signed: bool) -> String {
    let negative = signed && bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut limbs = [0u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*bytes);
    }
    if negative {
        let mut carry = true;
        for limb in limbs.iter_mut().rev() {
            (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
        }
    }
    const BASE: u128 = 1_000_000_000_000_000_000;
    let mut groups = Vec::with_capacity(5);
    while limbs.iter().any(|limb| *limb != 0) {
        let mut remainder = 0u128;
        for limb in &mut limbs {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = (dividend / BASE) as u64;
            remainder = dividend % BASE;
        }
        groups.push(remainder);
    }
    let mut text = String::from(if negative { "-" } else { "" });
    text.push_str(&groups.pop().unwrap_or(0).to_string());
    groups.iter().rev().for_each(|group| text.push_str(&format!("{group:018}")));
    text
}
