//! Measures what the official `stellar-xdr` crate needs to decode ledgers in full, on one thread.
//!
//! It reads a file of record-marked `LedgerCloseMeta` (RFC 5531, section 11) into memory, then times decoding alone,
//! and prints one JSON object a line: see the README of the benchmarks.

#![forbid(unsafe_code)]

mod ledgers;
mod measure;
mod options;

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;

use measure::Measured;
use options::Options;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stellar-xdr-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let data = std::fs::read(&options.file)?;
    let mut ledgers = ledgers::split(&data)?;
    if options.ledgers > 0 {
        ledgers.truncate(options.ledgers);
    }
    if options.step {
        for line in std::io::stdin().lock().lines() {
            line?;
            println!(
                "{}",
                measure::once(&ledgers, options.minimum)?.to_json(None)
            );
        }
        return Ok(());
    }
    measure::once(&ledgers, options.minimum)?; // warms up
    let mut runs = (0..options.repeat.max(1))
        .map(|_| measure::once(&ledgers, options.minimum))
        .collect::<Result<Vec<Measured>, _>>()?;
    runs.sort_by(|a, b| a.seconds_per_pass().total_cmp(&b.seconds_per_pass()));
    let median = runs.get(runs.len() / 2).map(Measured::seconds_per_pass);
    if let Some(best) = runs.first() {
        println!("{}", best.per_pass().to_json(median));
    }
    Ok(())
}
