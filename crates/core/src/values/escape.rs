//! Texts of the chain, which may be any bytes, as UTF-8: different bytes are different texts.

use std::borrow::Cow;

/// Bytes as text: valid UTF-8 as it is, except `\` as `\\`, NUL as `\0`, and every byte that is no
/// UTF-8 as `\xNN`, in lower-case hex.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(['\\', '\0']) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

/// Append what `text` makes of bytes.
#[inline]
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| byte.is_ascii() & (*byte != b'\\') & (*byte != 0);
    if bytes.iter().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(text(bytes).as_bytes());
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text.push_str(r"\\"),
                '\0' => text.push_str(r"\0"),
                _ => text.push(char),
            }
        }
        push_invalid(&mut text, chunk.invalid());
    }
    text
}

/// Append bytes that are no UTF-8, each as `\xNN`.
pub fn push_invalid(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(r"\x");
        hex_simd::encode_append([*byte], text, hex_simd::AsciiCase::Lower);
    }
}

/// The bytes of a text that `text` wrote; `None` where it writes no such text.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [b'\\', rest @ ..]) => push(&mut bytes, b'\\', rest),
            (b'\\', [b'0', rest @ ..]) => push(&mut bytes, b'\0', rest),
            (b'\\', [b'x', high, low, rest @ ..]) => {
                let byte = u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16);
                push(&mut bytes, byte.ok()?, rest)
            }
            (b'\\', _) => return None,
            (byte, rest) => push(&mut bytes, *byte, rest),
        };
    }
    (self::text(&bytes) == text).then_some(bytes)
}

fn push<'a>(bytes: &mut Vec<u8>, byte: u8, rest: &'a [u8]) -> &'a [u8] {
    bytes.push(byte);
    rest
}

#[cfg(test)]
mod tests {
    use super::{append, bytes, text};

    #[test]
    fn only_backslashes_nuls_and_what_is_no_utf8_are_escaped() {
        assert_eq!(text("tab\t, é and\nline".as_bytes()), "tab\t, é and\nline");
        assert_eq!(text(b""), "");
        assert_eq!(text(br"a\b"), r"a\\b");
        assert_eq!(text(b"a\0b"), r"a\0b");
        assert_eq!(text(b"\xc3\xa9\xff\xe2\x82"), r"é\xff\xe2\x82");
    }

    #[test]
    fn all_pairs_of_bytes_come_back_and_are_appended_alike() {
        for pair in 0..=u16::MAX {
            let pair = pair.to_be_bytes();
            assert_eq!(bytes(&text(&pair)).as_deref(), Some(&pair[..]));
            let mut appended = b"x".to_vec();
            append(&pair, &mut appended);
            assert_eq!(appended, format!("x{}", text(&pair)).into_bytes());
        }
        let long: Vec<u8> = (0..=255).rev().chain(*br"\xff\0\\").collect();
        assert_eq!(bytes(&text(&long)), Some(long));
    }

    #[test]
    fn a_text_that_no_bytes_are_written_as_is_refused() {
        for odd in [r"\", r"a\q", r"\x", r"\xf", r"\xzz", r"\x+f", r"\xFF", r"\x41", r"\xc3\xa9"] {
            assert_eq!(bytes(odd), None, "{odd}");
        }
    }
}
