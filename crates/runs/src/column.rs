//! A column of a run: values in as they come, out in any order.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::ArrowError;

use crate::order::Span;

/// A column of a run.
pub trait Column: Send + Sync {
    /// Take in the values of an array, in an order that has each of them once, or as they are.
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError>;
    /// The values of these rows.
    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError>;
    /// Forget the values, and keep their room for others.
    fn clear(&mut self);
    /// For each row its place in the order of values, rows without one last; and how many places there are. None
    /// where rows cannot be sorted by such values.
    fn ranks(&self) -> Option<(Vec<u32>, usize)> {
        None
    }
    /// Bring together the rows from this one on that have the same value, and tell the order that makes of them. None
    /// where they stay as they are.
    fn bring_together(&mut self, _first: usize) -> Option<Vec<u32>> {
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
