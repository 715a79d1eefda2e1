//! Custom sections of a contract's WebAssembly: its interface (SEP-48) and meta (SEP-46).

use crate::contract::spec::{self, Fault};

/// Code may say anything; a section that large is no interface.
const MOST_BYTES: usize = 1 << 20;

/// What code says of the contract's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// A JSON array of SCSpecEntry.
    Read(String),
    /// The code has no section for it.
    Absent,
    /// The section is cut short, too large, or does not hold entries.
    Malformed,
    /// The section holds an entry or a type that is newer than what is known here.
    Newer,
}

impl Interface {
    /// The interface that the code's sections hold.
    pub fn of(code: &[u8]) -> Self {
        let section = match custom_section(code, b"contractspecv0") {
            Ok(Some(section)) => section,
            Ok(None) => return Self::Absent,
            Err(Damaged) => return Self::Malformed,
        };
        match spec::entries_json::<spec::Entry>(section) {
            Ok(json) => Self::Read(json),
            Err(Fault::Malformed) => Self::Malformed,
            Err(Fault::Newer) => Self::Newer,
        }
    }

    /// Its word in the table `contract_code`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::Newer => "newer",
        }
    }

    /// The JSON array, where it could be read.
    pub fn json(&self) -> Option<&str> {
        if let Self::Read(json) = self { Some(json) } else { None }
    }
}

/// The interface as a JSON array of SCSpecEntry; `None` where the code has none that is sound.
pub fn spec_json(code: &[u8]) -> Option<String> {
    if let Interface::Read(json) = Interface::of(code) { Some(json) } else { None }
}

/// The meta as a JSON array of SCMetaEntry; `None` where the code has none that is sound.
pub fn meta_json(code: &[u8]) -> Option<String> {
    let section = custom_section(code, b"contractmetav0").ok()??;
    spec::entries_json::<spec::Meta>(section).ok()
}

/// The code is no WebAssembly to its end, or a section is larger than any that means something.
pub(crate) struct Damaged;

/// The contents of all custom sections of a name, one after another (WebAssembly core, 5.5.3).
///
/// What stands before the damage of a module counts as little as what stands behind it.
pub(crate) fn custom_section(code: &[u8], wanted: &[u8]) -> Result<Option<Vec<u8>>, Damaged> {
    let Some(mut rest) = code.strip_prefix(b"\0asm\x01\0\0\0") else {
        return Ok(None);
    };
    let mut found = None;
    while let Some((id, after)) = rest.split_first() {
        let (section, after) = sized(after).ok_or(Damaged)?;
        rest = after;
        if *id != 0 {
            continue;
        }
        let (name, content) = sized(section).ok_or(Damaged)?;
        if name == wanted {
            found.get_or_insert_with(Vec::new).extend_from_slice(content);
        }
    }
    match found {
        Some(section) if section.len() > MOST_BYTES => Err(Damaged),
        found => Ok(found),
    }
}

/// Bytes behind their length, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, after) = unsigned(bytes)?;
    after.split_at_checked(size)
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
    use super::{Interface, meta_json};

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

    /// SCSpecEntry: function_v0 "f" without doc, inputs and outputs.
    const SPEC: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x01f\0\0\0\0\0\0\0\0\0\0\0";

    fn interface(section: &[u8]) -> &'static str {
        Interface::of(&code(&[(b"contractspecv0", section)])).word()
    }

    #[test]
    fn an_interface_is_read_absent_malformed_or_newer() {
        assert_eq!(interface(SPEC), "read");
        assert_eq!(Interface::of(&code(&[(b"contractmetav0", META)])), Interface::Absent);
        for end in (1..SPEC.len()).chain([SPEC.len() + 1]) {
            assert_eq!(interface(&[SPEC, SPEC].concat()[..end]), "malformed", "cut at {end}");
        }
        assert_eq!(interface(b"anything but an interface"), "malformed");
        assert_eq!(interface(&[SPEC, b"\0\0\0\x06later"].concat()), "newer");
        let mut later_type = SPEC.to_vec();
        later_type.splice(20.., *b"\0\0\0\x01\0\0\0\x15");
        assert_eq!(interface(&later_type), "newer");
    }

    #[test]
    fn a_module_that_is_cut_has_a_malformed_interface_and_no_meta() {
        let whole = code(&[(b"contractmetav0", META), (b"contractspecv0", SPEC)]);
        for end in 9..whole.len() {
            let cut = &whole[..end];
            let meta_alone = end == 8 + 2 + 15 + META.len();
            assert_eq!(meta_json(cut).is_some(), meta_alone);
            assert_eq!(Interface::of(cut).word(), if meta_alone { "absent" } else { "malformed" });
        }
    }
}
