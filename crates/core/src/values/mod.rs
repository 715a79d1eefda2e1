//! Values and names as contracts and accounts have them, and how they are written.

pub(crate) mod address;
pub(crate) mod asset;
pub mod describe;
pub mod escape;
pub(crate) mod muxed;
pub(crate) mod scval;
pub(crate) mod strkey;
pub(crate) mod xdr_json;
