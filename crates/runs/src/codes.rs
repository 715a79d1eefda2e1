//! Texts that repeat: a number a row, and each text once.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_schema::{ArrowError, DataType};

use crate::bits::nulls;
use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::Distinct;

/// Stands where there is no text.
const NONE: u32 = u32::MAX;

/// A column of texts, handed out as dictionaries that hold no more than their rows need.
#[derive(Default)]
pub struct Codes {
    texts: Distinct,
    rows: Chunks<u32>,
    /// Whether a row has none.
    is_missing: bool,
}

impl Codes {
    fn append_texts(&mut self, values: &StringArray) -> Result<(), ArrowError> {
        self.is_missing |= values.null_count() > 0;
        for text in values {
            let code = match text {
                Some(text) => self.texts.number(text.as_bytes())?,
                None => NONE,
            };
            self.rows.push(code);
        }
        Ok(())
    }

    fn append_dictionary(&mut self, values: &DictionaryArray<Int32Type>) -> Result<(), ArrowError> {
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
            self.is_missing |= code == NONE;
            rows.push(code);
        }
        self.rows.extend(&rows);
        Ok(())
    }

    fn code(&self, row: u32) -> u32 {
        self.rows.get(row as usize).unwrap_or(NONE)
    }
}

impl Column for Codes {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        match values.data_type() {
            DataType::Utf8 => self.append_texts(values.as_string()),
            DataType::Dictionary(..) => {
                let values = values.as_dictionary_opt().ok_or_else(|| mismatched(values))?;
                self.append_dictionary(values)
            }
            _ => Err(mismatched(values)),
        }
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut local = vec![NONE; self.texts.len()];
        let mut used = Vec::new();
        let mut keys = Vec::with_capacity(rows.len());
        for &row in rows {
            let code = self.code(row);
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
        let missing = self.is_missing.then(|| nulls(rows, |row| self.code(row) != NONE));
        let keys = Int32Array::try_new(keys.into(), missing.flatten())?;
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
}
