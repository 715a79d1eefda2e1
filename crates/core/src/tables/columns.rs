//! The notation a table's columns are written in: name, presence, type, and what it says.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

/// Whether a column is always there and may hold nulls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always there, never null.
    Required,
    /// Always there, null where it does not apply.
    Optional,
    /// There only where the caller asks for decoded columns; then as `Optional`.
    OnRequest,
}

/// Define the columns of a table, their Arrow fields, and what all of them do together.
macro_rules! columns {
    ($($field:ident: $presence:ident $column:ty = $description:literal,)*) => {
        /// The columns in the making.
        #[derive(Default)]
        struct Columns {
            rows: usize,
            /// Whether the columns on request were asked for.
            decoded: bool,
            $($field: $column,)*
        }

        impl Columns {
            fn new(decoded: bool, dictionaries: bool) -> Self {
                use $crate::tables::column::Column;
                let mut columns = Self { decoded, ..Self::default() };
                if dictionaries {
                    $(columns.$field.code();)*
                }
                columns
            }

            fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
                use $crate::tables::column::Column;
                use $crate::tables::columns::{Presence, field, presence};
                let mut fields = Vec::new();
                $(if decoded || presence!($presence) != Presence::OnRequest {
                    let nullable = presence!($presence) != Presence::Required;
                    let data_type = <$column>::data_type();
                    fields.push(field(stringify!($field), data_type, nullable, $description));
                })*
                fields
            }

            fn truncate(&mut self, rows: usize) {
                use $crate::tables::column::Column;
                self.rows = rows;
                $(self.$field.truncate(rows);)*
            }

            fn sizes(&self) -> Vec<$crate::tables::column::Size> {
                use $crate::tables::column::Column;
                vec![$(self.$field.size(),)*]
            }

            fn reserve(&mut self, sizes: &[$crate::tables::column::Size], first: usize) {
                use $crate::tables::column::Column;
                let mut sizes = (first..).zip(sizes);
                $(if let Some((place, size)) = sizes.next() {
                    self.$field.reserve(*size, place);
                })*
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
                use $crate::tables::columns::{Presence, presence};
                let rows = std::mem::take(&mut self.rows);
                let mut columns = Vec::new();
                $(if self.decoded || presence!($presence) != Presence::OnRequest {
                    columns.push(self.$field.finish(rows)?);
                })*
                Ok(columns)
            }
        }
    };
}

macro_rules! presence {
    (required) => {
        Presence::Required
    };
    (optional) => {
        Presence::Optional
    };
    (on_request) => {
        Presence::OnRequest
    };
}

/// A field with its one-line description.
pub fn field(name: &str, data_type: DataType, nullable: bool, description: &str) -> Field {
    let metadata = HashMap::from([("description".to_owned(), description.to_owned())]);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

pub(crate) use {columns, presence};
