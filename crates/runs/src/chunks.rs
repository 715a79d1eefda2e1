//! Values in chunks: what grows is never copied, and what was used once is used again.

use std::ops::Range;

use crate::order::Span;

/// Values in a chunk, as a power of two.
const BITS: u32 = 14;
const CHUNK: usize = 1 << BITS;

/// Values of one type.
pub struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Copy> Chunks<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A value by its place.
    #[inline(always)]
    pub fn get(&self, at: usize) -> Option<T> {
        self.chunks.get(at >> BITS)?.get(at & (CHUNK - 1)).copied()
    }

    /// Add a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        let at = self.len >> BITS;
        if at == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.get_mut(at) {
            chunk.push(value);
            self.len += 1;
        }
    }

    /// Add many values.
    pub fn extend(&mut self, mut values: &[T]) {
        while let Some((&first, rest)) = values.split_first() {
            self.push(first);
            let room = (CHUNK - (self.len & (CHUNK - 1))) & (CHUNK - 1);
            let (part, left) = rest.split_at(room.min(rest.len()));
            if let Some(chunk) = self.chunks.get_mut((self.len - 1) >> BITS) {
                chunk.extend_from_slice(part);
                self.len += part.len();
            }
            values = left;
        }
    }

    /// All values in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Values that were kept one behind the other, in the pieces that they lie in.
    pub fn slices(&self, span: Span) -> impl Iterator<Item = &[T]> {
        pieces(span).filter_map(|(chunk, part)| self.chunks.get(chunk)?.get(part))
    }

    /// Forget the values from this one on.
    pub fn truncate(&mut self, len: usize) {
        let after = self.chunks.iter_mut().enumerate().skip(len >> BITS);
        after.for_each(|(at, chunk)| chunk.truncate(len.saturating_sub(at << BITS)));
        self.len = self.len.min(len);
    }

    /// Forget the values, and keep their room.
    pub fn clear(&mut self) {
        self.chunks.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }
}

/// The chunks that rows lie in, and where in each.
fn pieces(span: Span) -> impl Iterator<Item = (usize, Range<usize>)> {
    let (mut at, end) = (span.first, span.first + span.count);
    std::iter::from_fn(move || {
        let (chunk, start) = (at >> BITS, at & (CHUNK - 1));
        let stop = (start + end - at).min(CHUNK);
        at += stop - start;
        (start < stop).then_some((chunk, start..stop))
    })
}

/// Texts that lie one behind the other.
pub struct Piece<'a> {
    /// All of them.
    pub bytes: &'a [u8],
    /// Where the first begins, as the ends count.
    pub start: u32,
    /// Where each ends.
    pub ends: &'a [u32],
}

/// Texts, one after the other.
#[derive(Default)]
pub struct Texts {
    ends: Chunks<u32>,
    /// The texts of each chunk of ends, which count from its beginning.
    bytes: Vec<Vec<u8>>,
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A text by its number.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let end = self.ends.get(at)? as usize;
        let start = if at & (CHUNK - 1) == 0 { 0 } else { self.ends.get(at - 1)? as usize };
        self.bytes.get(at >> BITS)?.get(start..end)
    }

    /// Texts that were kept one behind the other, in the pieces that they lie in.
    pub fn pieces(&self, span: Span) -> impl Iterator<Item = Piece<'_>> {
        pieces(span).filter_map(|(chunk, part)| {
            let held = self.ends.chunks.get(chunk)?;
            let before = part.start.checked_sub(1).and_then(|at| held.get(at));
            let (start, ends) = (before.copied().unwrap_or(0), held.get(part)?);
            let bytes = self.bytes.get(chunk)?.get(start as usize..*ends.last()? as usize)?;
            Some(Piece { bytes, start, ends })
        })
    }

    /// Add a text; false where a chunk has no room for it, which is of 4 GB.
    #[inline]
    pub fn push(&mut self, text: &[u8]) -> bool {
        let at = self.ends.len() >> BITS;
        if at == self.bytes.len() {
            self.bytes.push(Vec::new());
        }
        let Some(bytes) = self.bytes.get_mut(at) else { return false };
        let Ok(end) = u32::try_from(bytes.len() + text.len()) else { return false };
        bytes.extend_from_slice(text);
        self.ends.push(end);
        true
    }

    /// Forget the texts, and keep their room.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.iter_mut().for_each(Vec::clear);
    }
}
