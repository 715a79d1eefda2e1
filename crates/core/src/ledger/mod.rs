//! The walk over a ledger, and what it meets there.

pub mod balance;
pub mod change;
pub mod contents;
pub mod entry;
pub mod envelope;
pub mod event;
pub mod fee;
pub mod header;
pub mod integrity;
pub mod meta;
pub mod operation;
pub mod results_hash;
pub mod token_event;
pub mod tx_set;
pub mod visitor;
pub mod walk;
