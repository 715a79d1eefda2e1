//! Values and names as contracts and accounts have them, and how they are written.

pub(crate) mod address;
pub(crate) mod asset;
pub(crate) mod base64;
pub mod describe;
pub mod escape;
pub(crate) mod muxed;
pub(crate) mod scval;
pub(crate) mod sha256;
pub(crate) mod strkey;
pub(crate) mod xdr_json;

use crate::error::{Error, Result};

/// A contract's id (C…), or the hash of a contract's code in hex, as bytes.
pub fn key_of(text: &str) -> Result<[u8; 32]> {
    let mut hash = [0; 32];
    let hex = text.len() == 64
        && hex_simd::decode(text.as_bytes(), hex_simd::Out::from_slice(&mut hash)).is_ok();
    let key = if hex { Some(hash) } else { strkey::decode(strkey::CONTRACT, text) };
    key.ok_or_else(|| {
        Error::Config(format!(
            "{text:?} is neither a contract (C…) nor the hash of a contract's code (64 hex digits)"
        ))
    })
}
