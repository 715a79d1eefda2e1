//! Whole numbers of any width, as digits.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_schema::DataType;

/// As many digits as 64 bits have.
const DIGITS: usize = 20;

/// A column of whole numbers.
pub enum Numbers<'a> {
    /// 8 bits.
    I8(&'a PrimitiveArray<Int8Type>),
    /// 16 bits.
    I16(&'a PrimitiveArray<Int16Type>),
    /// 32 bits.
    I32(&'a PrimitiveArray<Int32Type>),
    /// 64 bits.
    I64(&'a PrimitiveArray<Int64Type>),
    /// 8 bits without sign.
    U8(&'a PrimitiveArray<UInt8Type>),
    /// 16 bits without sign.
    U16(&'a PrimitiveArray<UInt16Type>),
    /// 32 bits without sign.
    U32(&'a PrimitiveArray<UInt32Type>),
    /// 64 bits without sign.
    U64(&'a PrimitiveArray<UInt64Type>),
    /// 128 bits, up to 38 digits.
    Decimal(&'a PrimitiveArray<Decimal128Type>),
}

impl<'a> Numbers<'a> {
    /// A column's numbers; none where it has others, or none.
    pub fn of(column: &'a dyn Array) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Int8 => Self::I8(column.as_primitive_opt()?),
            DataType::Int16 => Self::I16(column.as_primitive_opt()?),
            DataType::Int32 => Self::I32(column.as_primitive_opt()?),
            DataType::Int64 => Self::I64(column.as_primitive_opt()?),
            DataType::UInt8 => Self::U8(column.as_primitive_opt()?),
            DataType::UInt16 => Self::U16(column.as_primitive_opt()?),
            DataType::UInt32 => Self::U32(column.as_primitive_opt()?),
            DataType::UInt64 => Self::U64(column.as_primitive_opt()?),
            DataType::Decimal128(_, 0) => Self::Decimal(column.as_primitive_opt()?),
            _ => return None,
        })
    }

    /// Whether readers that know only floats would lose digits.
    pub const fn is_long(&self) -> bool {
        matches!(self, Self::I64(_) | Self::U64(_) | Self::Decimal(_))
    }

    /// Whether a row has the same as another.
    pub fn is_same(&self, row: usize, other: usize) -> bool {
        self.value(row) == self.value(other)
    }

    fn value(&self, row: usize) -> i128 {
        match self {
            Self::I8(held) => held.value(row).into(),
            Self::I16(held) => held.value(row).into(),
            Self::I32(held) => held.value(row).into(),
            Self::I64(held) => held.value(row).into(),
            Self::U8(held) => held.value(row).into(),
            Self::U16(held) => held.value(row).into(),
            Self::U32(held) => held.value(row).into(),
            Self::U64(held) => held.value(row).into(),
            Self::Decimal(held) => held.value(row),
        }
    }

    /// Append a row's number.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        let value = self.value(row);
        if value < 0 {
            out.push(b'-');
        }
        digits(value.unsigned_abs(), out);
    }
}

fn digits(value: u128, out: &mut Vec<u8>) {
    match u64::try_from(value) {
        Ok(small) => short(small, out),
        Err(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

/// Two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut left: &mut [[u8; 2]] = &mut pairs;
    let mut number = 0;
    while let Some((pair, rest)) = left.split_first_mut() {
        *pair = [b'0' + number / 10, b'0' + number % 10];
        (left, number) = (rest, number + 1);
    }
    pairs
};

fn short(mut value: u64, out: &mut Vec<u8>) {
    let mut held = [[0u8; 2]; DIGITS / 2];
    let mut start = 0;
    for (place, pair) in held.iter_mut().enumerate().rev() {
        *pair = PAIRS.get((value % 100) as usize).copied().unwrap_or_default();
        start = 2 * place + usize::from(value < 10);
        value /= 100;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(held.as_flattened().get(start..).unwrap_or_default());
}
