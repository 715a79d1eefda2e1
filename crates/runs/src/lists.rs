//! Lists of values of any kind.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, FieldRef};

use crate::bits::Valid;
use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::offset;

/// A column of lists.
pub struct Lists {
    item: FieldRef,
    items: Box<dyn Column>,
    ends: Chunks<u32>,
    /// Items of all lists.
    count: usize,
    valid: Valid,
}

impl Lists {
    /// Lists of such items, which this column keeps.
    pub fn of(item: FieldRef, items: Box<dyn Column>) -> Self {
        Self { item, items, ends: Chunks::default(), count: 0, valid: Valid::default() }
    }

    fn places(&self, row: u32) -> std::ops::Range<u32> {
        let end = |at: usize| self.ends.get(at).unwrap_or_default();
        (row as usize).checked_sub(1).map_or(0, end)..end(row as usize)
    }
}

impl Column for Lists {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        let values: &ListArray = values.as_list_opt().ok_or_else(|| mismatched(values))?;
        let place = |end: &i32| usize::try_from(*end).unwrap_or_default();
        let offsets = values.value_offsets();
        let start = offsets.first().map_or(0, place);
        let count = offsets.last().map_or(0, place) - start;
        let before = self.count;
        if before + count >= u32::MAX as usize {
            return Err(ArrowError::OffsetOverflowError(before + count));
        }
        self.items.append(&values.values().slice(start, count))?;
        for end in offsets.iter().skip(1) {
            self.ends.push((before + place(end) - start) as u32);
        }
        self.count += count;
        self.valid.append(values);
        Ok(())
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut items = Vec::new();
        let mut ends = Vec::with_capacity(rows.len() + 1);
        ends.push(0);
        for &row in rows {
            items.extend(self.places(row));
            ends.push(offset(items.len())?);
        }
        let (ends, items) = (OffsetBuffer::new(ends.into()), self.items.gather(&items)?);
        Ok(whole(ListArray::try_new(self.item.clone(), ends, items, self.valid.gather(rows))?))
    }

    fn clear(&mut self) {
        self.items.clear();
        self.ends.clear();
        self.count = 0;
        self.valid = Valid::default();
    }
}
