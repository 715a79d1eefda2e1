//! What is said of a ledger that cannot be decoded.

use crate::error::Error;
use crate::frame::Frame;
use crate::ledger::header::Ledger;
use crate::ledger::visitor::Refusal;
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::locate;

/// Find out, in a second pass, why a ledger could not be read.
pub fn fault(sequence: Option<u32>, frame: &Frame<'_>) -> Error {
    match locate::<LedgerCloseMeta>(frame.bytes) {
        Err(mut fault) => {
            fault.reason.push_str(
                "; the data is damaged (fetch it again) or newer than this version (update stellarrow)",
            );
            Error::fault(sequence, frame.base, fault)
        }
        Ok(rest) => {
            let offset = frame.base + frame.bytes.len() - rest.len();
            Error::Decode {
                ledger: sequence,
                path: String::new(),
                offset,
                reason: "the walk refuses a ledger whose layout is sound; please report it".into(),
            }
        }
    }
}

pub fn refused(ledger: &Ledger<'_>, frame: &Frame<'_>, refusal: Refusal) -> Error {
    let transaction = refusal.transaction.saturating_sub(1);
    Error::Decode {
        ledger: Some(ledger.sequence),
        path: format!("v{}.tx_processing[{transaction}]", ledger.meta_version),
        offset: frame.base + frame.bytes.len().saturating_sub(refusal.left),
        reason: refusal.reason,
    }
}

pub fn trailing(ledger: &Ledger<'_>, frame: &Frame<'_>, rest: &[u8]) -> Error {
    let offset = frame.base + frame.bytes.len() - rest.len();
    let reason = format!("{} bytes follow the ledger; fetch the data again", rest.len());
    Error::Decode { ledger: Some(ledger.sequence), path: String::new(), offset, reason }
}

pub fn misplaced(ledger: &Ledger<'_>, frame: &Frame<'_>) -> Error {
    Error::Decode {
        ledger: Some(ledger.sequence),
        path: ledger.path("header.ledger_seq"),
        offset: frame.base + ledger.sequence_at,
        reason: format!(
            "is {}, but the batch promises ledger {} here",
            ledger.sequence,
            frame.sequence.unwrap_or_default()
        ),
    }
}
