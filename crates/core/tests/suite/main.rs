//! The core against the official crate, against hostile bytes, and against itself.
//!
//! One binary, so that the official crate is linked once; `cargo test --release property` runs one
//! module, `cargo test --release -- --ignored fuzz` the slow one.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

mod conservation;
mod dice;
mod framed;
mod hostile;
mod layout;
mod mutants;
mod mutate;
mod official;
mod property;
mod pubnet_mutants;
mod revocation;
mod rows;
mod sealed;
mod structured;
mod token_events;
