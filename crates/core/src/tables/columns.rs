//! The notation a table's columns are written in: name, null or not, type, and what it says.

/// Define the columns of a table, their Arrow fields, and what all of them do together.
macro_rules! columns {
    ($(
        $field:ident: $nullable:ident $column:ty = $description:literal,
    )*) => {
        /// The columns in the making.
        #[derive(Default)]
        struct Columns {
            rows: usize,
            $($field: $column,)*
        }

        impl Columns {
            fn fields() -> Vec<arrow_schema::Field> {
                use $crate::tables::column::Column;
                vec![$($crate::tables::columns::field(
                    stringify!($field),
                    <$column>::data_type(),
                    $crate::tables::columns::is_nullable!($nullable),
                    $description,
                ),)*]
            }

            fn truncate(&mut self, rows: usize) {
                use $crate::tables::column::Column;
                self.rows = rows;
                $(self.$field.truncate(rows);)*
            }

            fn reserve(&mut self, rows: usize) {
                use $crate::tables::column::Column;
                $(self.$field.reserve(rows, self.rows);)*
            }

            /// The first column that Arrow's offsets cannot address any more.
            fn oversized(&self) -> Option<&'static str> {
                use $crate::tables::column::Column;
                [$((stringify!($field), self.$field.oversized()),)*]
                    .into_iter()
                    .find_map(|(name, oversized)| oversized.then_some(name))
            }

            fn finish(&mut self) -> Result<Vec<arrow_array::ArrayRef>, arrow_schema::ArrowError> {
                use $crate::tables::column::Column;
                let rows = std::mem::take(&mut self.rows);
                Ok(vec![$(self.$field.finish(rows)?,)*])
            }
        }
    };
}

macro_rules! is_nullable {
    (required) => {
        false
    };
    (optional) => {
        true
    };
}

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

/// A field with its one-line description.
pub fn field(name: &str, data_type: DataType, nullable: bool, description: &str) -> Field {
    let metadata = HashMap::from([("description".to_owned(), description.to_owned())]);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

pub(crate) use {columns, is_nullable};
