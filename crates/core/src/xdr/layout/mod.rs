//! The one declarative table of XDR types that a ledger is made of, a file for each of the
//! protocol's own `.x` files (stellar-xdr, arms up to protocol 30).
//!
//! Names are the protocol's, in snake case as SEP-51 writes them: they become the path of an error.
#![allow(missing_docs)] // the names are the documentation, and the .x files the source

mod config_setting;
mod contract;
mod exporter;
mod ledger;
mod ledger_entries;
mod scp;
mod transaction;
mod types;

pub use config_setting::*;
pub use contract::*;
pub use exporter::*;
pub use ledger::*;
pub use ledger_entries::*;
pub use scp::*;
pub use transaction::*;
pub use types::*;
