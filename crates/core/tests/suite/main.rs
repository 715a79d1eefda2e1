//! The core against the official crate, against hostile bytes, and against itself.
//!
//! One binary, so that the official crate is linked once; `cargo test --release property` runs one
//! module, `cargo test --release -- --ignored fuzz` the slow one.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

mod commitments;
mod conservation;
mod dice;
mod discriminants;
mod filters;
mod flips;
mod framed;
mod fuzz;
mod hostile;
mod layout;
mod mutants;
mod mutate;
mod official;
mod property;
mod pubnet_mutants;
mod revocation;
mod room;
mod rows;
mod sealed;
mod specs;
mod structured;
mod token_events;

/// The most memory this process ever had, where the system tells.
fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    kib.map_or(0, |kib| kib.parse::<u64>().unwrap() >> 10)
}
