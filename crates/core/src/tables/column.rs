//! Columns in the making. A column knows its values by row: what is never set is null, and what a
//! whole transaction shares is filled in once.

use std::sync::Arc;

use super::lane::Lane;
use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Int64Type, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

/// How much columns hold: values, texts in lists, and bytes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Values up to the last that was set.
    pub rows: usize,
    /// Texts in all lists.
    pub items: usize,
    /// Bytes of all texts.
    pub bytes: usize,
}

impl Size {
    /// So many times as much, of bytes no more than Arrow's 32-bit offsets can address.
    pub fn times(self, times: f64) -> Self {
        let scale = |count: usize| (count as f64 * times) as usize;
        let bytes = scale(self.bytes).min(i32::MAX as usize);
        Self { rows: scale(self.rows), items: scale(self.items), bytes }
    }
}

/// A column of one type that can be cut back to fewer rows.
pub trait Column: Default {
    /// The Arrow type of the column.
    fn data_type() -> DataType;
    /// Make a dictionary of texts that repeat, from now on; other columns stay as they are.
    fn code(&mut self) {}
    /// Forget everything from this row on.
    fn truncate(&mut self, rows: usize);
    /// How much it holds.
    fn size(&self) -> Size;
    /// Make room for so much in all; its place among the columns of the batch tells it apart.
    fn reserve(&mut self, size: Size, place: usize);
    /// Whether the column has outgrown what Arrow's 32-bit offsets can address.
    fn oversized(&self) -> bool {
        false
    }
    /// Hand over this many rows and begin anew.
    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError>;
}

/// Numbers of an Arrow type, none of them null.
pub struct Number<T: ArrowPrimitiveType>(Lane<T::Native>);

/// uint32, never null.
pub type UInt32 = Number<UInt32Type>;
/// int64, never null.
pub type Int64 = Number<Int64Type>;
/// timestamp[us, UTC], never null.
pub type Timestamp = Number<Utc>;
/// uint32 or null.
pub type NullableUInt32 = Nullable<UInt32Type>;
/// decimal128(38, 0) or null.
pub type NullableDecimal = Nullable<Decimal128Type>;

/// Microseconds since the epoch in UTC; stands for Arrow's type, which knows no zone by itself.
pub type Utc = TimestampMicrosecondType;

impl<T: ArrowPrimitiveType> Default for Number<T> {
    fn default() -> Self {
        Self(Lane::default())
    }
}

impl<T: ArrowPrimitiveType> Number<T> {
    /// Add a row.
    #[inline(always)]
    pub fn push(&mut self, value: T::Native) {
        self.0.push(value);
    }

    /// Give all rows up to this one, that have no value yet, the same.
    #[inline]
    pub fn fill(&mut self, rows: usize, value: T::Native) {
        self.0.resize(rows, value);
    }
}

/// The Arrow type of a number: as the type says, but for time and money, which need more said.
fn number_type<T: ArrowPrimitiveType>() -> DataType {
    match T::DATA_TYPE {
        DataType::Timestamp(unit, _) => DataType::Timestamp(unit, Some("UTC".into())),
        DataType::Decimal128(..) => DataType::Decimal128(38, 0),
        other => other,
    }
}

fn numbers<T: ArrowPrimitiveType>(
    values: ScalarBuffer<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(values, nulls)?;
    Ok(Arc::new(array.with_data_type(number_type::<T>())))
}

impl<T: ArrowPrimitiveType> Column for Number<T> {
    fn data_type() -> DataType {
        number_type::<T>()
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn size(&self) -> Size {
        Size { rows: self.0.len(), ..Size::default() }
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.0.reserve(size.rows, 2 * place);
    }

    fn finish(&mut self, _rows: usize) -> Result<ArrayRef, ArrowError> {
        numbers::<T>(self.0.take(), None)
    }
}

/// Numbers of an Arrow type, null where none was set.
pub struct Nullable<T: ArrowPrimitiveType> {
    values: Lane<T::Native>,
    valid: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Default for Nullable<T> {
    fn default() -> Self {
        Self { values: Lane::default(), valid: NullBufferBuilder::new(0) }
    }
}

impl<T: ArrowPrimitiveType> Nullable<T> {
    /// Set a row's value; rows passed over are null.
    #[inline]
    pub fn set(&mut self, row: usize, value: T::Native) {
        self.pad(row);
        self.values.push(value);
        self.valid.append_non_null();
    }

    /// Make the rows from the last one set up to this one null.
    #[inline]
    pub fn pad(&mut self, rows: usize) {
        if self.values.len() < rows {
            self.valid.append_n_nulls(rows - self.values.len());
            self.values.resize(rows, T::Native::default());
        }
    }
}

impl<T: ArrowPrimitiveType> Column for Nullable<T> {
    fn data_type() -> DataType {
        number_type::<T>()
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.valid.truncate(rows);
    }

    fn size(&self) -> Size {
        Size { rows: self.values.len(), ..Size::default() }
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.values.reserve(size.rows, 2 * place);
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.values.len() == 0 && rows > 0 {
            let nulls = PrimitiveArray::<T>::new_null(rows);
            return Ok(Arc::new(nulls.with_data_type(number_type::<T>())));
        }
        self.pad(rows);
        numbers::<T>(self.values.take(), self.valid.finish())
    }
}

/// Bools, none of them null.
pub struct Boolean(BooleanBufferBuilder);

impl Default for Boolean {
    fn default() -> Self {
        Self(BooleanBufferBuilder::new(0))
    }
}

impl Boolean {
    /// Add a row.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.0.append(value);
    }

    /// Give all rows up to this one, that have no value yet, the same.
    #[inline]
    pub fn fill(&mut self, rows: usize, value: bool) {
        self.0.append_n(rows.saturating_sub(self.0.len()), value);
    }
}

impl Column for Boolean {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn truncate(&mut self, rows: usize) {
        if rows < self.0.len() {
            self.0.truncate(rows);
        }
    }

    fn size(&self) -> Size {
        Size { rows: self.0.len(), ..Size::default() }
    }

    fn reserve(&mut self, size: Size, _place: usize) {
        self.0.reserve(size.rows.saturating_sub(self.0.len()));
    }

    fn finish(&mut self, _rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(BooleanArray::new(self.0.finish(), None)))
    }
}
