//! Which column holds values of which type.

use arrow_array::downcast_primitive;
use arrow_array::types::ArrowPrimitiveType;
use arrow_schema::{DataType, Field};

use crate::codes::Codes;
use crate::column::Column;
use crate::fixed::{Numbers, Truth};
use crate::lists::Lists;
use crate::loose::Loose;
use crate::texts::Texts;

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
