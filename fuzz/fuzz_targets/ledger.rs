//! One ledger: the walk and the second pass that looks for its faults agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stellarrow_core::xdr::layout::LedgerCloseMeta;
use stellarrow_core::xdr::{locate, skip};

fuzz_target!(|data: &[u8]| {
    assert_eq!(skip::<LedgerCloseMeta>(data), locate::<LedgerCloseMeta>(data).ok());
});
