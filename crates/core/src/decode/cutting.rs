//! Where each ledger lies in the data, and which it is.

use std::ops::Range;

use super::faults::fault;
use crate::error::Result;
use crate::frame::{self, Framing, Opened};
use crate::ledger::header;
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::skip;

/// The sequence number of each ledger in the data, in the order they lie there.
pub fn sequences(data: &[u8], framing: Option<Framing>) -> Result<Vec<u32>> {
    let found = places(&frame::open(data, framing)?)?;
    Ok(found.into_iter().map(|(sequence, _)| sequence).collect())
}

/// Ledgers where they lie.
#[derive(Debug)]
pub struct Cut {
    /// What they lie in, where that is not the data itself.
    pub bytes: Option<Vec<u8>>,
    /// How they lie there.
    pub framing: Framing,
    /// The sequence number of each, and its place, in the order they lie there.
    pub ledgers: Vec<(u32, Range<usize>)>,
}

/// Find each ledger in the data, decompressed where need be; none is copied out of it.
pub fn cut(data: &[u8], framing: Option<Framing>) -> Result<Cut> {
    let opened = frame::open(data, framing)?;
    let ledgers = places(&opened)?;
    let (bytes, framing) = opened.into_parts();
    Ok(Cut { bytes, framing, ledgers })
}

fn places(opened: &Opened<'_>) -> Result<Vec<(u32, Range<usize>)>> {
    let mut frames = opened.frames();
    let mut places = Vec::new();
    while let Some(frame) = frames.advance()? {
        let (ledger, _) = header::read(frame.bytes).ok_or_else(|| fault(None, &frame))?;
        let mut size = frame.bytes.len();
        if !frame.exact {
            let rest = skip::<LedgerCloseMeta>(frame.bytes);
            let rest = rest.ok_or_else(|| fault(Some(ledger.sequence), &frame))?;
            size -= rest.len();
            frames.consumed(rest);
        }
        let end = frames.offset();
        places.push((ledger.sequence, end - size..end));
    }
    Ok(places)
}
