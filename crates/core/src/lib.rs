//! Bytes of Stellar ledgers in, Arrow record batches out: no network, no files, no clock.

mod asset;
mod balance;
mod change;
pub mod decode;
pub mod describe;
pub mod error;
mod event;
pub mod filter;
pub mod frame;
mod integrity;
mod json;
mod ledger;
mod scval;
mod spec;
mod strkey;
pub mod synth;
pub mod tables;
pub mod wasm;
pub mod xdr;
