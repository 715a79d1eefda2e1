use std::collections::HashMap;

use stellar_xdr::{
    Asset, ContractDataDurability, LedgerCloseMeta, LedgerEntryData, LedgerKey,
    LedgerKeyContractData, ScVal,
};

use super::changes::{Change, changes, last_modified};
use super::{Transaction, base64, cell, hex, json, place, sac, transactions};
use crate::rows::{Row, Value};
use crate::sealed::{encode, sha256};

/// The rows of version 2.0.
pub fn rows_2(meta: &LedgerCloseMeta) -> Vec<Row> {
    let mut rows = Vec::new();
    for transaction in transactions(meta) {
        let changes = changes(meta, &transaction);
        let ttls = ttls(&changes);
        let data = changes.iter().filter_map(|change| match &change.key {
            LedgerKey::ContractData(key) if !matches!(key.key, ScVal::LedgerKeyNonce(_)) => {
                Some((change, key))
            }
            _ => None,
        });
        for (index, (change, key)) in (0..).zip(data) {
            rows.push(row(meta, &transaction, index, change, key, &ttls));
        }
    }
    rows
}

/// Until when the transaction let each entry live, by the hash of the entry's key.
fn ttls(changes: &[Change<'_>]) -> HashMap<[u8; 32], u32> {
    changes
        .iter()
        .filter(|change| change.kind != "removed")
        .filter_map(|change| match &change.shown?.data {
            LedgerEntryData::Ttl(ttl) => Some((ttl.key_hash.0, ttl.live_until_ledger_seq)),
            _ => None,
        })
        .collect()
}

fn row(
    meta: &LedgerCloseMeta,
    transaction: &Transaction<'_>,
    index: u32,
    change: &Change<'_>,
    key: &LedgerKeyContractData,
    ttls: &HashMap<[u8; 32], u32>,
) -> Row {
    let hash = sha256(&encode(&change.key));
    let val = change.shown.map(|entry| match &entry.data {
        LedgerEntryData::ContractData(data) => &data.val,
        other => panic!("contract data's key leads to {other:?}"),
    });
    let key_type = format!("ScValTypeScv{}", key.key.name());
    let mut row = place(meta, transaction);
    row.extend([
        cell("operation_index", change.operation),
        cell("change_index", index),
        cell("change_type", change.kind),
        cell("contract_id", key.contract.to_string()),
        cell("contract_key_type", key_type),
        cell("contract_durability", durability(key)),
    ]);
    row.extend(asset_cells(val.and_then(|val| sac::asset(key, val))));
    row.extend(balance_cells(key, val));
    row.extend([
        cell("last_modified_ledger", last_modified(meta, change)),
        cell("deleted", change.kind == "removed"),
        cell("ledger_key_hash", hex(&hash)),
        cell("key_xdr", base64(&key.key)),
        cell("val_xdr", val.map(base64)),
    ]);
    row.extend(instance_cells(key, val));
    row.extend([
        cell("expiration_ledger_seq", ttls.get(&hash).copied()),
        cell("key_json", json(&key.key)),
        cell("val_json", val.map(json)),
    ]);
    row
}

fn durability(key: &LedgerKeyContractData) -> &'static str {
    match key.durability {
        ContractDataDurability::Temporary => "ContractDataDurabilityTemporary",
        ContractDataDurability::Persistent => "ContractDataDurabilityPersistent",
    }
}

fn instance_cells(key: &LedgerKeyContractData, val: Option<&ScVal>) -> Row {
    let (kind, wasm_hash) = val.map_or((None, None), |val| sac::executable(key, val));
    vec![
        cell("contract_instance_type", kind),
        cell("contract_instance_wasm_hash", wasm_hash.map(|hash| hex(&hash.0))),
    ]
}

fn asset_cells(asset: Option<Asset>) -> Row {
    let (kind, credit) = match asset {
        None => (None, None),
        Some(Asset::Native) => (Some("AssetTypeAssetTypeNative"), None),
        Some(Asset::CreditAlphanum4(asset)) => (
            Some("AssetTypeAssetTypeCreditAlphanum4"),
            Some((asset.asset_code.to_string(), asset.issuer)),
        ),
        Some(Asset::CreditAlphanum12(asset)) => (
            Some("AssetTypeAssetTypeCreditAlphanum12"),
            Some((asset.asset_code.to_string(), asset.issuer)),
        ),
    };
    let (code, issuer) = credit.unzip();
    vec![
        cell("asset_code", code),
        cell("asset_issuer", issuer.map(|issuer| issuer.to_string())),
        cell("asset_type", kind),
    ]
}

fn balance_cells(key: &LedgerKeyContractData, val: Option<&ScVal>) -> Row {
    let (holder, amount) = val.and_then(|val| sac::balance(key, val)).unzip();
    let fits = |amount: &i128| *amount <= 99_999_999_999_999_999_999_999_999_999_999_999_999;
    vec![
        cell("balance_holder", holder.map(|holder| holder.to_string())),
        cell("balance", amount.filter(fits)),
        cell("balance_text", amount.map(|amount| amount.to_string())),
    ]
}

/// The rows of version 1.0.
pub fn rows_1(meta: &LedgerCloseMeta) -> Vec<Row> {
    rows_2(meta).iter().map(version_1).collect()
}

fn version_1(row: &Row) -> Row {
    const COLUMNS: [&str; 18] = [
        "contract_id",
        "contract_key_type",
        "contract_durability",
        "asset_code",
        "asset_issuer",
        "asset_type",
        "balance_holder",
        "balance",
        "last_modified_ledger",
        "deleted",
        "ledger_sequence",
        "closed_at",
        "ledger_key_hash",
        "key_xdr",
        "val_xdr",
        "contract_instance_type",
        "contract_instance_wasm_hash",
        "expiration_ledger_seq",
    ];
    let find = |column: &str| row.iter().find(|(name, _)| name == column).cloned();
    let narrow = |(name, value): (String, Value)| match value {
        Value::Number(number) if i64::try_from(number).is_err() => (name, Value::Null),
        value => (name, value),
    };
    COLUMNS.iter().filter_map(|column| find(column)).map(narrow).collect()
}
