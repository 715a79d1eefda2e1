//! Columns of a batch by name and type.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMicrosecondType, UInt32Type};
use arrow_array::{Array, BooleanArray, Decimal128Array, PrimitiveArray, RecordBatch, StringArray};

/// A batch that is no part of the table it should be of.
#[derive(Debug)]
pub struct BadRows(pub String);

impl fmt::Display for BadRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for BadRows {}

fn column<'a, T: 'a>(
    batch: &'a RecordBatch,
    name: &str,
    cast: impl FnOnce(&'a dyn Array) -> Option<&'a T>,
) -> Result<&'a T, BadRows> {
    let array = batch
        .column_by_name(name)
        .ok_or_else(|| BadRows(format!("the batch has no column {name}")))?;
    cast(array.as_ref())
        .ok_or_else(|| BadRows(format!("the column {name} is {}", array.data_type())))
}

/// A column of texts.
pub fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, BadRows> {
    column(batch, name, |array| array.as_string_opt::<i32>())
}

/// A column of ledger sequences, or other small numbers.
pub fn numbers<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<UInt32Type>, BadRows> {
    column(batch, name, |array| array.as_primitive_opt::<UInt32Type>())
}

/// A column of times.
pub fn times<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<TimestampMicrosecondType>, BadRows> {
    column(batch, name, |array| array.as_primitive_opt::<TimestampMicrosecondType>())
}

/// A column of amounts of up to 38 digits.
pub fn amounts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Decimal128Array, BadRows> {
    column(batch, name, |array| array.as_primitive_opt::<Decimal128Type>())
}

/// A column of yes and no.
pub fn flags<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a BooleanArray, BadRows> {
    column(batch, name, |array| array.as_boolean_opt())
}

/// A text that may be null.
#[must_use]
#[inline]
pub fn text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}
