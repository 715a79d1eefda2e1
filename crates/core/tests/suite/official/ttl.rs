use stellar_xdr::{LedgerCloseMeta, LedgerEntryData, LedgerKey};

use super::changes::{changes, common, last_modified};
use super::{cell, hex, transactions};
use crate::rows::Row;

pub fn rows(meta: &LedgerCloseMeta) -> Vec<Row> {
    let mut rows = Vec::new();
    for transaction in transactions(meta) {
        let mut index = 0;
        for change in changes(meta, &transaction) {
            let LedgerKey::Ttl(key) = &change.key else { continue };
            let live_until = change.shown.map(|entry| match &entry.data {
                LedgerEntryData::Ttl(ttl) => ttl.live_until_ledger_seq,
                other => panic!("a TTL's key leads to {other:?}"),
            });
            let mut row = common(meta, &transaction, index, &change);
            row.extend([
                cell("key_hash", hex(&key.key_hash.0)),
                cell("live_until_ledger_seq", live_until),
                cell("last_modified_ledger", last_modified(meta, &change)),
            ]);
            rows.push(row);
            index += 1;
        }
    }
    rows
}
