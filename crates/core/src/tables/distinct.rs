//! Values told apart by the bytes they are made of, so that each is written as text once.

use ahash::RandomState;
use hashbrown::HashTable;

/// Bytes that are held one behind the other, and where each of them ends.
#[derive(Default)]
struct Held {
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Held {
    fn get(&self, number: u32) -> Option<&[u8]> {
        let end = self.ends.get(number as usize)?;
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before as usize)?,
            None => 0,
        };
        self.bytes.get(start..*end)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }
}

/// A hash and the number of the value that has it.
type Entry = (u64, u32);

/// Slots for the values that were asked for last, as a power of two.
const RECENT_BITS: u32 = 10;
/// An odd number whose multiples spread over the upper bits (2^64 by the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Different values, numbered in the order they came. Most are found among those asked for last, of which a few bytes
/// choose one; the others by their hash. Their hashes are seeded anew each time, so that nobody who
/// writes to the chain can make them collide.
pub struct Distinct {
    seed: RandomState,
    found: HashTable<Entry>,
    held: Held,
    recent: Vec<u32>,
}

impl Default for Distinct {
    fn default() -> Self {
        let (found, held) = (HashTable::new(), Held::default());
        Self { seed: RandomState::new(), found, held, recent: vec![0; 1 << RECENT_BITS] }
    }
}

impl Distinct {
    /// Make room for so many.
    pub fn reserve(&mut self, count: usize) {
        self.found.reserve(count.saturating_sub(self.found.len()), |&(hash, _)| hash);
        self.held.ends.reserve(count.saturating_sub(self.held.ends.len()));
    }

    /// The number of a value, and whether it is new: then the number is the next one.
    #[inline]
    pub fn number(&mut self, wanted: &[u8]) -> (u32, bool) {
        let slot = slot(wanted);
        let recent = self.recent.get(slot).copied().unwrap_or_default();
        if self.held.get(recent) == Some(wanted) {
            return (recent, false);
        }
        let (number, is_new) = self.look_up(wanted);
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = number;
        }
        (number, is_new)
    }

    fn look_up(&mut self, wanted: &[u8]) -> (u32, bool) {
        let Self { seed, found, held, .. } = self;
        let hash = seed.hash_one(wanted);
        let is_it = |&(one, number): &Entry| one == hash && held.get(number) == Some(wanted);
        if let Some(&(_, number)) = found.find(hash, is_it) {
            return (number, false);
        }
        let number = held.ends.len() as u32;
        held.push(wanted);
        found.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        (number, true)
    }
}

/// Where a value is looked for first: by its last bytes, as the first ones tell types and lengths.
#[inline]
fn slot(value: &[u8]) -> usize {
    let last = value.last_chunk().map_or(value.len() as u64, |last| u64::from_le_bytes(*last));
    (last.wrapping_mul(SPREAD) >> (u64::BITS - RECENT_BITS)) as usize
}
