//! Texts in quotes.

use std::io::Write;

/// JSON escapes these (RFC 8259, 7).
pub const fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Where the first byte lies that JSON escapes: most texts have none, and eight bytes tell so at once.
fn escaped_at(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let (words, _) = text.as_chunks::<8>();
    let plain = words.iter().take_while(|word| {
        let word = u64::from_le_bytes(**word);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let found = low | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c));
        found & HIGH == 0
    });
    let start = 8 * plain.count();
    let rest = text.get(start..)?;
    rest.iter().position(|&byte| is_escaped(byte)).map(|at| start + at)
}

/// Append a text as JSON's string.
pub fn json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = escaped_at(rest) {
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
