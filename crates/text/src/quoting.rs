//! Texts in quotes.

use std::io::Write;

/// JSON escapes these (RFC 8259, 7).
pub const fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Append a text as JSON's string.
pub fn json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| is_escaped(byte)) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((&byte, behind)) = from.split_first() {
            escape(byte, out);
            rest = behind;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'\x08' => b'b',
        b'\x0c' => b'f',
        _ => {
            // Writing into memory does not fail.
            let _ = write!(out, "\\u{byte:04x}");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Append a text as a field of CSV: in quotes, those within doubled.
pub fn csv(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    doubled(text, out);
    out.push(b'"');
}

/// Append a text, its quotes doubled.
pub fn doubled(text: &[u8], out: &mut Vec<u8>) {
    let mut parts = text.split(|&byte| byte == b'"');
    if let Some(first) = parts.next() {
        out.extend_from_slice(first);
    }
    for part in parts {
        out.extend_from_slice(b"\"\"");
        out.extend_from_slice(part);
    }
}
