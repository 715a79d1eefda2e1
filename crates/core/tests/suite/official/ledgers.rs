use stellar_xdr::{LedgerCloseMeta, LedgerHeaderHistoryEntry};

use super::{cell, hex, transactions};
use crate::rows::Row;
use crate::sealed::encode;

pub fn row(meta: &LedgerCloseMeta) -> Row {
    let (version, LedgerHeaderHistoryEntry { hash, header, .. }) = match meta {
        LedgerCloseMeta::V0(meta) => (0u32, &meta.ledger_header),
        LedgerCloseMeta::V1(meta) => (1, &meta.ledger_header),
        LedgerCloseMeta::V2(meta) => (2, &meta.ledger_header),
    };
    let transactions = transactions(meta);
    let successful = transactions.iter().filter(|transaction| transaction.successful());
    vec![
        cell("ledger_sequence", header.ledger_seq),
        cell("ledger_hash", hex(&hash.0)),
        cell("previous_ledger_hash", hex(&header.previous_ledger_hash.0)),
        cell("closed_at", i128::from(header.scp_value.close_time.0) * 1_000_000),
        cell("protocol_version", header.ledger_version),
        cell("total_coins", header.total_coins),
        cell("fee_pool", header.fee_pool),
        cell("base_fee", header.base_fee),
        cell("base_reserve", header.base_reserve),
        cell("max_tx_set_size", header.max_tx_set_size),
        cell("transaction_count", transactions.len() as i128),
        cell("successful_transaction_count", successful.count() as i128),
        cell("meta_version", version),
        cell("size_bytes", encode(meta).len() as i128),
    ]
}
