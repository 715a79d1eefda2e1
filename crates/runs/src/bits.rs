//! Which rows have a value.

use arrow_array::Array;
use arrow_buffer::{BooleanBuffer, NullBuffer, NullBufferBuilder};

/// Which of the rows that came have a value.
pub struct Valid(NullBufferBuilder);

impl Default for Valid {
    fn default() -> Self {
        Self(NullBufferBuilder::new(0))
    }
}

impl Valid {
    /// Take in those of an array.
    pub fn append(&mut self, array: &dyn Array) {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => self.0.append_buffer(nulls),
            None => self.0.append_n_non_nulls(array.len()),
        }
    }

    /// Those of some rows; none where all have a value.
    pub fn gather(&self, rows: &[u32]) -> Option<NullBuffer> {
        let held = self.0.as_slice()?;
        let is_set = |row: usize| held.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
        nulls(rows, |row| is_set(row as usize))
    }
}

/// Which of some rows have a value; none where all have one.
pub fn nulls(rows: &[u32], is_valid: impl Fn(u32) -> bool) -> Option<NullBuffer> {
    let at = |at: usize| rows.get(at).is_some_and(|&row| is_valid(row));
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), at)))
        .filter(|nulls| nulls.null_count() > 0)
}
