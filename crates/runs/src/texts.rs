//! Texts that hardly repeat: as they came.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::ArrowError;

use crate::bits::Valid;
use crate::chunks;
use crate::column::{Column, mismatched, whole};
use crate::distinct::offset;
use crate::order::Span;

/// A column of texts.
#[derive(Default)]
pub struct Texts {
    texts: chunks::Texts,
    valid: Valid,
}

impl Column for Texts {
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        let values: &StringArray = values.as_string_opt().ok_or_else(|| mismatched(values))?;
        for at in 0..values.len() {
            let row = order.map_or(Some(at), |order| order.get(at).map(|&row| row as usize));
            let valid = row.filter(|&row| row < values.len() && values.is_valid(row));
            let text = valid.map_or(&[][..], |row| values.value(row).as_bytes());
            if !self.texts.push(text) {
                return Err(ArrowError::OffsetOverflowError(text.len()));
            }
        }
        self.valid.append(values, order);
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let pieces = || rows.iter().flat_map(|&span| self.texts.pieces(span));
        let size = pieces().map(|piece| piece.bytes.len()).sum();
        offset(size)?;
        let mut bytes = Vec::with_capacity(size);
        let mut ends = Vec::with_capacity(1 + rows.iter().map(|span| span.count).sum::<usize>());
        ends.push(0);
        for piece in pieces() {
            let begun = bytes.len() as u32;
            ends.extend(piece.ends.iter().map(|end| (end - piece.start + begun) as i32));
            bytes.extend_from_slice(piece.bytes);
        }
        let nulls = self.valid.gather(rows);
        Ok(whole(StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), nulls)?))
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.valid = Valid::default();
    }
}
