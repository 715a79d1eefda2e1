//! Custom sections of a contract's WebAssembly: its interface (SEP-48) and meta (SEP-46).

use crate::contract::spec;

/// Code may say anything; a section that large is no interface.
const MOST_BYTES: usize = 1 << 20;

/// The interface as a JSON array of SCSpecEntry; `None` where the code has none that is sound.
pub fn spec_json(code: &[u8]) -> Option<String> {
    let section = custom_section(code, b"contractspecv0")?;
    spec::entries_json::<spec::Entry>(section)
}

/// The meta as a JSON array of SCMetaEntry; `None` where the code has none that is sound.
pub fn meta_json(code: &[u8]) -> Option<String> {
    let section = custom_section(code, b"contractmetav0")?;
    spec::entries_json::<spec::Meta>(section)
}

/// The contents of all custom sections of a name, one after another (WebAssembly core, 5.5.3).
fn custom_section(code: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut rest = code.strip_prefix(b"\0asm\x01\0\0\0")?;
    let mut found = None;
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = unsigned(after)?;
        let (section, after) = after.split_at_checked(size)?;
        rest = after;
        if *id != 0 {
            continue;
        }
        let (length, section) = unsigned(section)?;
        let (name, content) = section.split_at_checked(length)?;
        if name == wanted {
            found.get_or_insert_with(Vec::new).extend_from_slice(content);
        }
    }
    found.filter(|section| section.len() <= MOST_BYTES)
}

/// An unsigned LEB128 of at most 32 bits.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?)).filter(|_| value <= u32::MAX as usize);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{meta_json, spec_json};

    fn code(sections: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut code = b"\0asm\x01\0\0\0".to_vec();
        for (name, content) in sections {
            code.extend_from_slice(&[0, (name.len() + content.len() + 1) as u8, name.len() as u8]);
            code.extend_from_slice(name);
            code.extend_from_slice(content);
        }
        code
    }

    const META: &[u8] = b"\0\0\0\0\0\0\0\x01k\0\0\0\0\0\0\x01v\0\0\0";

    #[test]
    fn joins_the_sections_of_a_name() {
        let code = code(&[(b"contractmetav0", META), (b"other", b"x"), (b"contractmetav0", META)]);
        let entry = r#"{"sc_meta_v0":{"key":"k","val":"v"}}"#;
        assert_eq!(meta_json(&code), Some(format!("[{entry},{entry}]")));
    }

    #[test]
    fn has_no_interface_where_the_section_is_absent_cut_or_nonsense() {
        assert_eq!(spec_json(&code(&[(b"contractmetav0", META)])), None);
        assert_eq!(spec_json(&code(&[(b"contractspecv0", b"\0\0\0\x63")])), None);
        let whole = code(&[(b"contractmetav0", META)]);
        for end in 0..whole.len() {
            assert_eq!(meta_json(&whole[..end]).filter(|_| end > 8), None);
        }
    }
}
