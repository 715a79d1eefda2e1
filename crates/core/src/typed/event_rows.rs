//! The columns that every typed table of events has.

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, Field};

use super::status::Status;
use crate::fixed_text::{Word, hex};
use crate::ledger::event::{Event, STAGES};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::Transaction;
use crate::tables::column::{Boolean, NullableUInt32, Size, Timestamp, UInt32};
use crate::tables::columns::columns;
use crate::tables::text::{NullableText, Text, TextList};
use crate::values::{escape, scval, strkey};
use crate::xdr::discriminants::ContractEventType;

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Text = "Hash of the transaction, hex.",
    transaction_successful: required Boolean = "Whether the transaction took effect.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for events of the whole transaction.",
    stage: optional NullableText = "When an event of the whole transaction arose: before_all_txs, after_tx or after_all_txs.",
    event_index: required UInt32 = "Place among the events of the operation, or of the transaction.",
    event_type: required Text = "contract or system.",
    contract_id: optional NullableText = "Contract that emitted the event, strkey.",
    event_name: optional NullableText = r"First topic, if it is a symbol; \, NUL and bytes that are no UTF-8 written \\, \0 and \xNN.",
    wasm_hash: optional NullableText = "Hash of the code whose interface was looked at, hex; null for the Stellar Asset Contract, and where it is not known.",
    spec_status: required Text = "What became of the event under the contract's interface: decoded, ambiguous (it fits several declarations; the columns are of the first), mismatch (values are not of the declared types), no_match (nothing is declared like it) or no_spec (no interface is known).",
    topics_xdr: required TextList = "Topics, each an ScVal as base64 XDR.",
    data_xdr: required Text = "Data, an ScVal as base64 XDR.",
}

/// How many of the columns stand behind the contract's own.
pub const RAW: usize = 2;

static TYPES: [Word; 2] = [Word::new("system"), Word::new("contract")];

/// The columns that make a row unique.
pub const KEY: &[&str] =
    &["ledger_sequence", "transaction_index", "operation_index", "stage", "event_index"];

/// Rows in the making.
pub struct EventRows(Columns);

/// What is known of the row.
pub struct Found<'r> {
    /// The code it was read with.
    pub wasm: Option<&'r [u8; 32]>,
    /// What became of it.
    pub status: Status,
}

impl EventRows {
    /// None yet.
    pub fn new() -> Self {
        Self(Columns::new(false, false))
    }

    /// How much each column holds.
    pub fn sizes(&self) -> Vec<Size> {
        self.0.sizes()
    }

    /// Make room for so much in each column.
    pub fn reserve(&mut self, sizes: &[Size]) {
        self.0.reserve(sizes, 0);
    }

    /// The fields of the columns.
    pub fn fields() -> Vec<Field> {
        Columns::fields(false)
    }

    /// Add a row.
    pub fn push(
        &mut self,
        (ledger, transaction): (&Ledger<'_>, &Transaction<'_, '_>),
        (event, topics): (&Event<'_>, &[&[u8]]),
        found: &Found<'_>,
        contracts: &mut strkey::Recent,
    ) {
        let columns = &mut self.0;
        let row = columns.rows;
        columns.rows += 1;
        columns.ledger_sequence.push(ledger.sequence);
        columns.closed_at.push(ledger.closed_at());
        columns.transaction_index.push(transaction.index);
        columns.transaction_hash.hex(transaction.hash);
        columns.transaction_successful.push(transaction.successful);
        if let Some(operation) = event.operation {
            columns.operation_index.set(row, operation);
        }
        if let Some(stage) = event.stage.and_then(|stage| STAGES.get(stage as usize)) {
            columns.stage.set(row, stage.as_bytes());
        }
        columns.event_index.push(event.index);
        let [system, contract] = &TYPES;
        columns.event_type.word(match event.event_type {
            ContractEventType::SYSTEM => system,
            _ => contract,
        });
        if let Some(contract) = event.contract {
            columns.contract_id.set(row, contracts.encode(contract));
        }
        if let Some(name) = topics.first().and_then(|topic| scval::symbol(topic)) {
            columns.event_name.set(row, escape::text(name).as_bytes());
        }
        if let Some(hash) = found.wasm {
            columns.wasm_hash.set(row, &hex(hash));
        }
        columns.spec_status.word(found.status.word());
        columns.topics_xdr.base64(topics);
        columns.data_xdr.base64(event.data);
    }

    /// Rows made so far.
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Forget the rows from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    /// A column that has outgrown Arrow's offsets.
    pub fn oversized(&self) -> Option<&'static str> {
        self.0.oversized()
    }

    /// Hand over the columns and begin anew.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.0.finish()
    }
}
