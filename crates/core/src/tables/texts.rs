//! Texts in the making, one behind the other.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;

use super::column::Size;
use super::lane::Lane;
use crate::fixed_text::Word;
use crate::values::base64;

/// What words and short values in base64 are written with at most, before they are cut.
const PADDING: usize = if Word::MAX > base64::PADDED { Word::MAX } else { base64::PADDED };

/// Where each text ends, and all texts in one piece. Arrow checks their UTF-8 once, at the end.
pub struct Texts {
    /// Where each of them ends, behind where the first begins.
    ends: Lane<i32>,
    bytes: Lane<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { ends: vec![0].into(), bytes: Lane::default() }
    }
}

impl Texts {
    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// Add a text, which `write` appends. The cast cannot wrap unseen: `oversized` is asked after every ledger.
    #[inline(always)]
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes.held);
        self.ends.push(self.bytes.len() as i32);
    }

    /// Forget everything from this text on.
    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |end| end as usize));
    }

    /// How much there is.
    pub fn size(&self) -> Size {
        Size { rows: self.len(), bytes: self.bytes.len(), ..Size::default() }
    }

    /// Make room for so much in all, of the column in this place of the batch.
    pub fn reserve(&mut self, size: Size, place: usize) {
        self.ends.reserve(size.rows + 1, 2 * place);
        self.bytes.reserve(size.bytes + PADDING, 2 * place + 1);
    }

    /// Whether there is more than Arrow's offsets can address.
    pub fn oversized(&self) -> bool {
        self.bytes.len() > i32::MAX as usize
    }

    /// Add empty texts up to so many in all.
    #[inline]
    pub fn pad(&mut self, rows: usize) {
        self.ends.resize(rows + 1, self.bytes.len() as i32);
    }

    /// Hand over where texts end, and their bytes.
    pub fn parts(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let Self { mut ends, mut bytes } = std::mem::take(self);
        (OffsetBuffer::new(ends.take()), bytes.take().into_inner())
    }

    /// Hand over all texts.
    pub fn take(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let (ends, bytes) = self.parts();
        StringArray::try_new(ends, bytes, nulls)
    }
}
