//! Arrow's arrays of the few values that were picked.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray,
    StringArray,
};
use arrow_schema::{DataType, TimeUnit};

use crate::page::Physical;

const WORD: usize = 16; // bytes of a decimal

type Values = Vec<Option<Vec<u8>>>;

/// Whether values of a type are known, written like this.
pub fn is_known(kind: &DataType, physical: Physical) -> bool {
    match (kind, physical) {
        (DataType::Boolean, Physical::Bit)
        | (DataType::Int32 | DataType::UInt32, Physical::Fixed(4))
        | (DataType::Int64 | DataType::UInt64, Physical::Fixed(8))
        | (DataType::Timestamp(TimeUnit::Microsecond, _), Physical::Fixed(8))
        | (DataType::Utf8 | DataType::Binary, Physical::Bytes) => true,
        (DataType::Decimal128(..), Physical::Fixed(width)) => (1..=WORD).contains(&width),
        _ => false,
    }
}

/// The array of a type that is known.
pub fn array(kind: &DataType, values: Values) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Boolean => {
            let bits = values.into_iter().map(|value| value.map(|bytes| bytes == [1]));
            Arc::new(bits.collect::<BooleanArray>())
        }
        DataType::Int32 => Arc::new(numbers::<Int32Type, 4>(&values, i32::from_le_bytes)?),
        DataType::UInt32 => Arc::new(numbers::<UInt32Type, 4>(&values, u32::from_le_bytes)?),
        DataType::Int64 => Arc::new(numbers::<Int64Type, 8>(&values, i64::from_le_bytes)?),
        DataType::UInt64 => Arc::new(numbers::<UInt64Type, 8>(&values, u64::from_le_bytes)?),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let moments = numbers::<TimestampMicrosecondType, 8>(&values, i64::from_le_bytes)?;
            Arc::new(moments.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let amounts = values.iter().map(|value| value.as_deref().map(decimal));
            let amounts = amounts.collect::<Decimal128Array>();
            Arc::new(amounts.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::Utf8 => {
            let text = |value: Option<Vec<u8>>| value.map(String::from_utf8).transpose().ok();
            let texts = values.into_iter().map(text).collect::<Option<Vec<_>>>()?;
            Arc::new(StringArray::from(texts))
        }
        DataType::Binary => Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>()),
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType, const N: usize>(
    values: &Values,
    number: impl Fn([u8; N]) -> T::Native,
) -> Option<PrimitiveArray<T>> {
    let one = |value: &Option<Vec<u8>>| match value {
        Some(bytes) => bytes.as_slice().try_into().ok().map(|bytes| Some(number(bytes))),
        None => Some(None),
    };
    let found = values.iter().map(one).collect::<Option<Vec<_>>>()?;
    Some(found.into_iter().collect())
}

/// A decimal of at most sixteen bytes, the highest first.
fn decimal(bytes: &[u8]) -> i128 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value, &byte| (value << 8) | i128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_sign_in_any_width() {
        assert_eq!(decimal(&(-5_i128).to_be_bytes()), -5);
        assert_eq!(decimal(&i128::MIN.to_be_bytes()), i128::MIN);
        assert_eq!(decimal(&[0xff, 0x00]), -256);
        assert_eq!(decimal(&[0x00, 0x80]), 128);
    }

    #[test]
    fn what_is_no_text_or_of_another_size_is_none() {
        assert!(array(&DataType::Utf8, vec![Some(vec![0xff])]).is_none());
        assert!(array(&DataType::Int32, vec![Some(vec![1, 2, 3])]).is_none());
        assert!(array(&DataType::Float64, Vec::new()).is_none());
        assert!(!is_known(&DataType::Int64, Physical::Fixed(4)));
        assert!(!is_known(&DataType::Decimal128(38, 0), Physical::Fixed(17)));
    }
}
