//! Which framing bytes are in, found without guessing wrong.

use std::borrow::Cow;

use super::framing::{Batch, Framing};
use super::records::{LAST_FRAGMENT, lines};
use crate::error::{Error, Result};
use crate::ledger::header;
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::{self, locate};

/// Bytes that a header surely fits in: enough to tell the framing by.
pub const HEAD: usize = 1 << 16;

/// Find the one framing whose first ledger's header makes sense.
pub fn detect(bytes: &[u8]) -> Result<Framing> {
    if bytes.is_empty() {
        return Err(Error::data(0, "is empty; there is no ledger in it"));
    }
    if is_base64(bytes) {
        return Ok(Framing::Base64Lines);
    }
    let fits: Vec<_> = [Framing::Batch, Framing::Single, Framing::RecordMarked]
        .into_iter()
        .filter(|framing| first_header_fits(bytes, *framing))
        .collect();
    match fits[..] {
        [framing] => Ok(framing),
        [] => Err(unlike_any(bytes)),
        _ => Err(Error::data(0, "fits more than one framing; say which it is")),
    }
}

fn first_header_fits(bytes: &[u8], framing: Framing) -> bool {
    let header = |bytes: &[u8]| header::read(bytes).map(|(ledger, _)| ledger.sequence);
    let fits = || match framing {
        Framing::Batch => {
            let (batch, ledgers) = Batch::read(bytes)?;
            Some(batch.count == 0 && ledgers.is_empty() || header(ledgers)? == batch.first)
        }
        Framing::RecordMarked => header(&first_record(bytes)).map(|_| true),
        _ => header(bytes).map(|_| true),
    };
    fits().unwrap_or(false)
}

/// The first record, its fragments joined, as far as it is here and a header may reach. That its
/// mark counts matters: a LedgerCloseMeta of version 1 that has no ext looks like a mark of one byte
/// and a LedgerCloseMeta of version 0.
fn first_record(mut bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut record = Cow::Borrowed(&[][..]);
    while let Some((mark, rest)) = xdr::u32(bytes) {
        let length = (mark & !LAST_FRAGMENT) as usize;
        let (part, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        if record.is_empty() {
            record = Cow::Borrowed(part);
        } else {
            // Where the first word is no mark, what it seems to say may reach over everything there is.
            let missing = HEAD.saturating_sub(record.len());
            record.to_mut().extend_from_slice(part.get(..missing).unwrap_or(part));
        }
        if mark & LAST_FRAGMENT != 0 || record.len() >= HEAD {
            break;
        }
        bytes = rest;
    }
    record
}

/// Say what is wrong with bytes that fit no framing, by the framing they come nearest to.
fn unlike_any(bytes: &[u8]) -> Error {
    let (mark, after) = xdr::u32(bytes).unwrap_or((0, bytes));
    let (framing, base, ledger) = match mark {
        0x8000_0000.. => (Framing::RecordMarked, 4, after),
        0..=2 => (Framing::Single, 0, bytes),
        // Where no batch begins, a small number is more likely a version that is yet unknown.
        3..=255 if Batch::read(bytes).is_none() => (Framing::Single, 0, bytes),
        _ => (Framing::Batch, 12, bytes.get(12..).unwrap_or_default()),
    };
    let reason = |reason: &str| {
        format!(
            "{reason}; this is none of batch, single, record-marked and base64-lines (it comes \
             nearest to {}), so it is damaged or holds no ledgers",
            framing.name()
        )
    };
    match locate::<LedgerCloseMeta>(ledger) {
        Err(fault) => {
            let reason = reason(&fault.reason);
            Error::fault(None, base, xdr::Fault { reason, ..fault })
        }
        Ok(_) => Error::data(0, reason("the numbers before the first ledger make no sense")),
    }
}

/// Whether the first line that is not blank is base64 and nothing else.
fn is_base64(bytes: &[u8]) -> bool {
    let mut lines = lines(bytes).map(|(_, line)| line);
    lines.next().is_some_and(|line| {
        line.len() > 4
            && line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::{HEAD, first_record};

    #[test]
    fn no_more_of_what_is_no_record_is_copied_than_a_header_may_reach() {
        let mut batch = [[0, 0, 0, 2], [7; 4], [7; 4]].concat();
        batch.resize(4 * HEAD, 7);
        assert_eq!(first_record(&batch).len(), HEAD);
    }
}
