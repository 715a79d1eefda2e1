//! Values of any type, kept in the batches they came in: what contracts declare, bytes.

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow_schema::{ArrowError, DataType};
use arrow_select::interleave::interleave;
use arrow_select::take::take;

use crate::column::{Column, mismatched};

/// A column that knows for each row where its value lies.
pub struct Loose {
    kind: DataType,
    parts: Vec<ArrayRef>,
    /// The first row of each part.
    firsts: Vec<usize>,
    rows: usize,
}

impl Loose {
    /// Values of a type.
    pub fn of(kind: &DataType) -> Self {
        Self { kind: kind.clone(), parts: Vec::new(), firsts: Vec::new(), rows: 0 }
    }
}

impl Column for Loose {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        if *values.data_type() != self.kind {
            return Err(mismatched(values));
        }
        if !values.is_empty() {
            // A copy: what it lies in may be a whole batch of other columns.
            let rows = UInt32Array::from_iter_values(0..values.len() as u32);
            self.parts.push(take(values, &rows, None)?);
            self.firsts.push(self.rows);
            self.rows += values.len();
        }
        Ok(())
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        if rows.is_empty() {
            return Ok(new_empty_array(&self.kind));
        }
        let place = |&row: &u32| {
            let part = self.firsts.partition_point(|&first| first <= row as usize).max(1) - 1;
            (part, row as usize - self.firsts.get(part).copied().unwrap_or_default())
        };
        let places: Vec<_> = rows.iter().map(place).collect();
        let parts: Vec<&dyn Array> = self.parts.iter().map(AsRef::as_ref).collect();
        interleave(&parts, &places)
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.firsts.clear();
        self.rows = 0;
    }
}
