//! Texts in the making, one behind the other.

use arrow_array::StringArray;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;

use super::column::Size;
use crate::fixed_text::Word;

/// Where each text ends, and all texts in one piece. Arrow checks their UTF-8 once, at the end.
pub struct Texts {
    /// Where each of them ends, behind where the first begins.
    pub ends: Vec<i32>,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }
}

impl Texts {
    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// End a text where the bytes end. The cast cannot wrap unseen: `oversized` is asked after every ledger.
    #[inline(always)]
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    /// Add a text.
    #[inline(always)]
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.end();
    }

    /// Forget everything from this text on.
    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// How much there is.
    pub fn size(&self) -> Size {
        Size { rows: self.len(), bytes: self.bytes.len(), ..Size::default() }
    }

    /// Make room for so much in all.
    pub fn reserve(&mut self, size: Size) {
        self.ends.reserve((size.rows + 1).saturating_sub(self.ends.len()));
        // A word is written with its padding.
        self.bytes.reserve((size.bytes + Word::MAX).saturating_sub(self.bytes.len()));
    }

    /// Whether there is more than Arrow's offsets can address.
    pub fn oversized(&self) -> bool {
        self.bytes.len() > i32::MAX as usize
    }

    /// Add empty texts up to so many in all.
    pub fn pad(&mut self, rows: usize) {
        self.ends.resize(rows + 1, self.bytes.len() as i32);
    }

    /// Hand over all texts.
    pub fn take(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let Self { ends, bytes } = std::mem::take(self);
        StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), nulls)
    }
}
