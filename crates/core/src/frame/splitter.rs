//! A stream cut into pieces of whole ledgers, so that no more than one piece is held.

use std::io::Write;

use zstd::stream::write::Decoder;

use super::compression::{bomb, broken, expansion_limit, is_zstd};
use super::detect::{HEAD, detect};
use super::framing::{Batch, Framing};
use super::records::{LAST_FRAGMENT, fragment, lines, mark};
use crate::error::{Error, Result};
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::{between, locate, skip};

/// Takes stored bytes as they come and gives pieces of record-marked ledgers.
pub struct Splitter {
    framing: Option<Framing>,
    piece_bytes: usize,
    input: Input,
    /// Where the bytes not yet cut begin in the whole uncompressed stream.
    offset: usize,
    batch: Batch,
    /// Fragments of a record that is not whole yet.
    record: Vec<u8>,
    piece: Vec<u8>,
    pieces: Vec<Vec<u8>>,
}

/// Uncompressed bytes not yet cut, behind zstd or not.
enum Input {
    /// Too few bytes to tell.
    Unknown(Vec<u8>),
    Plain(Vec<u8>),
    Zstd(Decoder<'static, Bounded>),
}

/// A buffer that takes no more in all than the stored bytes may expand to.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    stored: usize,
    taken: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.taken += bytes.len();
        if self.taken > expansion_limit(self.stored) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Input {
    fn push(&mut self, data: &[u8]) -> Result<()> {
        if let Self::Unknown(held) = self {
            held.extend_from_slice(data);
            if held.len() < 4 {
                return Ok(());
            }
            let held = std::mem::take(held);
            *self = Self::begin(&held)?;
            return self.push(&held);
        }
        match self {
            Self::Unknown(_) => Ok(()),
            Self::Plain(bytes) => {
                bytes.extend_from_slice(data);
                Ok(())
            }
            Self::Zstd(decoder) => {
                decoder.get_mut().stored += data.len();
                let written = decoder.write_all(data).and_then(|()| decoder.flush());
                written.map_err(|error| refused(decoder, &error))
            }
        }
    }

    /// Check that the stream has not been cut off within a frame.
    fn finish(&mut self) -> Result<()> {
        match self {
            Self::Unknown(_) | Self::Plain(_) => Ok(()),
            Self::Zstd(decoder) => decoder.do_finish().map_err(|error| refused(decoder, &error)),
        }
    }

    fn begin(head: &[u8]) -> Result<Self> {
        if !is_zstd(head) {
            return Ok(Self::Plain(Vec::new()));
        }
        Decoder::new(Bounded::default()).map(Self::Zstd).map_err(|error| broken(&error))
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Unknown(bytes) | Self::Plain(bytes) => bytes,
            Self::Zstd(decoder) => &mut decoder.get_mut().bytes,
        }
    }
}

fn refused(decoder: &Decoder<'static, Bounded>, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull => bomb(expansion_limit(decoder.get_ref().stored)),
        _ => broken(error),
    }
}

impl Splitter {
    /// A splitter into pieces of about so many bytes; the framing is found unless it is given.
    pub fn new(framing: Option<Framing>, piece_bytes: usize) -> Self {
        Self {
            framing,
            piece_bytes,
            input: Input::Unknown(Vec::new()),
            offset: 0,
            batch: Batch { first: 0, last: 0, count: 0 },
            record: Vec::new(),
            piece: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// Take in stored bytes and hand over the pieces they complete.
    pub fn feed(&mut self, data: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.input.push(data)?;
        self.cut(false)?;
        Ok(std::mem::take(&mut self.pieces))
    }

    /// Hand over what is left; an error where the stream ends within a ledger.
    pub fn finish(&mut self) -> Result<Vec<Vec<u8>>> {
        self.input.finish()?;
        self.cut(true)?;
        let left = std::mem::take(self.input.bytes());
        if !left.is_empty() || self.batch.count > 0 || !self.record.is_empty() {
            return Err(self.cut_off(&left));
        }
        self.hand_over();
        Ok(std::mem::take(&mut self.pieces))
    }

    fn cut(&mut self, last: bool) -> Result<()> {
        let mut bytes = std::mem::take(self.input.bytes());
        if self.framing.is_none() && !bytes.is_empty() && (last || bytes.len() >= HEAD) {
            self.framing = Some(detect(&bytes)?);
        }
        let mut rest = bytes.as_slice();
        loop {
            let next = match self.framing {
                None => None,
                Some(Framing::RecordMarked) => self.record(rest)?,
                Some(Framing::Base64Lines) => self.line(rest, last)?,
                Some(Framing::Batch) => self.in_batch(rest)?,
                Some(Framing::Single) if last => self.ledger(rest)?,
                Some(Framing::Single) => None,
            };
            match next {
                Some(next) => {
                    self.offset += rest.len() - next.len();
                    rest = next;
                }
                None => break,
            }
        }
        let taken = bytes.len() - rest.len();
        bytes.drain(..taken);
        *self.input.bytes() = bytes;
        Ok(())
    }

    fn add(&mut self, ledger: &[u8]) -> Result<()> {
        let mark = mark(ledger.len(), self.offset)?;
        self.piece.extend_from_slice(&mark);
        self.piece.extend_from_slice(ledger);
        if self.piece.len() >= self.piece_bytes {
            self.hand_over();
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        if !self.piece.is_empty() {
            self.pieces.push(std::mem::take(&mut self.piece));
        }
    }

    fn record<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let Ok((last, part, rest)) = fragment(bytes, self.offset) else {
            return Ok(None);
        };
        if last && self.record.is_empty() {
            self.add(part)?;
            return Ok(Some(rest));
        }
        self.record.extend_from_slice(part);
        if self.record.len() >= LAST_FRAGMENT as usize {
            mark(self.record.len(), self.offset)?;
        }
        if last {
            let record = std::mem::take(&mut self.record);
            self.add(&record)?;
        }
        Ok(Some(rest))
    }

    fn line<'a>(&mut self, bytes: &'a [u8], last: bool) -> Result<Option<&'a [u8]>> {
        let end = match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if last && !bytes.is_empty() => bytes.len(),
            None => return Ok(None),
        };
        let Some((line, rest)) = bytes.split_at_checked(end) else {
            return Ok(None);
        };
        for (_, line) in lines(line) {
            let ledger = base64_simd::STANDARD.decode_to_vec(line).map_err(|_| {
                Error::data(self.offset, "this line is not base64; fetch the data again")
            })?;
            self.add(&ledger)?;
        }
        Ok(Some(rest))
    }

    fn in_batch<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        if self.batch.count > 0 {
            let next = self.ledger(bytes)?;
            self.batch.count -= u32::from(next.is_some());
            return Ok(next);
        }
        if bytes.len() < 12 {
            return Ok(None);
        }
        let (batch, rest) = Batch::read(bytes)
            .ok_or_else(|| Error::data(self.offset, "no LedgerCloseMetaBatch begins here"))?;
        self.batch = batch;
        Ok(Some(rest))
    }

    /// Cut a ledger that says itself where it ends.
    fn ledger<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let Some(rest) = skip::<LedgerCloseMeta>(bytes) else {
            return Ok(None);
        };
        self.add(between(bytes, rest))?;
        Ok(Some(rest))
    }

    fn cut_off(&self, left: &[u8]) -> Error {
        let fallback = || Error::data(self.offset, "the stream ends within a ledger");
        match self.framing {
            Some(Framing::RecordMarked) => {
                fragment(left, self.offset).err().unwrap_or_else(fallback)
            }
            _ => match locate::<LedgerCloseMeta>(left) {
                Err(fault) => Error::fault(None, self.offset, fault),
                Ok(_) => fallback(),
            },
        }
    }
}
