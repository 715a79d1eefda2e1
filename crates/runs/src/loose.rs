//! Values of any type, kept in the batches they came in: what contracts declare, bytes.

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow_schema::{ArrowError, DataType};
use arrow_select::interleave::interleave;
use arrow_select::take::take;

use crate::column::{Column, mismatched};
use crate::order::Span;

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
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        if *values.data_type() != self.kind {
            return Err(mismatched(values));
        }
        if !values.is_empty() {
            // A copy: what it lies in may be a whole batch of other columns.
            let as_they_are = || (0..values.len() as u32).collect();
            let rows = UInt32Array::from(order.map_or_else(as_they_are, <[u32]>::to_vec));
            self.parts.push(take(values, &rows, None)?);
            self.firsts.push(self.rows);
            self.rows += values.len();
        }
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let place = |row: usize| {
            let part = self.firsts.partition_point(|&first| first <= row).max(1) - 1;
            (part, row - self.firsts.get(part).copied().unwrap_or_default())
        };
        let rows = rows.iter().flat_map(|span| span.first..span.first + span.count);
        let places: Vec<_> = rows.map(place).collect();
        if places.is_empty() {
            return Ok(new_empty_array(&self.kind)); // of lists without items there are no parts either
        }
        let parts: Vec<&dyn Array> = self.parts.iter().map(AsRef::as_ref).collect();
        interleave(&parts, &places)
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.firsts.clear();
        self.rows = 0;
    }
}
