//! Which rows have a value.

use arrow_array::Array;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, NullBufferBuilder};

use crate::order::Span;

/// Which of the rows that came have a value.
pub struct Valid(NullBufferBuilder);

impl Default for Valid {
    fn default() -> Self {
        Self(NullBufferBuilder::new(0))
    }
}

impl Valid {
    /// Take in those of an array, in an order or as they are.
    pub fn append(&mut self, array: &dyn Array, order: Option<&[u32]>) {
        match (array.nulls().filter(|nulls| nulls.null_count() > 0), order) {
            (Some(nulls), None) => self.0.append_buffer(nulls),
            (Some(nulls), Some(order)) => {
                self.0.append_buffer(&NullBuffer::new(ordered(nulls.inner(), order)));
            }
            (None, _) => self.0.append_n_non_nulls(array.len()),
        }
    }

    /// Those of some rows; none where all have a value.
    pub fn gather(&self, rows: &[Span]) -> Option<NullBuffer> {
        let held = self.0.as_slice()?;
        Some(NullBuffer::new(gathered(held, rows))).filter(|nulls| nulls.null_count() > 0)
    }
}

/// Bits in another order.
pub fn ordered(bits: &BooleanBuffer, order: &[u32]) -> BooleanBuffer {
    let at = |at: usize| order.get(at).is_some_and(|&row| bits.value(row as usize));
    BooleanBuffer::collect_bool(order.len(), at)
}

/// The bits of some rows.
pub fn gathered(bits: &[u8], rows: &[Span]) -> BooleanBuffer {
    let mut found = BooleanBufferBuilder::new(rows.iter().map(|span| span.count).sum());
    for span in rows {
        found.append_packed_range(span.first..span.first + span.count, bits);
    }
    found.finish()
}
