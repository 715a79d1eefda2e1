//! Hashes of short texts and small numbers, much faster than the standard library's, and the same everywhere.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15; // the golden ratio
const SECOND: u64 = 0xd6e8_feb8_6659_fd93; // odd, with bits well spread

/// Multiplies to 128 bits and folds the halves together.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of a text.
#[must_use]
pub fn hash_of(text: &str) -> u64 {
    hash_of_bytes(text.as_bytes())
}

/// The hash of bytes: two words a multiplication.
#[must_use]
pub fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = FIRST ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let (pairs, odd) = words.as_chunks::<2>();
    for [one, other] in pairs {
        hash = folded(u64::from_le_bytes(*one) ^ SECOND, u64::from_le_bytes(*other) ^ hash);
    }
    for word in odd {
        hash = folded(u64::from_le_bytes(*word) ^ SECOND, hash);
    }
    for &byte in rest {
        hash = folded(hash ^ u64::from(byte), SECOND);
    }
    folded(hash, FIRST)
}

/// Spreads the bits of a number; no two numbers become the same.
#[must_use]
pub fn spread(number: u64) -> u64 {
    let mixed = (number ^ (number >> 32)).wrapping_mul(FIRST);
    (mixed ^ (mixed >> 29)).wrapping_mul(SECOND)
}

/// Takes what is a hash already as it is.
#[derive(Default)]
pub struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_of_bytes(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map whose keys are hashes.
pub type HashMapped<V> = HashMap<u64, V, BuildHasherDefault<Taken>>;

/// Hashes, or numbers whose bits were spread, each once.
#[derive(Clone, Debug, Default)]
pub struct HashSetted {
    /// As many as a power of two; 0 is an empty one. A hash lies at, or soon behind, what its highest bits say.
    slots: Vec<u64>,
    shift: u32,
    len: usize,
}

const LEAST_BITS: u32 = 2;

impl HashSetted {
    /// Adds one, and tells whether it is new.
    #[inline]
    pub fn insert(&mut self, hash: u64) -> bool {
        if self.len * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash.max(1); // 0 is no hash here
        let mut at = usize::try_from(hash >> self.shift).unwrap_or(0);
        loop {
            match self.slots.get_mut(at) {
                Some(slot) if *slot == hash => return false,
                Some(slot) if *slot == 0 => {
                    *slot = hash;
                    self.len += 1;
                    return true;
                }
                Some(_) => at += 1,
                None => at = 0,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let bits = if self.slots.is_empty() { LEAST_BITS } else { 64 - self.shift + 1 };
        let before = std::mem::replace(&mut self.slots, vec![0; 1 << bits]);
        self.shift = 64 - bits;
        self.len = 0;
        for hash in before.into_iter().filter(|&hash| hash != 0) {
            self.insert(hash);
        }
    }

    /// Every one, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots.iter().copied().filter(|&hash| hash != 0)
    }

    /// Every one in order: they nearly lie so.
    #[must_use]
    pub fn sorted(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = Vec::with_capacity(self.len);
        for hash in self.iter() {
            let behind = hashes.iter().rev().take_while(|&&before| before > hash).count();
            hashes.insert(hashes.len() - behind, hash);
        }
        hashes
    }

    /// Leaves none.
    pub fn clear(&mut self) {
        if self.len > 0 {
            self.slots.fill(0);
            self.len = 0;
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes it takes beside its own size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_and_comes_in_order() {
        let mut set = HashSetted::default();
        let numbers: Vec<u64> = (0..5_000).map(spread).collect();
        assert!(numbers.iter().all(|&one| set.insert(one)));
        assert!(!numbers.iter().any(|&one| set.insert(one)));
        let mut expected: Vec<u64> = numbers.into_iter().map(|one| one.max(1)).collect();
        expected.sort_unstable();
        assert_eq!(set.sorted(), expected);
        set.clear();
        assert!(set.is_empty() && set.insert(7));
    }

    #[test]
    fn hashes_that_begin_alike_are_told_apart() {
        let mut set = HashSetted::default();
        assert!((0..500).all(|low| set.insert(u64::MAX - low)));
        assert_eq!(set.sorted(), (0..500).rev().map(|low| u64::MAX - low).collect::<Vec<_>>());
    }

    #[test]
    fn texts_that_differ_anywhere_differ_in_their_hash() {
        let text = "G".repeat(56);
        let mut set = HashSetted::default();
        assert!(set.insert(hash_of(&text)));
        for at in 0..56 {
            let mut other = text.clone();
            other.replace_range(at..=at, "A");
            assert!(set.insert(hash_of(&other)), "{at}");
        }
        assert!((0..56).all(|length| set.insert(hash_of(text.get(..length).unwrap_or_default()))));
    }
}
