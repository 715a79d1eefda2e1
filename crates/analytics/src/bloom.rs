//! Which texts some columns hold, as a split-block Bloom filter: fourteen bits a text, and one in three hundred others
//! is taken for one of them.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, StringArray};

use crate::hashing::{HashSetted, hash_of};

const LANES: usize = 8;
const BLOCK_BITS: usize = 32 * LANES;
const BITS_EACH: usize = 14;
const SALTS: [u32; LANES] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

type Block = [u32; LANES];

/// The hashes of a dictionary that rows of several batches share: it has more texts than any of them uses.
struct Shared {
    texts: StringArray,
    hashes: Vec<u64>,
}

/// Makes filters of batches that follow each other.
#[derive(Default)]
pub struct Filters {
    shared: Vec<Shared>,
}

impl Filters {
    /// The filter of every text in these columns, whole blocks of 32 bytes; none where a column is no text.
    pub fn filter_of(&mut self, columns: &[ArrayRef]) -> Option<Vec<u8>> {
        let mut hashes = HashSetted::default();
        let mut before = std::mem::take(&mut self.shared);
        for column in columns {
            if let Some(texts) = column.as_string_opt::<i32>() {
                add_texts(texts, &mut hashes);
                continue;
            }
            let held = column.as_dictionary_opt::<Int32Type>()?;
            let texts = held.values().as_string_opt::<i32>()?;
            let same = before.iter().position(|one| is_same(&one.texts, texts));
            let shared = same.map_or_else(|| shared(texts), |at| before.swap_remove(at));
            add_used(held, &shared, &mut hashes);
            self.shared.push(shared);
        }
        Some(filter(&hashes))
    }
}

/// Whether these are the same memory, which is held for as long as it is compared with.
fn is_same(one: &StringArray, other: &StringArray) -> bool {
    one.len() == other.len()
        && one.value_offsets().as_ptr() == other.value_offsets().as_ptr()
        && one.value_data().as_ptr() == other.value_data().as_ptr()
}

fn shared(texts: &StringArray) -> Shared {
    let hashes = texts.iter().map(|text| text.map_or(0, hash_of)).collect();
    Shared { texts: texts.clone(), hashes }
}

fn filter(hashes: &HashSetted) -> Vec<u8> {
    let mut blocks = vec![Block::default(); (hashes.len() * BITS_EACH).div_ceil(BLOCK_BITS).max(1)];
    for hash in hashes.iter() {
        let at = place(hash, blocks.len());
        if let Some(block) = blocks.get_mut(at) {
            for (lane, bit) in block.iter_mut().zip(bits(hash)) {
                *lane |= bit;
            }
        }
    }
    blocks.iter().flatten().flat_map(|lane| lane.to_le_bytes()).collect()
}

/// Whether a text may be among those that a filter was made of; of what is no filter, it may.
#[must_use]
pub fn may_hold(filter: &[u8], text: &str) -> bool {
    let (blocks, rest) = filter.as_chunks::<{ BLOCK_BITS / 8 }>();
    let hash = hash_of(text).max(1); // as a set of hashes keeps it
    let Some(block) = blocks.get(place(hash, blocks.len())).filter(|_| rest.is_empty()) else {
        return true;
    };
    let (lanes, _) = block.as_chunks::<4>();
    lanes.iter().zip(bits(hash)).all(|(lane, bit)| u32::from_le_bytes(*lane) & bit != 0)
}

fn place(hash: u64, blocks: usize) -> usize {
    let blocks = u64::try_from(blocks).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
    usize::try_from(((hash >> 32) * blocks) >> 32).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn bits(hash: u64) -> Block {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// Rows that follow each other often have the same text.
fn add_texts(texts: &StringArray, hashes: &mut HashSetted) {
    let mut before = None;
    for text in texts.iter().flatten() {
        if before != Some(text) {
            hashes.insert(hash_of(text));
            before = Some(text);
        }
    }
}

fn add_used(held: &DictionaryArray<Int32Type>, shared: &Shared, hashes: &mut HashSetted) {
    let mut met = vec![false; shared.hashes.len()];
    for key in held.keys().iter().flatten() {
        let key = usize::try_from(key).unwrap_or(usize::MAX);
        if let (Some(met), Some(&hash)) = (met.get_mut(key), shared.hashes.get(key)) {
            if !*met && shared.texts.is_valid(key) {
                hashes.insert(hash);
            }
            *met = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int32Array;

    use super::*;

    fn filter_of(columns: &[ArrayRef]) -> Option<Vec<u8>> {
        Filters::default().filter_of(columns)
    }

    fn account(number: u32) -> String {
        format!("G{number:055}")
    }

    fn texts(numbers: impl Iterator<Item = u32>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers.map(account)))
    }

    #[test]
    fn every_text_is_found_and_hardly_another() {
        let filter = filter_of(&[texts(0..10_000), texts(5_000..20_000)]).unwrap_or_default();
        assert!((0..20_000).all(|number| may_hold(&filter, &account(number))));
        let wrong = (20_000..120_000).filter(|&number| may_hold(&filter, &account(number))).count();
        assert!(wrong < 1_000, "{wrong} of 100,000");
        assert!(filter.len() < 20_000 * 15 / 8, "{}", filter.len());
    }

    #[test]
    fn a_dictionary_counts_as_the_texts_that_rows_use() {
        let keys = Int32Array::from(vec![Some(1), None, Some(1), Some(3)]);
        let held = DictionaryArray::new(keys, texts(0..1_000));
        let filter = filter_of(&[Arc::new(held) as ArrayRef]);
        assert_eq!(filter, filter_of(&[texts([1, 3].into_iter())]));
        assert_eq!(filter.map(|filter| filter.len()), Some(32));
    }

    #[test]
    fn batches_with_the_same_dictionary_and_with_others_have_filters_of_their_own_rows() {
        let (one, other) = (texts(0..1_000), texts(1_000..2_000));
        let mut filters = Filters::default();
        for (at, held) in [&one, &one, &other, &one].into_iter().enumerate() {
            let key = i32::try_from(at).unwrap_or_default();
            let rows = |texts: &ArrayRef| -> ArrayRef {
                Arc::new(DictionaryArray::new(Int32Array::from(vec![key]), texts.clone()))
            };
            let expected = filter_of(&[rows(held), rows(&other)]);
            assert_eq!(filters.filter_of(&[rows(held), rows(&other)]), expected);
        }
        assert_eq!(filters.filter_of(&[Arc::new(Int32Array::from(vec![1]))]), None);
        assert_eq!(filters.filter_of(&[one.slice(0, 3)]), filter_of(&[texts(0..3)]));
    }

    #[test]
    fn what_is_no_text_has_no_filter_and_what_is_no_filter_rules_nothing_out() {
        assert_eq!(filter_of(&[Arc::new(Int32Array::from(vec![1]))]), None);
        for broken in [&[][..], &[0; 31], &[0; 33]] {
            assert!(may_hold(broken, "text"));
        }
        assert!(!may_hold(&[0; 32], "text"));
        assert_eq!(filter_of(&[]), Some(vec![0; 32]));
    }
}
