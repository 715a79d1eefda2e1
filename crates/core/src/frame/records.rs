//! Record marks (RFC 5531, section 11) and base64 lines.

use crate::error::{Error, Result};
use crate::xdr;

/// Lines that are not blank, with the offset of each, trimmed.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    bytes.split(|byte| *byte == b'\n').filter_map(move |line| {
        let at = offset;
        offset += line.len() + 1;
        let line = line.trim_ascii();
        (!line.is_empty()).then_some((at, line))
    })
}

pub fn decode_lines(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut records = Vec::with_capacity(bytes.len() / 4 * 3);
    for (offset, line) in lines(bytes) {
        let ledger = base64_simd::STANDARD
            .decode_to_vec(line)
            .map_err(|_| Error::data(offset, "this line is not base64; fetch the data again"))?;
        records.extend_from_slice(&mark(ledger.len(), offset)?);
        records.extend_from_slice(&ledger);
    }
    Ok(records)
}

/// The bit of a record mark that says the record ends with this fragment.
pub const LAST_FRAGMENT: u32 = 0x8000_0000;

/// The record mark of a whole record.
pub fn mark(length: usize, offset: usize) -> Result<[u8; 4]> {
    match u32::try_from(length) {
        Ok(length) if length < LAST_FRAGMENT => Ok((LAST_FRAGMENT | length).to_be_bytes()),
        _ => Err(Error::data(offset, "this ledger is larger than 2 GiB")),
    }
}

/// Read a record mark: whether it is the record's last fragment, its bytes, and what follows.
pub fn fragment(bytes: &[u8], offset: usize) -> Result<(bool, &[u8], &[u8])> {
    let cut = |reason: String| Error::data(offset, reason);
    let Some((mark, rest)) = xdr::u32(bytes) else {
        return Err(cut(format!(
            "{} bytes follow the last record, too few for a mark",
            bytes.len()
        )));
    };
    let length = (mark & !LAST_FRAGMENT) as usize;
    let (record, rest) = rest.split_at_checked(length).ok_or_else(|| {
        cut(format!("a record of {length} bytes is marked here, but only {} follow; the data was cut off, fetch it again", rest.len()))
    })?;
    Ok((mark & LAST_FRAGMENT != 0, record, rest))
}

pub fn is_fragmented(mut bytes: &[u8]) -> bool {
    while let Ok((last, _, rest)) = fragment(bytes, 0) {
        if !last {
            return true;
        }
        bytes = rest;
    }
    false
}

pub fn join_fragments(bytes: &[u8]) -> Result<Vec<u8>> {
    let (mut joined, mut record, mut rest) = (Vec::with_capacity(bytes.len()), Vec::new(), bytes);
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let (last, part, after) = fragment(rest, offset)?;
        record.extend_from_slice(part);
        if last {
            joined.extend_from_slice(&mark(record.len(), offset)?);
            joined.append(&mut record);
        } else if after.is_empty() {
            return Err(Error::data(offset, "the record's last fragment is missing"));
        }
        rest = after;
    }
    Ok(joined)
}
