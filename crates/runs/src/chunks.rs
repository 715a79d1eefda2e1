//! Values in chunks: what grows is never copied, and what was used once is used again.

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

    /// Forget the values, and keep their room.
    pub fn clear(&mut self) {
        self.chunks.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }
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
