//! From stored bytes to ledgers: zstd, batches, record marks, base64 lines.

use std::borrow::Cow;
use std::io::Read;

use zstd::zstd_safe;

use crate::error::{Error, Result};
use crate::ledger;
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::{self, locate};

/// How ledgers lie in bytes; each also inside zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// LedgerCloseMetaBatch (SEP-54), one or several.
    Batch,
    /// One LedgerCloseMeta.
    Single,
    /// LedgerCloseMeta after a record mark (RFC 5531, section 11), any number.
    RecordMarked,
    /// A LedgerCloseMeta in base64 a line.
    Base64Lines,
}

impl Framing {
    /// All framings with their names.
    pub const ALL: [(&str, Self); 4] = [
        ("batch", Self::Batch),
        ("single", Self::Single),
        ("record-marked", Self::RecordMarked),
        ("base64-lines", Self::Base64Lines),
    ];

    /// Read a framing's name; `None` is `auto`.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        if text == "auto" {
            return Ok(None);
        }
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, framing)| Some(*framing)).ok_or_else(|| {
            Error::Config(format!(
                "framing: {text:?} is not auto, batch, single, record-marked or base64-lines"
            ))
        })
    }

    /// The framing's name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, framing)| *framing == self)
            .map_or("", |(name, _)| name)
    }
}

/// What zstd may expand to, whatever it claims: this much, and 256 bytes for each stored one. Real
/// ledgers reach a ratio of about 11.
const EXPANSION: (usize, usize) = (64 << 20, 256);

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether the bytes begin a zstd frame, of data or of what is to be skipped (RFC 8878).
pub fn is_zstd(data: &[u8]) -> bool {
    let skippable = |magic: &[u8; 4]| matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    data.first_chunk::<4>()
        .is_some_and(|magic| *magic == ZSTD_MAGIC || skippable(magic))
}

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
    let bytes = if is_zstd(data) {
        Cow::Owned(decompress(data)?)
    } else {
        Cow::Borrowed(data)
    };
    let framing = match framing {
        Some(framing) => framing,
        None => detect(&bytes)?,
    };
    Ok(match framing {
        Framing::Base64Lines => Opened {
            bytes: Cow::Owned(decode_lines(&bytes)?),
            framing,
            from_base64: true,
        },
        Framing::RecordMarked if is_fragmented(&bytes) => Opened {
            bytes: Cow::Owned(join_fragments(&bytes)?),
            framing,
            from_base64: false,
        },
        _ => Opened {
            bytes,
            framing,
            from_base64: false,
        },
    })
}

fn decompress(data: &[u8]) -> Result<Vec<u8>> {
    let (least, ratio) = EXPANSION;
    let most = least.saturating_add(data.len().saturating_mul(ratio));
    let broken = |error: std::io::Error| {
        Error::data(
            0,
            format!("the zstd stream is broken ({error}); fetch the data again"),
        )
    };
    let bomb = || {
        Error::data(
            0,
            format!(
                "the zstd stream expands to more than {most} bytes; if it is sound, decompress it first"
            ),
        )
    };
    let mut out = Vec::new();
    match declared_size(data) {
        Some(size) if size > most as u64 => return Err(bomb()),
        Some(size) => {
            out.reserve_exact(size as usize);
            zstd::bulk::Decompressor::new()
                .and_then(|mut zstd| zstd.decompress_to_buffer(data, &mut out))
                .map_err(broken)?;
        }
        None => {
            let decoder = zstd::stream::read::Decoder::new(data).map_err(broken)?;
            decoder
                .take(most as u64 + 1)
                .read_to_end(&mut out)
                .map_err(broken)?;
        }
    }
    if out.len() > most {
        Err(bomb())
    } else {
        Ok(out)
    }
}

/// The uncompressed size of all frames, if each declares its own.
fn declared_size(mut data: &[u8]) -> Option<u64> {
    let mut total = 0u64;
    while !data.is_empty() {
        let size = zstd_safe::get_frame_content_size(data).ok()??;
        total = total.checked_add(size)?;
        data = data.get(zstd_safe::find_frame_compressed_size(data).ok()?..)?;
    }
    Some(total)
}

/// Find the one framing whose first ledger's header makes sense.
fn detect(bytes: &[u8]) -> Result<Framing> {
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
        _ => Err(Error::data(
            0,
            "fits more than one framing; say which it is",
        )),
    }
}

fn first_header_fits(bytes: &[u8], framing: Framing) -> bool {
    let header = |bytes| ledger::header(bytes).map(|(ledger, _)| ledger.sequence);
    let fits = || match framing {
        Framing::Batch => {
            let (batch, ledgers) = Batch::read(bytes)?;
            Some(batch.count == 0 && ledgers.is_empty() || header(ledgers)? == batch.first)
        }
        Framing::RecordMarked => header(bytes.get(4..)?).map(|_| true),
        _ => header(bytes).map(|_| true),
    };
    fits().unwrap_or(false)
}

/// Say what is wrong with bytes that fit no framing, by the framing they come nearest to.
fn unlike_any(bytes: &[u8]) -> Error {
    let (mark, after) = xdr::u32(bytes).unwrap_or((0, bytes));
    let (framing, base, ledger) = match mark {
        0x8000_0000.. => (Framing::RecordMarked, 4, after),
        0..=2 => (Framing::Single, 0, bytes),
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
        Ok(_) => Error::data(
            0,
            reason("the numbers before the first ledger make no sense"),
        ),
    }
}

/// Whether the first line that is not blank is base64 and nothing else.
fn is_base64(bytes: &[u8]) -> bool {
    let mut lines = lines(bytes).map(|(_, line)| line);
    lines.next().is_some_and(|line| {
        line.len() > 4
            && line
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
    })
}

/// Lines that are not blank, with the offset of each, trimmed.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    bytes.split(|byte| *byte == b'\n').filter_map(move |line| {
        let at = offset;
        offset += line.len() + 1;
        let line = line.trim_ascii();
        (!line.is_empty()).then_some((at, line))
    })
}

fn decode_lines(bytes: &[u8]) -> Result<Vec<u8>> {
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

const LAST_FRAGMENT: u32 = 0x8000_0000;

/// The record mark of a whole record.
pub fn mark(length: usize, offset: usize) -> Result<[u8; 4]> {
    match u32::try_from(length) {
        Ok(length) if length < LAST_FRAGMENT => Ok((LAST_FRAGMENT | length).to_be_bytes()),
        _ => Err(Error::data(offset, "this ledger is larger than 2 GiB")),
    }
}

/// Read a record mark: whether it is the record's last fragment, its bytes, and what follows.
fn fragment(bytes: &[u8], offset: usize) -> Result<(bool, &[u8], &[u8])> {
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

fn is_fragmented(mut bytes: &[u8]) -> bool {
    while let Ok((last, _, rest)) = fragment(bytes, 0) {
        if !last {
            return true;
        }
        bytes = rest;
    }
    false
}

fn join_fragments(bytes: &[u8]) -> Result<Vec<u8>> {
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

/// The head of a LedgerCloseMetaBatch.
#[derive(Debug, Clone, Copy)]
struct Batch {
    first: u32,
    last: u32,
    count: u32,
}

impl Batch {
    /// Read the head; `None` where it contradicts itself.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (first, bytes) = xdr::u32(bytes)?;
        let (last, bytes) = xdr::u32(bytes)?;
        let (count, bytes) = xdr::u32(bytes)?;
        let sound = u64::from(last) + 1 == u64::from(first) + u64::from(count);
        sound.then_some((Self { first, last, count }, bytes))
    }
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

impl Opened<'_> {
    /// The framing found.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Bytes of the uncompressed data.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The ledgers from the first on.
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            framing: self.framing,
            from_base64: self.from_base64,
            total: self.bytes.len(),
            rest: &self.bytes,
            batch: Batch {
                first: 0,
                last: 0,
                count: 0,
            },
            done: false,
        }
    }
}

impl<'a> Frames<'a> {
    /// The next ledger; where it is not exact, `consumed` must tell its end before the one after.
    pub fn next(&mut self) -> Result<Option<Frame<'a>>> {
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

    fn offset(&self) -> usize {
        self.total - self.rest.len()
    }

    fn single(&mut self) -> Result<Option<Frame<'a>>> {
        if std::mem::replace(&mut self.done, true) {
            return match self.rest.len() {
                0 => Ok(None),
                more => Err(Error::data(
                    self.offset(),
                    format!("{more} bytes follow the ledger"),
                )),
            };
        }
        Ok(Some(Frame {
            bytes: self.rest,
            base: 0,
            exact: false,
            sequence: None,
        }))
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
        Ok(Some(Frame {
            bytes: self.rest,
            base,
            exact: false,
            sequence: Some(sequence),
        }))
    }

    fn record(&mut self) -> Result<Option<Frame<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset();
        let (_, bytes, rest) = fragment(self.rest, offset)?;
        self.rest = rest;
        let base = if self.from_base64 { 0 } else { offset + 4 };
        Ok(Some(Frame {
            bytes,
            base,
            exact: true,
            sequence: None,
        }))
    }
}
