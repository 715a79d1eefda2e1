//! Bytes that are wrong by accident or by intent: each an error that says where, none a panic.

mod batches;
mod integrity;
mod nesting;
mod places;
mod records;
mod rollback;
mod sample;
mod words;
mod zstd;

use std::time::{Duration, Instant};

use stellarrow_core::decode::{self, Request};
use stellarrow_core::error::Error;
use stellarrow_core::frame::Framing;

use crate::rows::request;

/// Decode and expect an error, soon.
fn refused_by(data: &[u8], request: &Request) -> Error {
    let began = Instant::now();
    let error = decode::decode(data, request).expect_err("these bytes are wrong");
    assert!(began.elapsed() < Duration::from_secs(10), "{error}");
    error
}

/// The error of decoding all tables, the framing given or found.
fn refused(data: &[u8], framing: Option<Framing>) -> Error {
    refused_by(data, &request().framing(framing))
}

/// The parts of a `Decode` error, which this must be.
fn place(error: &Error) -> (Option<u32>, &str, usize, &str) {
    match error {
        Error::Decode { ledger, path, offset, reason } => (*ledger, path, *offset, reason),
        other => panic!("{other}"),
    }
}
