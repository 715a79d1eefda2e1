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
        let code = |text: Option<&str>| match text {
            Some(text) => self.texts.number(text.as_bytes()),
            None => Ok(NONE),
        };
        values.iter().map(code).collect()
    }

    fn of_dictionary(
        &mut self,
        values: &DictionaryArray<Int32Type>,
    ) -> Result<Vec<u32>, ArrowError> {
        let texts: &StringArray =
            values.values().as_string_opt().ok_or_else(|| mismatched(values))?;
        let mut codes = vec![NONE; texts.len()];
        let keys = values.keys();
        let mut rows = Vec::with_capacity(keys.len());
        for (row, &key) in keys.values().iter().enumerate() {
            let place = usize::try_from(key).unwrap_or(usize::MAX);
            let code = match codes.get_mut(place) {
                Some(code) if keys.is_valid(row) => {
                    if *code == NONE && texts.is_valid(place) {
                        *code = self.texts.number(texts.value(place).as_bytes())?;
                    }
                    *code
                }
                _ => NONE,
            };
            rows.push(code);
        }
        Ok(rows)
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
