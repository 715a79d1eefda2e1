//! What a table is.

use arrow_array::ArrayRef;
use arrow_schema::Field;

/// One version of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What a row is, in one line.
    pub description: &'static str,
    /// The columns that make a row unique for ever.
    pub key: &'static [&'static str],
}

/// An older version of a table: columns of the newest one, some of them in another type.
pub struct Older {
    /// Its fields out of the newest one's.
    pub fields: fn(&[Field]) -> Vec<Field>,
    /// Its columns out of the newest one's fields and columns.
    pub columns: fn(&[Field], &[ArrayRef]) -> Vec<ArrayRef>,
}
