//! Arrow record batches as text: objects of JSON, lines of CSV, written row by row into one buffer.
//!
//! Both are what `sinks/files/formats` says of them. Columns of types that no table has are not known
//! here: then there is no answer, and Arrow's kernels write the rows.

pub mod cells;
pub mod moments;
pub mod numbers;
pub mod quoting;
pub mod rows;
pub mod texts;

pub use rows::{Form, rows};
