//! Stellar-exporter.x: the data lake's batches.

use super::ledger::LedgerCloseMeta;
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, U32};

xdr! {
    struct LedgerCloseMetaBatch {
        start_sequence: U32, end_sequence: U32, ledger_close_metas: Array<LedgerCloseMeta>,
    }
}
