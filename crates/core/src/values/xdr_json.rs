//! Contract values as XDR-JSON (SEP-51), written straight from the bytes where they lie: the same
//! text that the official crate's serde gives.

use std::io::Write;

use crate::values::strkey;
use crate::xdr::discriminants::{
    ContractExecutableType, SCAddressType, SCErrorType, SCValType as Type,
};
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
    let (kind, body) = xdr::u32(bytes)?;
    match kind {
        Type::BOOL => number(out, "bool", xdr::present(body)?),
        Type::VOID => bare(out, "\"void\"", body),
        Type::ERROR => error(body, out),
        Type::U32 => number(out, "u32", xdr::u32(body)?),
        Type::I32 => number(out, "i32", xdr::i32(body)?),
        Type::U64 => quoted(out, "u64", xdr::u64(body)?),
        Type::I64 => quoted(out, "i64", xdr::i64(body)?),
        Type::TIMEPOINT => quoted(out, "timepoint", xdr::u64(body)?),
        Type::DURATION => quoted(out, "duration", xdr::u64(body)?),
        Type::U128 => quoted(out, "u128", read(body, u128::from_be_bytes)?),
        Type::I128 => quoted(out, "i128", read(body, i128::from_be_bytes)?),
        Type::U256 => quoted(out, "u256", read(body, |bytes| wide(&bytes, false))?),
        Type::I256 => quoted(out, "i256", read(body, |bytes| wide(&bytes, true))?),
        Type::STRING => text(out, "string", body),
        Type::SYMBOL => text(out, "symbol", body),
        Type::EXECUTABLE_TAG => text(out, "executable_tag", body),
        Type::BYTES => under(out, "bytes", body, opaque),
        Type::VEC => under(out, "vec", body, vec),
        Type::MAP => under(out, "map", body, map),
        Type::ADDRESS => under(out, "address", body, address),
        Type::CONTRACT_INSTANCE => under(out, "contract_instance", body, instance),
        Type::LEDGER_KEY_CONTRACT_INSTANCE => bare(out, "\"ledger_key_contract_instance\"", body),
        Type::LEDGER_KEY_NONCE => under(out, "ledger_key_nonce", body, |nonce, out| {
            quoted(out, "nonce", xdr::i64(nonce)?)
        }),
        _ => None,
    }
}

/// Read bytes of constant number and make a value of them.
fn read<const N: usize, T>(
    bytes: Input<'_>,
    make: impl FnOnce([u8; N]) -> T,
) -> Option<(T, Input<'_>)> {
    xdr::array(bytes).map(|(bytes, rest)| (make(*bytes), rest))
}

/// Write an object of one field, its value by `write`.
fn under<'a>(
    out: &mut Vec<u8>,
    name: &str,
    body: Input<'a>,
    write: impl FnOnce(Input<'a>, &mut Vec<u8>) -> Option<Input<'a>>,
) -> Option<Input<'a>> {
    open(out, name);
    let rest = write(body, out)?;
    close(out, rest)
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

fn opaque<'a>(body: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (bytes, rest) = xdr::opaque(body)?;
    hex(out, bytes);
    Some(rest)
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
        SCErrorType::CONTRACT => write!(out, "{code}").ok()?,
        _ => write!(out, "\"{}\"", ERROR_CODES.get(code as usize)?).ok()?,
    }
    out.push(b'}');
    close(out, rest)
}

fn vec<'a>(optional: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    let (present, body) = xdr::present(optional)?;
    if !present {
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
    let (present, body) = xdr::present(optional)?;
    if !present {
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
    match (xdr::u32(address)?.0, address.last_chunk::<32>()?) {
        (SCAddressType::CONTRACT, id) => {
            out.extend_from_slice(&strkey::encode(strkey::CONTRACT, id))
        }
        (SCAddressType::ACCOUNT, key) => {
            out.extend_from_slice(&strkey::encode(strkey::ACCOUNT, key));
        }
        _ => out.extend_from_slice(strkey::address(address)?.as_bytes()),
    }
    out.push(b'"');
    Some(rest)
}

fn instance<'a>(bytes: Input<'a>, out: &mut Vec<u8>) -> Option<Input<'a>> {
    out.extend_from_slice(b"{\"executable\":");
    let (kind, body) = xdr::u32(bytes)?;
    let rest = match kind {
        ContractExecutableType::WASM => {
            open(out, "wasm");
            let (hash, rest) = xdr::array::<32>(body)?;
            hex(out, hash);
            close(out, rest)?
        }
        ContractExecutableType::STELLAR_ASSET => bare(out, "\"stellar_asset\"", body)?,
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

/// An SCVal that is a u256 or an i256, in decimal.
pub fn wide_digits(value: &[u8]) -> Option<String> {
    let (kind, body) = xdr::u32(value)?;
    let signed = match kind {
        Type::I256 => true,
        Type::U256 => false,
        _ => return None,
    };
    Some(wide(xdr::array(body)?.0, signed))
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
