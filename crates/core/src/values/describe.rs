//! Contract values in words, for people to read; not a format to parse.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::values::{escape, strkey};
use crate::xdr::discriminants::SCValType as Type;
use crate::xdr::layout::SCVal;
use crate::xdr::{self, Input, between, locate, skip};

/// Say a base64 SCVal in words: `transfer`, `["a", 7]`, `{amount: 100, …}`, a strkey, `0x…`.
pub fn describe(base64: &str) -> Result<String> {
    let value = base64_simd::STANDARD
        .decode_to_vec(base64)
        .map_err(|_| Error::Config(format!("{base64:?} is not base64")))?;
    match locate::<SCVal>(&value) {
        Ok([]) => {
            let mut words = String::new();
            write(&value, &mut words);
            Ok(words)
        }
        Ok(rest) => Err(Error::data(value.len() - rest.len(), "bytes follow the SCVal")),
        Err(fault) => Err(Error::fault(None, 0, fault)),
    }
}

/// Write the value that the bytes begin with and return what follows it. The bytes are sound, as
/// `describe` has seen.
fn write<'a>(bytes: Input<'a>, out: &mut String) -> Option<Input<'a>> {
    let rest = skip::<SCVal>(bytes)?;
    let (kind, body) = xdr::u32(bytes)?;
    let value = between(body, rest);
    match kind {
        Type::BOOL => push(out, format_args!("{}", value.last() == Some(&1))),
        Type::VOID => out.push_str("void"),
        Type::ERROR => push(out, format_args!("error {}", integer(value).unwrap_or_default())),
        Type::U32 | Type::U64 | Type::TIMEPOINT | Type::DURATION | Type::U128 => {
            push(out, format_args!("{}", unsigned(value)?));
        }
        Type::I32 | Type::I64 | Type::I128 => push(out, format_args!("{}", integer(value)?)),
        Type::U256 | Type::I256 => hexadecimal(value, out),
        Type::BYTES => hexadecimal(xdr::opaque(value)?.0, out),
        Type::STRING => string(xdr::opaque(value)?.0, out),
        Type::SYMBOL | Type::EXECUTABLE_TAG => out.push_str(&escape::text(xdr::opaque(value)?.0)),
        Type::VEC => elements(value, out)?,
        Type::MAP => entries(value.get(4..)?, out)?,
        Type::ADDRESS => out.push_str(&strkey::address(value)?),
        Type::CONTRACT_INSTANCE => out.push_str("instance"),
        Type::LEDGER_KEY_CONTRACT_INSTANCE => out.push_str("instance key"),
        _ => push(out, format_args!("nonce {}", integer(value)?)),
    }
    Some(rest)
}

/// Say an event in words, its topics and its data each an SCVal: `mint(G…) → 13804333`.
pub fn event(topics: &[&[u8]], data: &[u8]) -> String {
    let mut words = String::new();
    let mut topics = topics.iter();
    if let Some(name) = topics.next() {
        write(name, &mut words);
    }
    words.push('(');
    for (index, topic) in topics.enumerate() {
        words.push_str(if index > 0 { ", " } else { "" });
        write(topic, &mut words);
    }
    words.push_str(") → ");
    write(data, &mut words);
    words
}

/// A string in quotes, on one line: beside the usual escapes a `"` and what does not print have one.
fn string(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = format!("{:?}", chunk.valid());
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        escape::push_invalid(out, chunk.invalid());
    }
    out.push('"');
}

fn push(out: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(words);
}

fn unsigned(bytes: &[u8]) -> Option<u128> {
    let mut wide = [0; 16];
    wide.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(u128::from_be_bytes(wide))
}

fn integer(bytes: &[u8]) -> Option<i128> {
    let unused = 8 * 16usize.checked_sub(bytes.len())? as u32;
    Some(((unsigned(bytes)?.checked_shl(unused)?) as i128) >> unused)
}

fn hexadecimal(bytes: &[u8], out: &mut String) {
    out.push_str("0x");
    bytes.iter().for_each(|byte| push(out, format_args!("{byte:02x}")));
}

fn elements(optional: Input<'_>, out: &mut String) -> Option<()> {
    let (present, bytes) = xdr::present(optional)?;
    out.push('[');
    if present {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            out.push_str(if index > 0 { ", " } else { "" });
            bytes = write(bytes, out)?;
        }
    }
    out.push(']');
    Some(())
}

fn entries(map: Input<'_>, out: &mut String) -> Option<()> {
    out.push('{');
    if let Some((count, mut bytes)) = xdr::u32(map) {
        for index in 0..count {
            out.push_str(if index > 0 { ", " } else { "" });
            bytes = write(bytes, out)?;
            out.push_str(": ");
            bytes = write(bytes, out)?;
        }
    }
    out.push('}');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn says_a_mint_in_words() {
        assert_eq!(describe("AAAADwAAAARtaW50").as_deref(), Ok("mint"));
        assert_eq!(describe("AAAACgAAAAAAAAAAAAAAAADSoy0=").as_deref(), Ok("13804333"));
    }

    #[test]
    fn keeps_the_sign_of_small_and_large_integers() {
        assert_eq!(describe("AAAABP////8=").as_deref(), Ok("-1"));
        assert_eq!(
            describe("AAAACoAAAAAAAAAAAAAAAAAAAAA=").as_deref(),
            Ok("-170141183460469231731687303715884105728")
        );
    }

    #[test]
    fn says_a_map_of_a_vector() {
        let value = "AAAAEQAAAAEAAAABAAAADwAAAAFhAAAAAAAAEAAAAAEAAAACAAAAAQAAAAAAAAAB";
        assert_eq!(describe(value).as_deref(), Ok("{a: [void, true]}"));
    }

    #[test]
    fn says_an_event_as_a_call_and_what_it_gave() {
        let symbol = b"\0\0\0\x0f\0\0\0\x04mint";
        let text = b"\0\0\0\x0e\0\0\0\x05a\xff\\\"\n\0\0\0";
        let void = b"\0\0\0\x01";
        assert_eq!(super::event(&[symbol, text], void), r#"mint("a\xff\\\"\n") → void"#);
        assert_eq!(super::event(&[symbol], void), "mint() → void");
        assert_eq!(super::event(&[], void), "() → void");
    }

    #[test]
    fn refuses_what_is_no_value() {
        assert!(describe("AAAAYw==").is_err_and(|error| error.to_string().contains("arm 99")));
    }
}
