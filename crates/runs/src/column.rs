//! A column of a run: values in as they come, out in any order.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, downcast_primitive};
use arrow_schema::{ArrowError, DataType, Field};

use crate::codes::Codes;
use crate::fixed::{Numbers, Truth};
use crate::lists::Lists;
use crate::loose::Loose;
use crate::texts::Texts;

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

/// A column of a field's type: of a dictionary of texts, where the values that come are texts, or numbers of texts.
pub fn column(field: &Field) -> Box<dyn Column> {
    of_type(field.data_type())
}

fn of_type(kind: &DataType) -> Box<dyn Column> {
    macro_rules! numbers {
        ($kind:ty, $data_type:expr) => {
            numbers::<$kind>($data_type)
        };
    }
    downcast_primitive! {
        kind => (numbers, kind),
        DataType::Utf8 => Box::new(Texts::default()),
        DataType::Boolean => Box::new(Truth::default()),
        DataType::Dictionary(key, of) if is_coded(key, of) => Box::new(Codes::default()),
        DataType::List(item) => Box::new(Lists::of(item.clone(), of_type(item.data_type()))),
        _ => Box::new(Loose::of(kind)),
    }
}

fn is_coded(key: &DataType, of: &DataType) -> bool {
    *key == DataType::Int32 && *of == DataType::Utf8
}

fn numbers<T: ArrowPrimitiveType>(kind: &DataType) -> Box<dyn Column> {
    Box::new(Numbers::<T>::of(kind))
}

/// What is said of values that are of another type than the column.
pub fn mismatched(values: &dyn Array) -> ArrowError {
    ArrowError::SchemaError(format!("values of {} come to a column of others", values.data_type()))
}

/// A column that is whole.
pub fn whole(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
