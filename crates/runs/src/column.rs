//! A column of a run: values in as they come, out in any order.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::ArrowError;

/// A column of a run.
pub trait Column: Send + Sync {
    /// Take in the values of an array.
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError>;
    /// The values of these rows.
    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError>;
    /// Forget the values, and keep their room for others.
    fn clear(&mut self);
    /// For each row its place in the order of values, rows without one last; and how many places there are. None
    /// where rows cannot be sorted by such values.
    fn ranks(&self) -> Option<(Vec<u32>, usize)> {
        None
    }
}

/// What is said of values that are of another type than the column.
pub fn mismatched(values: &dyn Array) -> ArrowError {
    ArrowError::SchemaError(format!("values of {} come to a column of others", values.data_type()))
}

/// A column that is whole.
pub fn whole(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
