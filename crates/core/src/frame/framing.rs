//! The ways in which ledgers lie in bytes.

use crate::error::{Error, Result};
use crate::xdr;

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
        Self::ALL.iter().find(|(_, framing)| *framing == self).map_or("", |(name, _)| name)
    }
}

/// The head of a LedgerCloseMetaBatch.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Sequence number of the first ledger.
    pub first: u32,
    /// Sequence number of the last ledger.
    pub last: u32,
    /// How many ledgers there are.
    pub count: u32,
}

impl Batch {
    /// Read the head; `None` where it contradicts itself.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (first, bytes) = xdr::u32(bytes)?;
        let (last, bytes) = xdr::u32(bytes)?;
        let (count, bytes) = xdr::u32(bytes)?;
        let sound = u64::from(last) + 1 == u64::from(first) + u64::from(count);
        sound.then_some((Self { first, last, count }, bytes))
    }
}
