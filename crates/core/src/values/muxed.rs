//! Accounts that many may share (SEP-23).

use crate::xdr::discriminants::CryptoKeyType;
use crate::xdr::{self, Input};

/// A MuxedAccount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Muxed<'a> {
    /// The account's ed25519 key.
    pub key: &'a [u8; 32],
    /// The id of a multiplexed account.
    pub id: Option<u64>,
}

impl<'a> Muxed<'a> {
    /// Read a MuxedAccount.
    pub fn read(bytes: Input<'a>) -> Option<(Self, Input<'a>)> {
        let (id, bytes) = match xdr::u32(bytes)? {
            (CryptoKeyType::ED25519, rest) => (None, rest),
            (CryptoKeyType::MUXED_ED25519, rest) => {
                xdr::u64(rest).map(|(id, rest)| (Some(id), rest))?
            }
            _ => return None,
        };
        let (key, rest) = xdr::array(bytes)?;
        Some((Self { key, id }, rest))
    }
}
