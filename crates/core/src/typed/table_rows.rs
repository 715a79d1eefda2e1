//! The rows of one typed table in the making.

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use super::append::{append, each};
use super::columns::Placed;
use super::event_rows::{self, EventRows};
use super::storage_rows::{self, StorageRows};
use super::store::Store;
use super::typed_table::{Rows as Kind, TypedTable};
use crate::tables::column::Size;
use crate::xdr::Input;

/// The columns that every table has.
pub enum Fixed {
    Events(Box<EventRows>),
    Storage(Box<StorageRows>),
}

/// A table in the making.
pub struct Table {
    /// The columns that every table has.
    pub fixed: Fixed,
    own: Vec<Store>,
}

impl Table {
    /// None yet.
    pub fn new(table: &TypedTable) -> Self {
        let fixed = match table.rows {
            Kind::Events => Fixed::Events(Box::new(EventRows::new())),
            Kind::Storage => Fixed::Storage(Box::new(StorageRows::new())),
        };
        let own = table.own.iter().map(|field| Store::new(field.data_type().clone()));
        Self { fixed, own: own.collect() }
    }

    /// Rows made so far.
    pub fn rows(&self) -> usize {
        match &self.fixed {
            Fixed::Events(rows) => rows.rows(),
            Fixed::Storage(rows) => rows.rows(),
        }
    }

    /// Forget the rows from this one on.
    pub fn truncate(&mut self, count: usize) {
        match &mut self.fixed {
            Fixed::Events(rows) => rows.truncate(count),
            Fixed::Storage(rows) => rows.truncate(count),
        }
        self.own.iter_mut().for_each(|store| store.truncate(count));
    }

    /// How much the columns hold that every table has.
    pub fn sizes(&self) -> Vec<Size> {
        match &self.fixed {
            Fixed::Events(rows) => rows.sizes(),
            Fixed::Storage(rows) => rows.sizes(),
        }
    }

    /// Make room for so much in each of them.
    pub fn reserve(&mut self, sizes: &[Size]) {
        match &mut self.fixed {
            Fixed::Events(rows) => rows.reserve(sizes),
            Fixed::Storage(rows) => rows.reserve(sizes),
        }
    }

    /// A column that has outgrown Arrow's offsets.
    pub fn oversized(&self) -> Option<&'static str> {
        let fixed = match &self.fixed {
            Fixed::Events(rows) => rows.oversized(),
            Fixed::Storage(rows) => rows.oversized(),
        };
        let own = self.own.iter().any(Store::oversized);
        fixed.or_else(|| own.then_some("of the contract"))
    }

    /// Hand over the columns and begin anew.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        let count = self.rows();
        let (mut columns, raw) = match &mut self.fixed {
            Fixed::Events(rows) => (rows.finish()?, event_rows::RAW),
            Fixed::Storage(rows) => (rows.finish()?, storage_rows::RAW),
        };
        let behind = columns.split_off(columns.len().saturating_sub(raw));
        for store in &mut self.own {
            columns.push(store.finish(count)?);
        }
        columns.extend(behind);
        Ok(columns)
    }

    /// Write a value to its columns in the row made last.
    pub fn set(&mut self, placed: &Placed, value: Option<Input<'_>>) {
        let row = self.rows().saturating_sub(1);
        for (column, writer) in placed {
            if let Some(store) = self.own.get_mut(*column).filter(|store| store.rows() <= row) {
                store.pad(row);
                match value {
                    Some(value) => append(store, &writer.kind, value),
                    None => each([store], [writer], None),
                }
            }
        }
    }
}
