//! What makes the rows of a table.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use super::column::Size;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Refusal, Totals, Transaction};

/// What every builder is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// sha256 of the network passphrase.
    pub network_id: [u8; 32],
    /// Which rows are wanted.
    pub filter: Arc<Filter>,
    /// Whether diagnostic events are rows of `contract_events`.
    pub diagnostics: bool,
    /// Whether tables have the columns that are made only on request.
    pub decoded: bool,
    /// What `token_transfers` are read from.
    pub transfers: Transfers,
    /// Whether texts that repeat are handed over as dictionaries.
    pub dictionaries: bool,
}

/// What `token_transfers` are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transfers {
    /// Classic effects from operations and results, contract tokens from contract events.
    #[default]
    Derive,
    /// Events alone, which tell of classic effects too (CAP-67); meta of version 4 has them.
    Unified,
}

impl Transfers {
    /// Read `derive` or `unified`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "derive" => Ok(Self::Derive),
            "unified" => Ok(Self::Unified),
            _ => Err(Error::Config(format!("transfers: {text:?} is neither derive nor unified"))),
        }
    }
}

/// Makes the rows of one version of a table.
pub trait Builder {
    /// What the walk has to show it.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Take a transaction in.
    fn transaction(&mut self, _ledger: &Ledger<'_>, _transaction: &Transaction<'_, '_>) {}
    /// Take in what a ledger held in all; comes after its transactions.
    fn ledger(&mut self, _ledger: &Ledger<'_>, _totals: &Totals<'_, '_>) {}
    /// Rows made so far.
    fn rows(&self) -> usize;
    /// Forget the rows from this one on.
    fn truncate(&mut self, rows: usize);
    /// How much each column holds.
    fn sizes(&self) -> Vec<Size>;
    /// Make room for so much in each column, given the place of the first in the batch.
    fn reserve(&mut self, sizes: &[Size], first: usize);
    /// A column that has outgrown Arrow's offsets.
    fn oversized(&self) -> Option<&'static str>;
    /// Why the ledger at hand cannot become rows.
    fn refusal(&mut self) -> Option<Refusal> {
        None
    }
    /// Hand over the columns in the schema's order.
    fn finish(&mut self) -> std::result::Result<Vec<ArrayRef>, ArrowError>;
}

/// The part of a builder that its columns do by themselves; it names the builder's field that holds them.
macro_rules! forward_to_columns {
    ($columns:tt) => {
        fn rows(&self) -> usize {
            self.$columns.rows
        }

        fn truncate(&mut self, rows: usize) {
            self.$columns.truncate(rows);
        }

        fn sizes(&self) -> Vec<crate::tables::column::Size> {
            self.$columns.sizes()
        }

        fn reserve(&mut self, sizes: &[crate::tables::column::Size], first: usize) {
            self.$columns.reserve(sizes, first);
        }

        fn oversized(&self) -> Option<&'static str> {
            self.$columns.oversized()
        }

        fn finish(
            &mut self,
        ) -> std::result::Result<Vec<arrow_array::ArrayRef>, arrow_schema::ArrowError> {
            self.$columns.finish()
        }
    };
}
pub(super) use forward_to_columns;
