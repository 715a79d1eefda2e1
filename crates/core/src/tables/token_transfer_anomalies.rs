//! Table `token_transfer_anomalies`: a row an event that is called as a token's events are, but is
//! not as SEP-41 and CAP-67 have them. Such events are no rows of `token_transfers`.

use std::sync::Arc;

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, NullableUInt32, Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::{NullableText, Text, TextList};
use crate::filter::Filter;
use crate::fixed_text::hex;
use crate::ledger::event::STAGES;
use crate::ledger::header::Ledger;
use crate::ledger::token_event::{RawEvent, Reading};
use crate::ledger::visitor::{Needs, Transaction};
use crate::values::asset::Asset;
use crate::values::{describe, escape, strkey, xdr_json};
use crate::xdr::{self, Input};

pub(super) const TOKEN_TRANSFER_ANOMALIES: Table = Table {
    name: "token_transfer_anomalies",
    version: "1.0",
    description: "An event called as a token's events are, but not as SEP-41 has them.",
    key: &["ledger_sequence", "transaction_index", "operation_index", "stage", "event_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Text = "Hash of the transaction, hex.",
    transaction_successful: required Boolean = "Whether the transaction took effect.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for events of the whole transaction.",
    stage: optional NullableText = "When an event of the whole transaction arose: before_all_txs, after_tx or after_all_txs.",
    event_index: required UInt32 = "Place among the events of the operation, or of the transaction.",
    contract_id: optional NullableText = "Contract that emitted the event, strkey.",
    event_name: required Text = "First topic: transfer, mint, burn, clawback or fee.",
    topics_xdr: required TextList = "Topics, each an ScVal as base64 XDR.",
    data_xdr: required Text = "Data, an ScVal as base64 XDR.",
    reason: required Text = "How the event deviates.",
    topics_json: on_request TextList = "Topics, each an ScVal as XDR-JSON (SEP-51).",
    data_json: on_request NullableText = "Data, an ScVal as XDR-JSON (SEP-51).",
    event_text: on_request NullableText = "The event in words, such as mint(G…) → 13804333; for people, not to be parsed.",
}

pub(super) struct Builder {
    columns: Columns,
    filter: Arc<Filter>,
    native: [u8; 32],
}

/// Where an event stands: its operation or its stage, and its place there.
type Place = (Option<u32>, Option<u32>, u32);

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        let native = Asset::Native.contract_id(&settings.network_id);
        Self {
            columns: Columns::new(settings.decoded, settings.dictionaries),
            filter: settings.filter.clone(),
            native,
        }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }

    /// TransactionEvent<>
    fn of_transaction(&mut self, events: Input<'_>) -> Option<()> {
        let (count, mut bytes) = xdr::u32(events)?;
        for index in 0..count {
            let (stage, body) = xdr::u32(bytes)?;
            let (event, rest) = RawEvent::read(body)?;
            if let Reading::Deviant(reason) = Reading::of_transaction(&event, &self.native) {
                self.row(&event, (None, Some(stage), index), reason);
            }
            bytes = rest;
        }
        Some(())
    }

    /// ContractEvent<>
    fn of_operation(&mut self, events: Input<'_>, operation: u32) -> Option<()> {
        let (count, mut bytes) = xdr::u32(events)?;
        for index in 0..count {
            let (event, rest) = RawEvent::read(bytes)?;
            if let Reading::Deviant(reason) = Reading::of_operation(&event) {
                self.row(&event, (Some(operation), None, index), reason);
            }
            bytes = rest;
        }
        Some(())
    }

    fn wants(&self, event: &RawEvent<'_>) -> bool {
        self.filter.contract(event.contract)
            && self.filter.event_name(event.name())
            && self.filter.event_type(event.event_type)
            && (!self.filter.has_assets()
                || event.contract.is_some_and(|contract| self.filter.asset(contract, || None)))
    }

    fn row(&mut self, event: &RawEvent<'_>, (operation, stage, index): Place, reason: &str) {
        if !self.wants(event) {
            return;
        }
        let columns = &mut self.columns;
        let row = columns.rows;
        columns.rows += 1;
        if let Some(operation) = operation {
            columns.operation_index.set(row, operation);
        }
        if let Some(stage) = stage.and_then(|stage| STAGES.get(stage as usize)) {
            columns.stage.set(row, stage.as_bytes());
        }
        columns.event_index.push(index);
        if let Some(contract) = event.contract {
            columns.contract_id.set(row, &strkey::encode(strkey::CONTRACT, contract));
        }
        columns.event_name.push(escape::text(event.name().unwrap_or_default()).as_bytes());
        let topics: Vec<_> = event.topics().collect();
        columns.topics_xdr.base64(&topics);
        columns.data_xdr.base64(event.data);
        columns.reason.push(reason.as_bytes());
        if columns.decoded {
            columns.topics_json.push_with(&topics, xdr_json::append);
            columns.data_json.set_with(row, |out| xdr_json::append(event.data, out));
            columns.event_text.set(row, describe::event(&topics, event.data).as_bytes());
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { meta: true, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let (first, meta) = (self.columns.rows, transaction.meta);
        self.of_transaction(meta.events);
        if transaction.successful {
            for (operation, _) in (0..).zip(&meta.operations) {
                self.of_operation(meta.events(operation), operation);
            }
        }
        let columns = &mut self.columns;
        let rows = columns.rows;
        if rows > first {
            columns.ledger_sequence.fill(rows, ledger.sequence);
            columns.closed_at.fill(rows, ledger.closed_at());
            columns.transaction_index.fill(rows, transaction.index);
            columns.transaction_hash.fill(rows, &hex(transaction.hash));
            columns.transaction_successful.fill(rows, transaction.successful);
        }
    }

    forward_to_columns!(columns);
}
