use stellar_xdr::{
    ContractEvent, ContractEventBody, ContractEventType, ContractEventV0, LedgerCloseMeta, ScVal,
    TransactionEvent, TransactionEventStage, TransactionMeta,
};
use stellarrow_core::values::describe;

use super::{Transaction, base64, cell, json, place, transactions};
use crate::rows::{Row, Value};
use crate::sealed::encode;

/// An event and where it stood.
struct Event<'a> {
    operation: Option<u32>,
    stage: Option<&'static str>,
    index: u32,
    kind: &'static str,
    event: &'a ContractEvent,
}

pub fn rows(meta: &LedgerCloseMeta) -> Vec<Row> {
    let mut rows = Vec::new();
    for transaction in transactions(meta) {
        let mut events = events(transaction.meta);
        events.extend(diagnostic(transaction.meta));
        rows.extend(events.iter().map(|event| row(meta, &transaction, event)));
    }
    rows
}

fn events(meta: &TransactionMeta) -> Vec<Event<'_>> {
    match meta {
        TransactionMeta::V3(meta) => {
            let events = meta.soroban_meta.iter().flat_map(|meta| meta.events.iter());
            of_operation(0, events).collect()
        }
        TransactionMeta::V4(meta) => {
            let transaction = (0..).zip(meta.events.iter()).map(of_transaction);
            let operations = (0..)
                .zip(meta.operations.iter())
                .flat_map(|(operation, meta)| of_operation(operation, meta.events.iter()));
            transaction.chain(operations).collect()
        }
        _ => Vec::new(),
    }
}

fn of_transaction((index, event): (u32, &TransactionEvent)) -> Event<'_> {
    let stage = match event.stage {
        TransactionEventStage::BeforeAllTxs => "before_all_txs",
        TransactionEventStage::AfterTx => "after_tx",
        TransactionEventStage::AfterAllTxs => "after_all_txs",
    };
    Event {
        operation: None,
        stage: Some(stage),
        index,
        kind: kind(&event.event),
        event: &event.event,
    }
}

fn of_operation<'a>(
    operation: u32,
    events: impl Iterator<Item = &'a ContractEvent>,
) -> impl Iterator<Item = Event<'a>> {
    (0..).zip(events).map(move |(index, event)| Event {
        operation: Some(operation),
        stage: None,
        index,
        kind: kind(event),
        event,
    })
}

fn diagnostic(meta: &TransactionMeta) -> Vec<Event<'_>> {
    let events: &[_] = match meta {
        TransactionMeta::V3(meta) => {
            meta.soroban_meta.as_ref().map_or(&[], |meta| meta.diagnostic_events.as_slice())
        }
        TransactionMeta::V4(meta) => &meta.diagnostic_events,
        _ => &[],
    };
    (0..)
        .zip(events)
        .map(|(index, event)| Event {
            operation: None,
            stage: None,
            index,
            kind: "diagnostic",
            event: &event.event,
        })
        .collect()
}

fn kind(event: &ContractEvent) -> &'static str {
    match event.type_ {
        ContractEventType::System => "system",
        ContractEventType::Contract => "contract",
        ContractEventType::Diagnostic => "diagnostic",
    }
}

fn row(meta: &LedgerCloseMeta, transaction: &Transaction<'_>, event: &Event<'_>) -> Row {
    let ContractEventBody::V0(body) = &event.event.body;
    let contract = event.event.contract_id.as_ref().map(ToString::to_string);
    let mut row = place(meta, transaction);
    row.extend([
        cell("transaction_successful", transaction.successful()),
        cell("operation_index", event.operation),
        cell("stage", event.stage),
        cell("event_index", event.index),
        cell("event_type", event.kind),
        cell("contract_id", contract),
        cell("event_name", body.topics.first().and_then(name)),
        cell("topics_xdr", Value::List(body.topics.iter().map(base64).collect())),
        cell("data_xdr", base64(&body.data)),
        cell("topics_json", Value::List(body.topics.iter().map(json).collect())),
        cell("data_json", json(&body.data)),
        cell("event_text", words(body)),
    ]);
    row
}

/// The core's own words: that they are of these topics and this data.
fn words(body: &ContractEventV0) -> String {
    let topics: Vec<_> = body.topics.iter().map(encode).collect();
    let topics: Vec<&[u8]> = topics.iter().map(Vec::as_slice).collect();
    describe::event(&topics, &encode(&body.data))
}

/// A symbol as text: as it is where it is UTF-8, but for backslashes and NULs.
fn name(topic: &ScVal) -> Option<String> {
    let ScVal::Symbol(symbol) = topic else { return None };
    let mut text = String::new();
    let mut bytes = symbol.0.as_slice();
    while let Some((first, _)) = bytes.split_first() {
        let sound =
            (1..=4.min(bytes.len())).find_map(|end| std::str::from_utf8(&bytes[..end]).ok());
        match sound {
            Some("\\") => text += r"\\",
            Some("\0") => text += r"\0",
            Some(char) => text += char,
            None => text += &format!(r"\x{first:02x}"),
        }
        bytes = &bytes[sound.map_or(1, str::len)..];
    }
    Some(text)
}
