//! Lists of values of any kind.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, FieldRef};

use crate::bits::Valid;
use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::offset;
use crate::order::Span;

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

    /// The items of lists that were kept one behind the other.
    fn items(&self, span: Span) -> Span {
        let end = |at: usize| self.ends.get(at).unwrap_or_default() as usize;
        let before = |at: usize| at.checked_sub(1).map_or(0, end);
        let first = before(span.first);
        Span { first, count: before(span.first + span.count) - first }
    }
}

impl Column for Lists {
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        let values: &ListArray = values.as_list_opt().ok_or_else(|| mismatched(values))?;
        let place = |end: &i32| usize::try_from(*end).unwrap_or_default();
        let offsets = values.value_offsets();
        let start = offsets.first().map_or(0, place);
        let count = offsets.last().map_or(0, place) - start;
        let before = self.count;
        if before + count >= u32::MAX as usize {
            return Err(ArrowError::OffsetOverflowError(before + count));
        }
        let items = values.values().slice(start, count);
        if let Some(order) = order {
            let mut held = Vec::with_capacity(count);
            for &row in order {
                let place = |at: usize| offsets.get(at).map_or(start, place) - start;
                held.extend(place(row as usize) as u32..place(row as usize + 1) as u32);
                self.ends.push((before + held.len()) as u32);
            }
            self.items.append(&items, Some(&held))?;
        } else {
            self.items.append(&items, None)?;
            for end in offsets.iter().skip(1) {
                self.ends.push((before + place(end) - start) as u32);
            }
        }
        self.count += count;
        self.valid.append(values, order);
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let items: Vec<_> = rows.iter().map(|&span| self.items(span)).collect();
        offset(items.iter().map(|span| span.count).sum())?;
        let mut ends = Vec::with_capacity(1 + rows.iter().map(|span| span.count).sum::<usize>());
        ends.push(0);
        for (&span, held) in rows.iter().zip(&items) {
            let begun = ends.last().copied().unwrap_or_default();
            let end = |end: &u32| begun + (*end as usize - held.first) as i32;
            ends.extend(self.ends.slices(span).flatten().map(end));
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
