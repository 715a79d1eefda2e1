//! Table `ttl`: a row a change of how long contract data or code lives.

use std::sync::Arc;

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, NullableUInt32, Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::Text;
use crate::filter::Filter;
use crate::ledger::change::{self, Entry, Kind};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction};

pub(super) const TTL: Table = Table {
    name: "ttl",
    version: "1.0",
    description: "A change of how long an entry of contract data or code lives.",
    key: &["ledger_sequence", "transaction_index", "change_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    change_index: required UInt32 = "Place among the transaction's changes of time to live, from 0.",
    change_type: required Text = "created, updated, removed or restored.",
    deleted: required Boolean = "Whether the entry was removed; the row then shows its last state.",
    key_hash: required Text = "sha256 of the LedgerKey that lives so long, hex.",
    live_until_ledger_seq: optional NullableUInt32 = "Last ledger it lives in.",
    last_modified_ledger: required UInt32 = "Ledger the shown state was written in.",
}

pub(super) struct Builder {
    columns: Columns,
    filter: Arc<Filter>,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            columns: Columns::new(settings.decoded, settings.dictionaries),
            filter: settings.filter.clone(),
        }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { entries: change::TTL, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let columns = &mut self.columns;
        for (index, change, ttl) in change::numbered(transaction.changes, Entry::ttl) {
            if !self.filter.change(change.kind) {
                continue;
            }
            let row = columns.rows;
            columns.rows += 1;
            columns.change_index.push(index);
            columns.change_type.word(change.kind.word());
            columns.deleted.push(change.kind == Kind::Removed);
            columns.key_hash.hex(ttl.key_hash);
            if let Some(live_until) = ttl.live_until {
                columns.live_until_ledger_seq.set(row, live_until);
            }
            columns.last_modified_ledger.push(change.last_modified.unwrap_or(ledger.sequence));
        }
        columns.transaction_index.fill(columns.rows, transaction.index);
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, _totals: &Totals<'_, '_>) {
        let columns = &mut self.columns;
        columns.ledger_sequence.fill(columns.rows, ledger.sequence);
        columns.closed_at.fill(columns.rows, ledger.closed_at());
    }

    forward_to_columns!(columns);
}
