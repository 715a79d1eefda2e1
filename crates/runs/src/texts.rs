//! Texts that hardly repeat: as they came.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::ArrowError;

use crate::bits::Valid;
use crate::chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::gathered;

/// A column of texts.
#[derive(Default)]
pub struct Texts {
    texts: chunks::Texts,
    valid: Valid,
}

impl Column for Texts {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        let values: &StringArray = values.as_string_opt().ok_or_else(|| mismatched(values))?;
        for text in values {
            let text = text.unwrap_or_default().as_bytes();
            if !self.texts.push(text) {
                return Err(ArrowError::OffsetOverflowError(text.len()));
            }
        }
        self.valid.append(values);
        Ok(())
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        Ok(whole(gathered(&self.texts, rows, self.valid.gather(rows))?))
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.valid = Valid::default();
    }
}
