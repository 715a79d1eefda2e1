//! Synthetic ledgers, held against the official crate.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod contents;
mod fold;
mod hashes;
mod ledger;
mod sizes;

use stellarrow_core::synth::{Recipe, Synth};

const PASSPHRASE: &str = "Synthetic Network ; of tests";

fn recipe(seed: u64, ledger_bytes: Option<usize>) -> Recipe {
    Recipe { seed, first: 1000, contracts: 3000, ledger_bytes, passphrase: PASSPHRASE.to_owned() }
}

fn run(seed: u64, ledger_bytes: Option<usize>, ledgers: usize) -> Vec<Vec<u8>> {
    Synth::new(recipe(seed, ledger_bytes)).unwrap().take(ledgers).collect()
}
