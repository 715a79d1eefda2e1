//! Typed tables: events and storage of contracts as the columns that the contracts themselves declare
//! (SEP-48), by the interface that was in force.

mod append;
mod asset;
mod builder;
mod columns;
mod compiler;
mod event_rows;
mod event_spec;
mod fit;
mod history;
mod interface;
mod knowledge;
pub mod loose;
mod nodes;
mod plan;
mod routes;
mod samples;
mod status;
mod storage_rows;
mod store;
mod table_rows;
mod type_words;
mod typed_table;
#[cfg(test)]
mod upgrades;
mod writer;

pub use builder::Builder;
pub use history::{Executable, History};
pub use knowledge::{Hash, Knowledge, Learner, Targets};
pub use plan::Plan;
pub use status::Status;
pub use typed_table::{Rows, TypedTable};
