//! Values that all take as much room.

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, DataType};

use crate::bits::Valid;
use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};

/// Numbers, times and the like.
pub struct Numbers<T: ArrowPrimitiveType> {
    kind: DataType,
    values: Chunks<T::Native>,
    valid: Valid,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// Numbers of a type, which may say more than Rust's does.
    pub fn of(kind: &DataType) -> Self {
        Self { kind: kind.clone(), values: Chunks::default(), valid: Valid::default() }
    }
}

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        let values = values.as_primitive_opt::<T>().ok_or_else(|| mismatched(values))?;
        self.values.extend(values.values());
        self.valid.append(values);
        Ok(())
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let value = |&row: &u32| self.values.get(row as usize).unwrap_or_default();
        let values: Vec<_> = rows.iter().map(value).collect();
        let array = PrimitiveArray::<T>::try_new(values.into(), self.valid.gather(rows))?;
        Ok(whole(array.with_data_type(self.kind.clone())))
    }

    fn clear(&mut self) {
        self.values.clear();
        self.valid = Valid::default();
    }
}

/// True and false.
pub struct Truth {
    values: BooleanBufferBuilder,
    valid: Valid,
}

impl Default for Truth {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), valid: Valid::default() }
    }
}

impl Column for Truth {
    fn append(&mut self, values: &dyn Array) -> Result<(), ArrowError> {
        let values = values.as_boolean_opt().ok_or_else(|| mismatched(values))?;
        self.values.append_buffer(values.values());
        self.valid.append(values);
        Ok(())
    }

    fn gather(&self, rows: &[u32]) -> Result<ArrayRef, ArrowError> {
        let held = self.values.as_slice();
        let is_set = |row: usize| held.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
        let at = |at: usize| rows.get(at).is_some_and(|&row| is_set(row as usize));
        let values = BooleanBuffer::collect_bool(rows.len(), at);
        Ok(whole(BooleanArray::new(values, self.valid.gather(rows))))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
