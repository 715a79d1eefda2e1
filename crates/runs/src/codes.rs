//! Texts that repeat: a number a row, and each text once.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::Distinct;
use crate::order::{Order, Span};

/// Stands where there is no text.
const NONE: u32 = u32::MAX;
/// Rows are brought together where there are so few texts, or so few a row: each costs a look.
const FEW: usize = 4_096;
const SPARSE: usize = 4;

/// A column of texts, handed out as dictionaries that hold no more than their rows need.
#[derive(Default)]
pub struct Codes {
    texts: Distinct,
    rows: Chunks<u32>,
    /// Whether a row has none.
    is_missing: bool,
}

impl Codes {
    fn of_texts(&mut self, values: &StringArray) -> Result<Vec<u32>, ArrowError> {
        let mut wanted: Vec<&[u8]> = Vec::new();
        let mut places = Vec::with_capacity(values.len());
        for text in values {
            places.push(text.map(|text| {
                if wanted.last() != Some(&text.as_bytes()) {
                    wanted.push(text.as_bytes());
                }
                wanted.len() - 1
            }));
        }
        let codes = self.texts.numbers(&wanted)?;
        let code = |place: Option<usize>| place.and_then(|place| codes.get(place).copied());
        Ok(places.into_iter().map(|place| code(place).unwrap_or(NONE)).collect())
    }

    fn of_dictionary(
        &mut self,
        values: &DictionaryArray<Int32Type>,
    ) -> Result<Vec<u32>, ArrowError> {
        let texts: &StringArray =
            values.values().as_string_opt().ok_or_else(|| mismatched(values))?;
        // A slice has all texts of what it is cut from: those that no row has stay out.
        let mut is_used = vec![false; texts.len()];
        for slot in values.keys_iter().flatten() {
            if let Some(is_used) = is_used.get_mut(slot) {
                *is_used = true;
            }
        }
        let used = (0..).zip(is_used).filter(|&(place, is_used)| is_used && texts.is_valid(place));
        let used: Vec<usize> = used.map(|(place, _)| place).collect();
        let wanted: Vec<_> = used.iter().map(|&place| texts.value(place).as_bytes()).collect();
        let mut codes = vec![NONE; texts.len()];
        for (place, code) in used.iter().zip(self.texts.numbers(&wanted)?) {
            if let Some(slot) = codes.get_mut(*place) {
                *slot = code;
            }
        }
        let code = |place: Option<usize>| place.and_then(|place| codes.get(place).copied());
        Ok(values.keys_iter().map(|place| code(place).unwrap_or(NONE)).collect())
    }
}

impl Column for Codes {
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        let mut codes = match values.data_type() {
            DataType::Utf8 => self.of_texts(values.as_string())?,
            DataType::Dictionary(..) => {
                let values = values.as_dictionary_opt().ok_or_else(|| mismatched(values))?;
                self.of_dictionary(values)?
            }
            _ => return Err(mismatched(values)),
        };
        if let Some(order) = order {
            codes = order.iter().filter_map(|&row| codes.get(row as usize).copied()).collect();
        }
        self.is_missing |= codes.contains(&NONE);
        self.rows.extend(&codes);
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let mut local = vec![NONE; self.texts.len()];
        let mut used = Vec::new();
        let mut keys = Vec::with_capacity(rows.iter().map(|span| span.count).sum());
        let codes = || rows.iter().flat_map(|&span| self.rows.slices(span));
        for &code in codes().flatten() {
            let Some(key) = local.get_mut(code as usize) else {
                keys.push(0);
                continue;
            };
            if *key == NONE {
                *key = used.len() as u32;
                used.push(code);
            }
            keys.push(*key as i32);
        }
        let missing = self.is_missing.then(|| {
            let valid = codes().flatten().map(|&code| code != NONE);
            NullBuffer::new(valid.collect())
        });
        let missing = missing.filter(|missing| missing.null_count() > 0);
        let keys = Int32Array::try_new(keys.into(), missing)?;
        Ok(whole(DictionaryArray::try_new(keys, whole(self.texts.gather(&used)?))?))
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.rows.clear();
        self.is_missing = false;
    }

    fn ranks(&self) -> Option<(Vec<u32>, usize)> {
        let places = self.texts.places();
        let last = places.len() as u32;
        let rank = |&code: &u32| places.get(code as usize).copied().unwrap_or(last);
        Some((self.rows.iter().map(rank).collect(), places.len() + 1))
    }

    fn bring_together(&mut self, first: usize) -> Option<Vec<u32>> {
        let count = self.rows.len().saturating_sub(first);
        let none = self.texts.len() as u32;
        if self.texts.len() > FEW + SPARSE * count {
            return None;
        }
        let codes: Vec<u32> = self.rows.slices(Span { first, count }).flatten().copied().collect();
        let numbers: Vec<u32> = codes.iter().map(|&code| code.min(none)).collect();
        let mut order = Order::of(count);
        order.by(&numbers, self.texts.len() + 1);
        let sorted = order.rows.iter().filter_map(|&row| codes.get(row as usize).copied());
        let sorted: Vec<u32> = sorted.collect();
        self.rows.truncate(first);
        self.rows.extend(&sorted);
        Some(order.rows)
    }
}
