//! A contract's interface, in the custom sections of its WebAssembly.

use serde::Serialize;
use stellar_xdr::{Error, Limited, Limits, ReadXdr, ScMetaEntry, ScSpecEntry};

use super::json;

/// The interface's entries as XDR-JSON; `None` where there are none or something is wrong with them.
pub fn spec_json(code: &[u8]) -> Option<String> {
    entries_json::<ScSpecEntry>(code, b"contractspecv0")?.ok()
}

/// The word for what became of the interface.
pub fn spec_status(code: &[u8]) -> &'static str {
    match entries_json::<ScSpecEntry>(code, b"contractspecv0") {
        Some(Ok(_)) => "read",
        Some(Err(Error::Invalid)) => "newer",
        Some(Err(_)) => "malformed",
        None => "absent",
    }
}

/// The meta's entries likewise.
pub fn meta_json(code: &[u8]) -> Option<String> {
    entries_json::<ScMetaEntry>(code, b"contractmetav0")?.ok()
}

/// `None` where there is no such section; a module that is cut is an error.
fn entries_json<T: ReadXdr + Serialize>(code: &[u8], name: &[u8]) -> Option<Result<String, Error>> {
    let mut held = None;
    if sections(code.strip_prefix(b"\0asm\x01\0\0\0")?, name, &mut held).is_none() {
        return Some(Err(Error::LengthMismatch));
    }
    let section = held?;
    let limits = Limits { depth: 500, len: section.len() };
    let mut reader = Limited::new(section.as_slice(), limits);
    let mut entries: Result<Vec<T>, Error> = Ok(Vec::new());
    while let (Ok(read), false) = (&mut entries, reader.inner.is_empty()) {
        match T::read_xdr(&mut reader) {
            Ok(entry) => read.push(entry),
            Err(error) => entries = Err(error),
        }
    }
    let read = section.len() - reader.inner.len();
    Some(entries.map(|entries| json(&entries)).map_err(|error| match &section[..read] {
        // An arm of its own is a small number; a larger one is no arm but something else.
        [.., high_1, high_2, _, _] if (*high_1, *high_2) != (0, 0) => Error::LengthMismatch,
        _ => error,
    }))
}

/// Gather what all sections of the name hold; `None` where the module is cut.
fn sections(mut sections: &[u8], wanted: &[u8], held: &mut Option<Vec<u8>>) -> Option<()> {
    while let [id, rest @ ..] = sections {
        let (length, rest) = leb128(rest)?;
        let (section, rest) = rest.split_at_checked(length)?;
        sections = rest;
        if *id == 0 {
            let (length, section) = leb128(section)?;
            let (name, content) = section.split_at_checked(length)?;
            if name == wanted {
                held.get_or_insert_with(Vec::new).extend_from_slice(content);
            }
        }
    }
    Some(())
}

/// A number below 2^28, which is all that the tests write, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (digits, rest) = bytes.split_at(end);
    let value =
        digits.iter().rev().fold(0usize, |value, byte| value << 7 | usize::from(byte & 0x7f));
    Some((value, rest))
}
