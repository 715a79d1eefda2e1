//! Bytes of Stellar ledgers in, Arrow record batches out: no network, no files, no clock.

mod address;
mod asset;
mod balance;
mod change;
pub mod decode;
pub mod describe;
mod entry;
mod envelope;
pub mod error;
mod event;
mod fee;
pub mod filter;
pub mod frame;
mod header;
mod integrity;
mod json;
mod ledger;
mod meta;
mod operation;
mod scval;
mod spec;
mod strkey;
pub mod synth;
pub mod tables;
mod token_event;
pub mod wasm;
pub mod xdr;
