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
use crate::ledger::event::{Event, STAGES};
use crate::ledger::header::Ledger;
use crate::ledger::token_event::{self, Reading};
use crate::ledger::visitor::{Needs, Transaction};
use crate::values::asset::Asset;
use crate::values::{describe, escape, strkey, xdr_json};

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

    fn wants(&self, event: &Event<'_>, topics: &[&[u8]]) -> bool {
        self.filter.contract(event.contract)
            && self.filter.event_name(token_event::name(topics))
            && self.filter.event_type(event.event_type)
            && (!self.filter.has_assets()
                || event.contract.is_some_and(|contract| self.filter.asset(contract, || None)))
    }

    fn row(&mut self, event: &Event<'_>, topics: &[&[u8]], reason: &str) {
        if !self.wants(event, topics) {
            return;
        }
        let columns = &mut self.columns;
        let row = columns.rows;
        columns.rows += 1;
        if let Some(operation) = event.operation {
            columns.operation_index.set(row, operation);
        }
        if let Some(stage) = event.stage.and_then(|stage| STAGES.get(stage as usize)) {
            columns.stage.set(row, stage.as_bytes());
        }
        columns.event_index.push(event.index);
        if let Some(contract) = event.contract {
            columns.contract_id.set(row, &strkey::encode(strkey::CONTRACT, contract));
        }
        let name = token_event::name(topics).unwrap_or_default();
        columns.event_name.push(escape::text(name).as_bytes());
        columns.topics_xdr.base64(topics);
        columns.data_xdr.base64(event.data);
        columns.reason.push(reason.as_bytes());
        if columns.decoded {
            columns.topics_json.push_with(topics, xdr_json::append);
            columns.data_json.set_with(row, |out| xdr_json::append(event.data, out));
            columns.event_text.set(row, describe::event(topics, event.data).as_bytes());
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { events: true, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let (first, events) = (self.columns.rows, transaction.events);
        for event in &events.transaction {
            let topics = events.topics(event);
            if let Reading::Deviant(reason) = Reading::of_transaction(event, topics, &self.native) {
                self.row(event, topics, reason);
            }
        }
        let done = if transaction.successful { events.operations.as_slice() } else { &[] };
        for event in done {
            let topics = events.topics(event);
            if let Reading::Deviant(reason) = Reading::of_operation(event, topics) {
                self.row(event, topics, reason);
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
