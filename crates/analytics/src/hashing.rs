//! Hashes of short texts and small numbers, much faster than the standard library's, and the same everywhere.

use std::collections::{HashMap, HashSet};
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
    let mut hash = FIRST ^ text.len() as u64;
    let mut words = text.as_bytes().chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        hash = folded(hash ^ word, SECOND);
    }
    for &byte in words.remainder() {
        hash = folded(hash ^ u64::from(byte), SECOND);
    }
    folded(hash, FIRST)
}

/// Hashes whatever is written; what is a hash already costs one multiplication more.
#[derive(Default)]
pub struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = folded(self.0 ^ value ^ FIRST, SECOND);
    }
}

/// A map whose keys are numbers.
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;
/// A set of numbers.
pub type FastSet<K> = HashSet<K, BuildHasherDefault<Fold>>;
