//! From stored bytes to ledgers: zstd, batches, record marks, base64 lines.

mod compression;
mod detect;
mod framing;
mod records;
mod splitter;

use std::borrow::Cow;

use crate::error::{Error, Result};

use compression::decompress;
pub use compression::{compress, is_zstd};
use detect::detect;
use framing::Batch;
pub use framing::Framing;
pub use records::mark;
use records::{decode_lines, fragment, is_fragmented, join_fragments};
pub use splitter::Splitter;

/// Stored bytes, decompressed where need be, and how ledgers lie in them.
#[derive(Debug)]
pub struct Opened<'a> {
    bytes: Cow<'a, [u8]>,
    framing: Framing,
    /// Base64 lines lie decoded behind record marks; offsets then count from each line's ledger.
    from_base64: bool,
}

/// Decompress, and find the framing unless it is given.
pub fn open(data: &[u8], framing: Option<Framing>) -> Result<Opened<'_>> {
    let bytes = if is_zstd(data) { Cow::Owned(decompress(data)?) } else { Cow::Borrowed(data) };
    let framing = match framing {
        Some(framing) => framing,
        None => detect(&bytes)?,
    };
    Ok(match framing {
        Framing::Base64Lines => {
            Opened { bytes: Cow::Owned(decode_lines(&bytes)?), framing, from_base64: true }
        }
        Framing::RecordMarked if is_fragmented(&bytes) => {
            Opened { bytes: Cow::Owned(join_fragments(&bytes)?), framing, from_base64: false }
        }
        _ => Opened { bytes, framing, from_base64: false },
    })
}

/// A ledger where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The LedgerCloseMeta, and what follows it where the framing does not say where it ends.
    pub bytes: &'a [u8],
    /// Where it begins in the uncompressed data.
    pub base: usize,
    /// Whether it ends with `bytes`.
    pub exact: bool,
    /// The sequence number it must have.
    pub sequence: Option<u32>,
}

/// Put ledgers into a framing; those of a batch must be consecutive.
pub fn write(ledgers: &[&[u8]], framing: Framing) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(ledgers.iter().map(|ledger| ledger.len() + 4).sum());
    if framing == Framing::Batch {
        let head = batch_head(ledgers)?;
        head.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    }
    for ledger in ledgers {
        match framing {
            Framing::RecordMarked => out.extend_from_slice(&mark(ledger.len(), out.len())?),
            Framing::Base64Lines => {
                base64_simd::STANDARD.encode_append(ledger, &mut out);
                out.push(b'\n');
                continue;
            }
            Framing::Batch | Framing::Single => {}
        }
        out.extend_from_slice(ledger);
    }
    Ok(out)
}

/// First sequence, last sequence and count of a batch of these ledgers.
fn batch_head(ledgers: &[&[u8]]) -> Result<[u32; 3]> {
    let sequence = |ledger: Option<&&[u8]>| {
        let header = ledger.and_then(|ledger| crate::ledger::header::read(ledger));
        header.map_or(0, |(ledger, _)| ledger.sequence)
    };
    let (first, last) = (sequence(ledgers.first()), sequence(ledgers.last()));
    let count = u32::try_from(ledgers.len()).unwrap_or(u32::MAX);
    if u64::from(last) + 1 == u64::from(first) + u64::from(count) {
        return Ok([first, last, count]);
    }
    Err(Error::Config(format!(
        "{count} ledgers from {first} to {last} are not consecutive: no batch holds them"
    )))
}

/// The ledgers one after another.
#[derive(Debug)]
pub struct Frames<'a> {
    framing: Framing,
    from_base64: bool,
    total: usize,
    rest: &'a [u8],
    batch: Batch,
    done: bool,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(buffer) = std::mem::take(&mut self.bytes) {
            compression::keep(buffer);
        }
    }
}

impl Opened<'_> {
    /// The framing found.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Bytes of the uncompressed data.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The uncompressed data where it is not what was opened, and how ledgers lie in it.
    pub fn into_parts(mut self) -> (Option<Vec<u8>>, Framing) {
        let is_marked = self.from_base64 || self.framing == Framing::RecordMarked;
        let framing = if is_marked { Framing::RecordMarked } else { self.framing };
        match std::mem::take(&mut self.bytes) {
            Cow::Owned(bytes) => (Some(bytes), framing),
            Cow::Borrowed(_) => (None, framing),
        }
    }

    /// The ledgers from the first on.
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            framing: self.framing,
            from_base64: self.from_base64,
            total: self.bytes.len(),
            rest: &self.bytes,
            batch: Batch { first: 0, last: 0, count: 0 },
            done: false,
        }
    }
}

impl<'a> Frames<'a> {
    /// The next ledger; where it is not exact, `consumed` must tell its end before the one after.
    pub fn advance(&mut self) -> Result<Option<Frame<'a>>> {
        match self.framing {
            Framing::Single => self.single(),
            Framing::Batch => self.in_batch(),
            Framing::RecordMarked | Framing::Base64Lines => self.record(),
        }
    }

    /// Tell what follows the ledger last handed out.
    pub fn consumed(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    /// Where what follows the ledger last handed out begins in the uncompressed data.
    pub fn offset(&self) -> usize {
        self.total - self.rest.len()
    }

    fn single(&mut self) -> Result<Option<Frame<'a>>> {
        let done = std::mem::replace(&mut self.done, true);
        let bytes = std::mem::take(&mut self.rest);
        Ok((!done).then_some(Frame { bytes, base: 0, exact: true, sequence: None }))
    }

    fn in_batch(&mut self) -> Result<Option<Frame<'a>>> {
        while self.batch.count == 0 {
            if self.rest.is_empty() && self.done {
                return Ok(None);
            }
            self.done = true;
            let offset = self.offset();
            (self.batch, self.rest) = Batch::read(self.rest).ok_or_else(|| {
                Error::data(offset, "no LedgerCloseMetaBatch begins here: its first and last sequence do not fit its count")
            })?;
        }
        let sequence = self.batch.last - (self.batch.count - 1);
        self.batch.count -= 1;
        let base = self.offset();
        Ok(Some(Frame { bytes: self.rest, base, exact: false, sequence: Some(sequence) }))
    }

    fn record(&mut self) -> Result<Option<Frame<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset();
        let (_, bytes, rest) = fragment(self.rest, offset)?;
        self.rest = rest;
        let base = if self.from_base64 { 0 } else { offset + 4 };
        Ok(Some(Frame { bytes, base, exact: true, sequence: None }))
    }
}
