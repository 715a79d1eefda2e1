//! Stellar-exporter.x: the data lake's batches.

use super::*;

xdr! {
    struct LedgerCloseMetaBatch {
        start_sequence: U32, end_sequence: U32, ledger_close_metas: Array<LedgerCloseMeta>,
    }
}
