//! Which ledgers a call decoded.

use pyo3::prelude::*;
use stellarrow_core::decode::{self, Run};

/// A call's ledgers; see `stellarrow_core::decode::Run`.
#[pyclass(name = "Run", frozen, get_all)]
pub struct PyRun {
    count: u32,
    first: u32,
    last: u32,
    first_closed_at: u64,
    last_closed_at: u64,
    previous_hash: String,
    last_hash: String,
    size_bytes: u64,
    transactions: u64,
}

impl From<Run> for PyRun {
    fn from(run: Run) -> Self {
        Self {
            count: run.count,
            first: run.first,
            last: run.last,
            first_closed_at: run.first_closed_at,
            last_closed_at: run.last_closed_at,
            previous_hash: decode::hash_text(&run.previous_hash),
            last_hash: decode::hash_text(&run.last_hash),
            size_bytes: run.size,
            transactions: run.transactions,
        }
    }
}
