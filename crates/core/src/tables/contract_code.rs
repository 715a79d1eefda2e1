//! Table `contract_code`: a row a change of a contract's code.

use std::sync::Arc;

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, NullableUInt32, Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::{NullableBinary, NullableText, Text};
use crate::contract::wasm;
use crate::filter::Filter;
use crate::ledger::change::{self, CONTRACT_CODE as CODE, ContractCode, Entry, Kind};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction};

pub(super) const CONTRACT_CODE: Table = Table {
    name: "contract_code",
    version: "1.0",
    description: "A change of a contract's code.",
    key: &["ledger_sequence", "transaction_index", "change_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    change_index: required UInt32 = "Place among the transaction's changes of contract code, from 0.",
    change_type: required Text = "created, updated, removed or restored.",
    deleted: required Boolean = "Whether the entry was removed; the row then shows its last state.",
    last_modified_ledger: required UInt32 = "Ledger the shown state was written in.",
    contract_code_hash: required Text = "sha256 of the code, hex.",
    code_size: optional NullableUInt32 = "Bytes of the code.",
    n_functions: optional NullableUInt32 = "Functions in the code, where they were counted (since protocol 21).",
    n_instructions: optional NullableUInt32 = "Instructions in the code, where they were counted (since protocol 21).",
    code: on_request NullableBinary = "The code, WebAssembly.",
    spec_json: on_request NullableText = "Interface of the contract (SEP-48), as XDR-JSON.",
    spec_status: on_request NullableText = "What became of the interface: read, absent (the code has none), malformed (it is cut short or not made of entries), or newer (it has entries or types that this version does not know).",
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

impl Columns {
    fn code(&mut self, row: usize, code: &ContractCode<'_>) {
        self.contract_code_hash.hex(code.hash);
        if let Some(code) = code.code {
            self.code_size.set(row, u32::try_from(code.len()).unwrap_or(u32::MAX));
            if self.decoded {
                self.code.set(row, code);
                let interface = wasm::Interface::of(code);
                self.spec_status.set(row, interface.word().as_bytes());
                if let Some(json) = interface.json() {
                    self.spec_json.set(row, json.as_bytes());
                }
            }
        }
        if let Some((instructions, functions)) = code.costs {
            self.n_instructions.set(row, instructions);
            self.n_functions.set(row, functions);
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { entries: CODE, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let columns = &mut self.columns;
        for (index, change, code) in change::numbered(transaction.changes, Entry::contract_code) {
            if !self.filter.change(change.kind) {
                continue;
            }
            let row = columns.rows;
            columns.rows += 1;
            columns.change_index.push(index);
            columns.change_type.word(change.kind.word());
            columns.deleted.push(change.kind == Kind::Removed);
            columns.last_modified_ledger.push(change.last_modified.unwrap_or(ledger.sequence));
            columns.code(row, code);
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
