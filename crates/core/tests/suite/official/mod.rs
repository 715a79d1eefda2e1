//! What the tables must say: a plain decode by the official crate, written from the tables'
//! contract and not from the core.

mod changes;
mod contract_code;
mod contract_data;
mod contract_events;
mod evictions;
mod ledgers;
mod sac;
mod ttl;
pub mod wasm;

pub use sac::contract_id;

use base64_simd::STANDARD;
use serde::Serialize;
use stellar_xdr::{
    Hash, LedgerCloseMeta, TransactionMeta, TransactionResultPair, TransactionResultResult,
    WriteXdr,
};

use stellarrow_core::tables::Table;

use crate::rows::{Row, Value};
use crate::sealed::{encode, header};

/// The rows of a table, diagnostics among the events; `None` for a table not written down here.
pub fn rows(meta: &LedgerCloseMeta, table: &Table) -> Option<Vec<Row>> {
    Some(match (table.name, table.version) {
        ("ledgers", "1.0") => vec![ledgers::row(meta)],
        ("contract_data", "1.0") => contract_data::rows_1(meta),
        ("contract_data", "2.0") => contract_data::rows_2(meta),
        ("contract_events", "1.0") => contract_events::rows(meta),
        ("contract_code", "1.0") => contract_code::rows(meta),
        ("ttl", "1.0") => ttl::rows(meta),
        ("evictions", "1.0") => evictions::rows(meta),
        _ => return None,
    })
}

/// A transaction as it was applied.
struct Transaction<'a> {
    index: u32,
    hash: &'a Hash,
    result: &'a TransactionResultResult,
    meta: &'a TransactionMeta,
}

impl Transaction<'_> {
    fn successful(&self) -> bool {
        matches!(
            self.result,
            TransactionResultResult::TxSuccess(_)
                | TransactionResultResult::TxFeeBumpInnerSuccess(_)
        )
    }
}

fn transactions(meta: &LedgerCloseMeta) -> Vec<Transaction<'_>> {
    let applied: Vec<(&TransactionResultPair, &TransactionMeta)> = match meta {
        LedgerCloseMeta::V0(meta) => {
            parts(&meta.tx_processing, |tx| (&tx.result, &tx.tx_apply_processing))
        }
        LedgerCloseMeta::V1(meta) => {
            parts(&meta.tx_processing, |tx| (&tx.result, &tx.tx_apply_processing))
        }
        LedgerCloseMeta::V2(meta) => {
            parts(&meta.tx_processing, |tx| (&tx.result, &tx.tx_apply_processing))
        }
    };
    (1..)
        .zip(applied)
        .map(|(index, (result, meta))| Transaction {
            index,
            hash: &result.transaction_hash,
            result: &result.result.result,
            meta,
        })
        .collect()
}

fn parts<'a, T, R>(values: &'a [T], part: impl Fn(&'a T) -> R) -> Vec<R> {
    values.iter().map(part).collect()
}

/// The columns that every table of transactions begins with.
fn place(meta: &LedgerCloseMeta, transaction: &Transaction<'_>) -> Row {
    let header = header(meta);
    vec![
        cell("ledger_sequence", header.ledger_seq),
        cell("closed_at", i128::from(header.scp_value.close_time.0) * 1_000_000),
        cell("transaction_index", transaction.index),
        cell("transaction_hash", hex(&transaction.hash.0)),
    ]
}

fn cell(column: &str, value: impl Into<Value>) -> (String, Value) {
    (column.to_owned(), value.into())
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// XDR-JSON (SEP-51).
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn base64(value: &impl WriteXdr) -> String {
    STANDARD.encode_to_string(encode(value))
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<i128> for Value {
    fn from(value: i128) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
