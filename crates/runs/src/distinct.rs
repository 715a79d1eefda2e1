//! Texts, each held once, known by the number under which it came first.

use ahash::RandomState;
use arrow_array::StringArray;
use arrow_buffer::OffsetBuffer;
use arrow_schema::ArrowError;
use hashbrown::HashTable;

use crate::chunks::Texts;

/// A text's hash and number.
type Entry = (u64, u32);

/// Different texts in the order they came. Their hashes are seeded anew for each process, so that nobody who writes
/// to the chain can make them collide.
pub struct Distinct {
    seed: RandomState,
    found: HashTable<Entry>,
    texts: Texts,
}

impl Default for Distinct {
    fn default() -> Self {
        let (found, texts) = (HashTable::new(), Texts::default());
        Self { seed: RandomState::new(), found, texts }
    }
}

impl Distinct {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn text(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).unwrap_or_default()
    }

    /// The numbers of many texts. Each step is taken for all of them before the next one: what one waits for memory,
    /// the others do not wait for it.
    pub fn numbers(&mut self, wanted: &[&[u8]]) -> Result<Vec<u32>, ArrowError> {
        let hashes: Vec<u64> = wanted.iter().map(|text| self.seed.hash_one(text)).collect();
        let likely = |&hash: &u64| self.found.find(hash, |&(one, _)| one == hash);
        let mut numbers: Vec<_> = hashes.iter().map(|hash| likely(hash).map(|one| one.1)).collect();
        for (number, &wanted) in numbers.iter_mut().zip(wanted) {
            *number = number.filter(|&number| self.text(number) == wanted);
        }
        let rest = numbers.into_iter().zip(wanted.iter().zip(hashes));
        rest.map(|(number, (wanted, hash))| number.map_or_else(|| self.look_up(wanted, hash), Ok))
            .collect()
    }

    fn look_up(&mut self, wanted: &[u8], hash: u64) -> Result<u32, ArrowError> {
        let Self { found, texts, .. } = self;
        let is_it =
            |&(one, number): &Entry| one == hash && texts.get(number as usize) == Some(wanted);
        if let Some(&(_, number)) = found.find(hash, is_it) {
            return Ok(number);
        }
        let number = texts.len() as u32;
        if !texts.push(wanted) {
            return Err(ArrowError::OffsetOverflowError(wanted.len()));
        }
        found.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        Ok(number)
    }

    /// Texts by their numbers.
    pub fn gather(&self, numbers: &[u32]) -> Result<StringArray, ArrowError> {
        let chosen = numbers.iter().map(|&number| self.text(number));
        let mut bytes = Vec::with_capacity(chosen.clone().map(<[u8]>::len).sum());
        let mut ends = Vec::with_capacity(numbers.len() + 1);
        ends.push(0);
        for text in chosen {
            bytes.extend_from_slice(text);
            ends.push(offset(bytes.len())?);
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), None)
    }

    /// For each number its place among the texts in order.
    pub fn places(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..self.len() as u32).collect();
        sorted.sort_unstable_by_key(|&number| self.text(number));
        let mut places = vec![0; sorted.len()];
        for (place, number) in (0..).zip(sorted) {
            if let Some(slot) = places.get_mut(number as usize) {
                *slot = place;
            }
        }
        places
    }

    /// Forget the texts, and keep their room.
    pub fn clear(&mut self) {
        self.found.clear();
        self.texts.clear();
    }
}

/// An end as Arrow's 32-bit offsets have it.
pub fn offset(end: usize) -> Result<i32, ArrowError> {
    i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))
}
