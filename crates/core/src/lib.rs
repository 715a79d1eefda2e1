//! Bytes of Stellar ledgers in, Arrow record batches out: no network, no files, no clock.

mod balance;
mod change;
pub mod contract;
pub mod decode;
mod entry;
mod envelope;
pub mod error;
mod event;
mod fee;
pub mod filter;
mod fixed_text;
pub mod frame;
mod header;
mod integrity;
mod ledger;
mod meta;
mod operation;
pub mod synth;
pub mod tables;
mod token_event;
pub mod values;
pub mod xdr;
