//! Bytes of Stellar ledgers in, Arrow record batches out: no network, no files, no clock.

pub mod contract;
pub mod decode;
pub mod error;
pub mod filter;
mod fixed_text;
pub mod frame;
mod ledger;
pub mod synth;
pub mod tables;
pub mod typed;
pub mod values;
pub mod xdr;
