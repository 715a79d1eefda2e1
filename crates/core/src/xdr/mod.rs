//! Views of XDR bytes (RFC 4506): a cursor, what types there are, and how to pass over them.

mod cursor;
pub mod discriminants;
pub mod layout;
mod notation;
pub mod schema;
mod trace;

pub use cursor::{Input, arm, array, between, i32, i64, opaque, present, u32, u64};
pub use schema::{MAX_DEPTH, Xdr, skip};
pub use trace::{Fault, Trace, locate};
