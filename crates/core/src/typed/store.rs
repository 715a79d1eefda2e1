//! Columns in the making, of any type; each row is a value or null.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    Decimal128Type, Int32Type, Int64Type, TimestampSecondType, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray,
    StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef};

/// Bytes one after another, and where each ends.
pub struct Runs {
    pub ends: Vec<i32>,
    pub bytes: Vec<u8>,
}

/// The values, one a row; where a row is null, any.
pub enum Values {
    Bool(BooleanBufferBuilder),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    Seconds(Vec<i64>),
    Decimal(Vec<i128>),
    Text(Runs),
    Binary(Runs),
    Fixed(usize, Vec<u8>),
    List(Vec<i32>, Box<Store>),
    Struct(Vec<Store>),
}

/// A column.
pub struct Store {
    data_type: DataType,
    valid: NullBufferBuilder,
    rows: usize,
    pub values: Values,
}

impl Runs {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    /// The cast cannot wrap unseen: `oversized` is asked after every ledger.
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Vec<u8>) {
        let Self { ends, bytes } = std::mem::replace(self, Self::new());
        (OffsetBuffer::new(ends.into()), bytes)
    }
}

impl Values {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBufferBuilder::new(0)),
            DataType::UInt32 => Self::U32(Vec::new()),
            DataType::Int32 => Self::I32(Vec::new()),
            DataType::UInt64 => Self::U64(Vec::new()),
            DataType::Int64 => Self::I64(Vec::new()),
            DataType::Timestamp(..) => Self::Seconds(Vec::new()),
            DataType::Decimal128(..) => Self::Decimal(Vec::new()),
            DataType::Binary => Self::Binary(Runs::new()),
            DataType::FixedSizeBinary(size) => Self::Fixed(*size as usize, Vec::new()),
            DataType::List(item) => {
                Self::List(vec![0], Box::new(Store::new(item.data_type().clone())))
            }
            DataType::Struct(fields) => {
                Self::Struct(fields.iter().map(|one| Store::new(one.data_type().clone())).collect())
            }
            _ => Self::Text(Runs::new()),
        }
    }
}

impl Store {
    /// A column of a type that `Kind::data_type` names.
    pub fn new(data_type: DataType) -> Self {
        let values = Values::of(&data_type);
        Self { data_type, valid: NullBufferBuilder::new(0), rows: 0, values }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Add a row whose value has just been added to `values`.
    #[inline]
    pub fn added(&mut self) {
        self.rows += 1;
        self.valid.append_non_null();
    }

    /// Make the rows up to this one null that have no value yet.
    pub fn pad(&mut self, rows: usize) {
        while self.rows < rows {
            self.null();
        }
    }

    /// Add a row that is null.
    pub fn null(&mut self) {
        self.rows += 1;
        self.valid.append_null();
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::U32(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::U64(values) => values.push(0),
            Values::I64(values) | Values::Seconds(values) => values.push(0),
            Values::Decimal(values) => values.push(0),
            Values::Text(runs) | Values::Binary(runs) => runs.end(),
            Values::Fixed(size, bytes) => bytes.resize(bytes.len() + *size, 0),
            Values::List(ends, items) => ends.push(items.rows as i32),
            Values::Struct(parts) => parts.iter_mut().for_each(Self::null),
        }
    }

    /// Forget everything from this row on.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.rows {
            return;
        }
        self.rows = rows;
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Bool(values) => values.truncate(rows),
            Values::U32(values) => values.truncate(rows),
            Values::I32(values) => values.truncate(rows),
            Values::U64(values) => values.truncate(rows),
            Values::I64(values) | Values::Seconds(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Text(runs) | Values::Binary(runs) => runs.truncate(rows),
            Values::Fixed(size, bytes) => bytes.truncate(rows * *size),
            Values::List(ends, items) => {
                ends.truncate(rows + 1);
                items.truncate(ends.last().map_or(0, |end| *end as usize));
            }
            Values::Struct(parts) => parts.iter_mut().for_each(|part| part.truncate(rows)),
        }
    }

    /// Whether it has outgrown what Arrow's 32-bit offsets can address.
    pub fn oversized(&self) -> bool {
        match &self.values {
            Values::Text(runs) | Values::Binary(runs) => runs.bytes.len() > i32::MAX as usize,
            Values::List(_, items) => items.rows > i32::MAX as usize || items.oversized(),
            Values::Struct(parts) => parts.iter().any(Self::oversized),
            _ => false,
        }
    }

    /// Hand over this many rows and begin anew.
    pub fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.pad(rows);
        self.rows = 0;
        let nulls = self.valid.finish();
        let kind = &self.data_type;
        let take = std::mem::take::<Vec<i64>>;
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::U32(values) => primitive::<UInt32Type>(std::mem::take(values), nulls)?,
            Values::I32(values) => primitive::<Int32Type>(std::mem::take(values), nulls)?,
            Values::U64(values) => primitive::<UInt64Type>(std::mem::take(values), nulls)?,
            Values::I64(values) => primitive::<Int64Type>(take(values), nulls)?,
            Values::Seconds(values) => typed::<TimestampSecondType>(take(values), nulls, kind)?,
            Values::Decimal(values) => {
                typed::<Decimal128Type>(std::mem::take(values), nulls, kind)?
            }
            Values::Text(runs) => {
                let (ends, bytes) = runs.take();
                Arc::new(StringArray::try_new(ends, bytes.into(), nulls)?)
            }
            Values::Binary(runs) => {
                let (ends, bytes) = runs.take();
                Arc::new(BinaryArray::try_new(ends, bytes.into(), nulls)?)
            }
            Values::Fixed(size, bytes) => {
                let bytes = std::mem::take(bytes);
                Arc::new(FixedSizeBinaryArray::try_new(*size as i32, bytes.into(), nulls)?)
            }
            Values::List(ends, items) => {
                let offsets = OffsetBuffer::new(std::mem::replace(ends, vec![0]).into());
                let held = items.rows;
                list(kind, offsets, items.finish(held)?, nulls)?
            }
            Values::Struct(parts) => {
                let arrays: Result<Vec<_>, _> =
                    parts.iter_mut().map(|part| part.finish(rows)).collect();
                structs(kind, arrays?, nulls)?
            }
        })
    }
}

fn primitive<T: arrow_array::types::ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?))
}

/// Numbers of an Arrow type that has more said than its Rust type knows.
fn typed<T: arrow_array::types::ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<T>::try_new(values.into(), nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

fn item_of(data_type: &DataType) -> Result<&FieldRef, ArrowError> {
    match data_type {
        DataType::List(item) => Ok(item),
        other => Err(ArrowError::SchemaError(format!("{other} is no list"))),
    }
}

fn list(
    data_type: &DataType,
    offsets: OffsetBuffer<i32>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(ListArray::try_new(item_of(data_type)?.clone(), offsets, items, nulls)?))
}

fn structs(
    data_type: &DataType,
    parts: Vec<ArrayRef>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    match data_type {
        DataType::Struct(fields) => {
            Ok(Arc::new(StructArray::try_new(fields.clone(), parts, nulls)?))
        }
        other => Err(ArrowError::SchemaError(format!("{other} is no struct"))),
    }
}
