//! Ledgers put into framings, apart from the core's own way of doing so.

use base64_simd::STANDARD;
use stellarrow_core::frame::Framing;

/// The ledgers in a framing, in a batch as `first` and those after it.
pub fn framed(ledgers: &[&[u8]], framing: Framing, first: u32) -> Vec<u8> {
    match framing {
        Framing::Single => ledgers.concat(),
        Framing::RecordMarked => ledgers.iter().flat_map(|ledger| record(ledger)).collect(),
        Framing::Base64Lines => ledgers
            .iter()
            .flat_map(|ledger| {
                STANDARD.encode_to_string(ledger).into_bytes().into_iter().chain([b'\n'])
            })
            .collect(),
        Framing::Batch => {
            let count = ledgers.len() as u32;
            let head = [first, first + count - 1, count].map(u32::to_be_bytes).concat();
            [head, ledgers.concat()].concat()
        }
    }
}

/// One fragment that is all of its record (RFC 5531).
fn record(ledger: &[u8]) -> Vec<u8> {
    let mark = 0x8000_0000 | ledger.len() as u32;
    [&mark.to_be_bytes(), ledger].concat()
}
