//! Texts of a size known beforehand: words of the program's own, hashes in hex.

/// A short text known at compile time, padded so that copying it is a few moves of fixed size.
pub struct Word {
    bytes: [u8; Word::MAX],
    length: usize,
}

impl Word {
    /// The longest word, and what each one is padded to.
    pub const MAX: usize = 48;

    /// Make a word of at most 48 bytes; longer ones do not compile.
    pub const fn new(text: &str) -> Self {
        let mut bytes = [0; Word::MAX];
        bytes.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
        Self { bytes, length: text.len() }
    }

    /// How many of the padded bytes are the word.
    #[inline(always)]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The word.
    #[inline(always)]
    pub fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The word and its padding.
    #[inline(always)]
    pub const fn padded(&self) -> &[u8; Word::MAX] {
        &self.bytes
    }
}

/// 32 bytes in lower-case hex.
pub fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    let _ =
        hex_simd::encode(bytes, hex_simd::Out::from_slice(&mut text), hex_simd::AsciiCase::Lower);
    text
}
