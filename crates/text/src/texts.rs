//! A column of texts. Where none has a byte that is written otherwise, which is nearly always, they are copied
//! as they lie.

use arrow_array::{Array, StringArray};

use crate::quoting;

/// Bytes looked at at once.
const BLOCK: usize = 4_096;

/// Texts, and what they hold.
pub struct Texts<'a> {
    held: &'a StringArray,
    /// All of them, one behind the other.
    used: &'a [u8],
    /// Whether one of them has what JSON escapes, quotes among that.
    is_escaped: bool,
}

impl<'a> Texts<'a> {
    /// A column's texts.
    pub fn of(held: &'a StringArray) -> Self {
        let offsets = held.value_offsets();
        let place = |end: Option<&i32>| end.and_then(|&one| usize::try_from(one).ok()).unwrap_or(0);
        let used = place(offsets.first())..place(offsets.last());
        let used = held.value_data().get(used).unwrap_or_default();
        Self { held, used, is_escaped: used.chunks(BLOCK).any(has_escaped) }
    }

    /// Append a text as JSON's string.
    pub fn json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_escaped {
            quoting::json(self.text(row), out);
        } else {
            self.plain(row, b"\"", out);
        }
    }

    /// Append a text as a field of CSV.
    pub fn csv(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_escaped {
            quoting::csv(self.text(row).as_bytes(), out);
        } else {
            self.plain(row, b"\"", out);
        }
    }

    /// Append a text as JSON's string within a field of CSV, where quotes are doubled.
    pub fn json_in_csv(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_escaped {
            let mut text = Vec::new();
            quoting::json(self.text(row), &mut text);
            quoting::doubled(&text, out);
        } else {
            self.plain(row, b"\"\"", out);
        }
    }

    /// Whether a row has the same as another.
    pub fn is_same(&self, row: usize, other: usize) -> bool {
        self.text(row) == self.text(other)
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.used.len()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// A text by its place; what a dictionary's number leads past is none.
    fn text(&self, row: usize) -> &str {
        if row < self.held.len() { self.held.value(row) } else { "" }
    }

    #[inline(always)]
    fn plain(&self, row: usize, quote: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(quote);
        out.extend_from_slice(self.text(row).as_bytes());
        out.extend_from_slice(quote);
    }
}

/// Whether a byte is there that JSON escapes; without branches, so that many are looked at in one step.
fn has_escaped(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | quoting::is_escaped(byte))
}
