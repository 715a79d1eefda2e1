//! Single bits flipped: what a hash covers is refused, what none covers changes no more than its own
//! rows. `docs/reliability.md` lists what none covers.

use std::ops::Range;

use arrow_array::RecordBatch;
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::error::Error;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::{Framing, Splitter};
use stellarrow_core::synth::{Recipe, Synth};
use stellarrow_core::tables::Table;
use stellarrow_core::xdr::layout::{
    ExtensionPoint, GeneralizedTransactionSet, LedgerCloseMetaExt, LedgerEntryChanges,
    LedgerHeaderHistoryEntry, LedgerKey, SCPHistoryEntry, TransactionMeta, TransactionResultPair,
    UpgradeEntryMeta,
};
use stellarrow_core::xdr::schema::{Array, U64, Xdr};
use stellarrow_core::xdr::{self, skip};

use crate::dice::Dice;
use crate::sealed::PASSPHRASE;

const PUBNET: &str = "Public Global Stellar Network ; September 2015";
const LEDGERS: [&[u8]; 2] = [
    include_bytes!("../../../../python/stellarrow/data/ledgers/FCD285FF--53312000.xdr.zstd"),
    include_bytes!("../../../../python/stellarrow/data/ledgers/pubnet-58752000.xdr.zst"),
];
const DOCS: &str = include_str!("../../../../docs/reliability.md");
/// Tables of what hashes cover: a flip elsewhere must not reach them.
const COVERED_TABLES: [&str; 2] = ["ledgers", "transactions"];

/// A part of a ledger, by its path without version and places.
struct Part {
    path: &'static str,
    bytes: Range<usize>,
    covered: bool,
}

/// Cuts a ledger into parts.
struct Cutter<'a> {
    bytes: &'a [u8],
    at: usize,
    parts: Vec<Part>,
}

impl Cutter<'_> {
    fn part<T: Xdr>(&mut self, path: &'static str, covered: bool) {
        let rest = skip::<T>(&self.bytes[self.at..]).unwrap();
        self.upto(path, self.bytes.len() - rest.len(), covered);
    }

    fn upto(&mut self, path: &'static str, end: usize, covered: bool) {
        self.parts.push(Part { path, bytes: self.at..end, covered });
        self.at = end;
    }
}

/// The parts of a ledger of version 1 or 2, one after another, without a gap.
fn parts(bytes: &[u8]) -> Vec<Part> {
    let (version, _) = xdr::u32(bytes).unwrap();
    let mut cut = Cutter { bytes, at: 0, parts: Vec::new() };
    // No hash covers it, but what follows then has another layout.
    cut.upto("v", 4, true);
    cut.part::<LedgerCloseMetaExt>("ext", false);
    cut.part::<LedgerHeaderHistoryEntry>("ledger_header", true);
    cut.part::<GeneralizedTransactionSet>("tx_set", true);
    let (count, _) = xdr::u32(&bytes[cut.at..]).unwrap();
    cut.upto("tx_processing", cut.at + 4, true);
    for _ in 0..count {
        if version == 2 {
            cut.part::<ExtensionPoint>("tx_processing[].ext", true);
        }
        cut.part::<TransactionResultPair>("tx_processing[].result", true);
        cut.part::<LedgerEntryChanges>("tx_processing[].fee_processing", false);
        cut.part::<TransactionMeta>("tx_processing[].tx_apply_processing", false);
        if version == 2 {
            let path = "tx_processing[].post_tx_apply_fee_processing";
            cut.part::<LedgerEntryChanges>(path, false);
        }
    }
    cut.part::<Array<UpgradeEntryMeta>>("upgrades_processing", false);
    cut.part::<Array<SCPHistoryEntry>>("scp_info", false);
    cut.part::<U64>("total_byte_size_of_live_soroban_state", false);
    cut.part::<Array<LedgerKey>>("evicted_keys", false);
    if version == 1 {
        cut.upto("unused", bytes.len(), false);
    }
    assert_eq!(cut.at, bytes.len());
    cut.parts
}

fn verified(passphrase: &str, tables: &[&str]) -> Request {
    let tables: Vec<_> = tables.iter().map(|name| Table::find(name).unwrap()).collect();
    let request = Request::new(&tables, passphrase, &Wanted::default()).unwrap();
    request.framing(Some(Framing::Single)).verify_hashes(true)
}

fn read(bytes: &[u8], request: &Request) -> Result<Vec<RecordBatch>, Error> {
    decode(bytes, request).map(|(batches, _)| batches)
}

/// Flip one bit of each byte that `chosen` takes.
fn flip(sound: &[u8], passphrase: &str, mut chosen: impl FnMut(&Part) -> bool) {
    let request = verified(passphrase, &COVERED_TABLES);
    let before = read(sound, &request).unwrap();
    let mut bytes = sound.to_vec();
    let mut refused = 0;
    for part in parts(sound) {
        for at in part.bytes.clone() {
            if !chosen(&part) {
                continue;
            }
            bytes[at] ^= 1 << (at % 8);
            match read(&bytes, &request) {
                Err(Error::Decode { .. }) => refused += 1,
                Err(other) => panic!("{} at {at}: {other}", part.path),
                Ok(_) if part.covered => panic!("{} at {at} is covered, but was read", part.path),
                Ok(after) => assert_eq!(after, before, "{} at {at}", part.path),
            }
            bytes[at] ^= 1 << (at % 8);
        }
    }
    assert!(refused > 0);
}

fn synthetic(at: usize) -> Vec<u8> {
    let recipe = Recipe {
        seed: 5,
        first: 100,
        contracts: 20,
        ledger_bytes: Some(6_000),
        passphrase: PASSPHRASE.to_owned(),
    };
    Synth::new(recipe).unwrap().nth(at).unwrap()
}

fn pubnet(stored: &[u8]) -> Vec<u8> {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(stored).unwrap();
    records.extend(splitter.finish().unwrap());
    records.remove(0).split_off(4)
}

#[test]
fn a_flipped_bit_is_refused_or_lies_where_no_hash_reaches() {
    let mut dice = Dice::new(1);
    for at in [3, 40, 55] {
        flip(&synthetic(at), PASSPHRASE, |_| dice.one_in(4));
    }
    for stored in LEDGERS {
        let bytes = pubnet(stored);
        let every = bytes.len() / if cfg!(debug_assertions) { 30 } else { 600 };
        flip(&bytes, PUBNET, |_| dice.below(every) == 0);
    }
}

#[test]
#[ignore = "slow"]
fn every_flipped_byte_of_small_ledgers_is_refused_or_lies_where_no_hash_reaches() {
    for at in [3, 40, 55, 70] {
        flip(&synthetic(at), PASSPHRASE, |_| true);
    }
}

#[test]
#[ignore = "slow"]
fn every_flipped_byte_of_pubnet_that_a_hash_covers_is_refused() {
    std::thread::scope(|scope| {
        for stored in LEDGERS {
            scope.spawn(|| flip(&pubnet(stored), PUBNET, |part| part.covered));
        }
    });
}

#[test]
fn what_no_hash_covers_is_listed_for_people() {
    for bytes in [synthetic(3), synthetic(55)] {
        for part in parts(&bytes) {
            let listed = DOCS.contains(&format!("`{}`", part.path));
            assert!(part.covered || listed, "{} is not listed", part.path);
        }
    }
}
