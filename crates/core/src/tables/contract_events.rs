//! Table `contract_events`: a row a contract event.

use std::sync::Arc;

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, NullableUInt32, Timestamp, UInt32};
use super::columns::columns;
use super::repeated::{Repeated, RepeatedList};
use super::table::Table;
use super::text::{NullableText, Text, TextList};
use crate::filter::Filter;
use crate::fixed_text::Word;
use crate::ledger::event::{Event, Events, STAGES};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction};
use crate::values::asset::{Asset, RawAsset};
use crate::values::{describe, escape, scval, strkey, xdr_json};
use crate::xdr::discriminants::ContractEventType;

pub(super) const CONTRACT_EVENTS: Table = Table {
    name: "contract_events",
    version: "1.0",
    description: "An event a contract, or the ledger in a contract's name, emitted.",
    key: &["ledger_sequence", "transaction_index", "operation_index", "stage", "event_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Repeated<Text> = "Hash of the transaction, hex.",
    transaction_successful: required Boolean = "Whether the transaction took effect.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for events of the whole transaction.",
    stage: optional NullableText = "When an event of the whole transaction arose: before_all_txs, after_tx or after_all_txs.",
    event_index: required UInt32 = "Place among the events of the operation, or of the transaction.",
    event_type: required Text = "contract, system or diagnostic.",
    contract_id: optional Repeated<NullableText> = "Contract that emitted the event, strkey.",
    event_name: optional NullableText = r"First topic, if it is a symbol; \, NUL and bytes that are no UTF-8 written \\, \0 and \xNN.",
    topics_xdr: required RepeatedList = "Topics, each an ScVal as base64 XDR.",
    data_xdr: required Text = "Data, an ScVal as base64 XDR.",
    topics_json: on_request TextList = "Topics, each an ScVal as XDR-JSON (SEP-51).",
    data_json: on_request NullableText = "Data, an ScVal as XDR-JSON (SEP-51).",
    event_text: on_request NullableText = "The event in words, such as mint(G…) → 13804333; for people, not to be parsed.",
}

static TYPES: [Word; 3] = [Word::new("system"), Word::new("contract"), Word::new("diagnostic")];

pub(super) struct Builder {
    columns: Columns,
    settings: Settings,
    filter: Arc<Filter>,
    contracts: strkey::Recent,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        let (settings, filter) = (settings.clone(), settings.filter.clone());
        let (columns, contracts) = (
            Columns::new(settings.decoded, settings.dictionaries),
            strkey::Recent::new(strkey::CONTRACT),
        );
        Self { columns, settings, filter, contracts }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }

    fn wants(&self, event: &Event<'_>, topics: &[&[u8]]) -> bool {
        self.filter.event_type(event.event_type)
            && self.filter.contract(event.contract)
            && self.filter.event_name(topics.first().and_then(|topic| scval::symbol(topic)))
            && (!self.filter.has_assets()
                || event.contract.is_some_and(|contract| {
                    self.filter.asset(contract, || self.asset(contract, topics))
                }))
    }

    /// The asset an event names in its last topic (CAP-67), if it is the contract's own.
    fn asset(&self, contract: &[u8; 32], topics: &[&[u8]]) -> Option<RawAsset> {
        let name = topics.last().and_then(|topic| scval::string(topic))?;
        Asset::parse(std::str::from_utf8(name).ok()?)
            .map(RawAsset::from)
            .filter(|asset| asset.contract_id(&self.settings.network_id) == *contract)
    }

    fn row(&mut self, event: &Event<'_>, topics: &[&[u8]]) {
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
        let [system, contract, diagnostic] = &TYPES;
        columns.event_type.word(match event.event_type {
            ContractEventType::SYSTEM => system,
            ContractEventType::CONTRACT => contract,
            _ => diagnostic,
        });
        if let Some(contract) = event.contract {
            columns.contract_id.strkey(row, contract, &mut self.contracts);
        }
        if let Some(name) = topics.first().and_then(|topic| scval::symbol(topic)) {
            columns.event_name.set_with(row, |out| escape::append(name, out));
        }
        columns.topics_xdr.base64(topics);
        columns.data_xdr.base64(event.data);
        if columns.decoded {
            columns.topics_json.push_with(topics, xdr_json::append);
            columns.data_json.set_with(row, |out| xdr_json::append(event.data, out));
            columns.event_text.set(row, describe::event(topics, event.data).as_bytes());
        }
    }

    fn rows_of(&mut self, events: &Events<'_>) {
        for event in events.iter() {
            let topics = events.topics(event);
            if self.wants(event, topics) {
                self.row(event, topics);
            }
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { events: true, diagnostics: self.settings.diagnostics, ..Needs::default() }
    }

    fn transaction(&mut self, _ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let first = self.columns.rows;
        self.rows_of(transaction.events);
        let columns = &mut self.columns;
        let rows = columns.rows;
        if rows == first {
            return;
        }
        columns.transaction_index.fill(rows, transaction.index);
        columns.transaction_hash.fill_hex(rows, transaction.hash);
        columns.transaction_successful.fill(rows, transaction.successful);
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, _totals: &Totals<'_, '_>) {
        let columns = &mut self.columns;
        columns.ledger_sequence.fill(columns.rows, ledger.sequence);
        columns.closed_at.fill(columns.rows, ledger.closed_at());
    }

    forward_to_columns!(columns);
}
