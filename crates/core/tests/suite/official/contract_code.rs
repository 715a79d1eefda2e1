use stellar_xdr::{
    ContractCodeEntry, ContractCodeEntryExt, LedgerCloseMeta, LedgerEntryData, LedgerKey,
};

use super::changes::{changes, common, last_modified};
use super::{cell, hex, transactions, wasm};
use crate::rows::{Row, Value};

pub fn rows(meta: &LedgerCloseMeta) -> Vec<Row> {
    let mut rows = Vec::new();
    for transaction in transactions(meta) {
        let mut index = 0;
        for change in changes(meta, &transaction) {
            let LedgerKey::ContractCode(key) = &change.key else { continue };
            let code = change.shown.map(|entry| match &entry.data {
                LedgerEntryData::ContractCode(code) => code,
                other => panic!("a code's key leads to {other:?}"),
            });
            let (functions, instructions) = code.and_then(costs).unzip();
            let mut row = common(meta, &transaction, index, &change);
            row.extend([
                cell("last_modified_ledger", last_modified(meta, &change)),
                cell("contract_code_hash", hex(&key.hash.0)),
                cell("code_size", code.map(|code| code.code.len() as u32)),
                cell("n_functions", functions),
                cell("n_instructions", instructions),
                cell("code", code.map(|code| Value::Bytes(code.code.to_vec()))),
                cell("spec_json", code.and_then(|code| wasm::spec_json(&code.code))),
                cell("spec_status", code.map(|code| wasm::spec_status(&code.code))),
            ]);
            rows.push(row);
            index += 1;
        }
    }
    rows
}

/// Functions and instructions, where they were counted.
fn costs(code: &ContractCodeEntry) -> Option<(u32, u32)> {
    match &code.ext {
        ContractCodeEntryExt::V0 => None,
        ContractCodeEntryExt::V1(v1) => {
            Some((v1.cost_inputs.n_functions, v1.cost_inputs.n_instructions))
        }
    }
}
