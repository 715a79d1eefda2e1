//! Values that all take as much room.

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_schema::{ArrowError, DataType};

use crate::bits::{self, Valid};
use crate::chunks::Chunks;
use crate::column::{Column, mismatched, whole};
use crate::order::Span;

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
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        let values = values.as_primitive_opt::<T>().ok_or_else(|| mismatched(values))?;
        match order {
            None => self.values.extend(values.values()),
            Some(order) => {
                let value = |row: &u32| values.values().get(*row as usize).copied();
                let ordered: Vec<_> = order.iter().filter_map(value).collect();
                self.values.extend(&ordered);
            }
        }
        self.valid.append(values, order);
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let mut values = Vec::with_capacity(rows.iter().map(|span| span.count).sum());
        for part in rows.iter().flat_map(|&span| self.values.slices(span)) {
            values.extend_from_slice(part);
        }
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
    fn append(&mut self, values: &dyn Array, order: Option<&[u32]>) -> Result<(), ArrowError> {
        let values = values.as_boolean_opt().ok_or_else(|| mismatched(values))?;
        match order {
            None => self.values.append_buffer(values.values()),
            Some(order) => self.values.append_buffer(&bits::ordered(values.values(), order)),
        }
        self.valid.append(values, order);
        Ok(())
    }

    fn gather(&self, rows: &[Span]) -> Result<ArrayRef, ArrowError> {
        let values = bits::gathered(self.values.as_slice(), rows);
        Ok(whole(BooleanArray::new(values, self.valid.gather(rows))))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
