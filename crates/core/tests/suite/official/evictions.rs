use stellar_xdr::{LedgerCloseMeta, LedgerKey};

use super::{base64, cell, hex};
use crate::rows::Row;
use crate::sealed::{encode, header, sha256};

pub fn rows(meta: &LedgerCloseMeta) -> Vec<Row> {
    let keys: &[LedgerKey] = match meta {
        LedgerCloseMeta::V0(_) => &[],
        LedgerCloseMeta::V1(meta) => &meta.evicted_keys,
        LedgerCloseMeta::V2(meta) => &meta.evicted_keys,
    };
    let header = header(meta);
    let closed_at = i128::from(header.scp_value.close_time.0) * 1_000_000;
    let row = |(index, key): (u32, &LedgerKey)| {
        vec![
            cell("ledger_sequence", header.ledger_seq),
            cell("closed_at", closed_at),
            cell("eviction_index", index),
            cell("ledger_key_hash", hex(&sha256(&encode(key)))),
            cell("key_type", format!("LedgerEntryType{}", key.name())),
            cell("ledger_key_xdr", base64(key)),
        ]
    };
    (0..).zip(keys).map(row).collect()
}
