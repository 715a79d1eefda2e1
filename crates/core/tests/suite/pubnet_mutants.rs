//! Ledgers of pubnet with something changed: tables that put envelopes, results and changes
//! together read them or refuse them by their place, and never fail otherwise.

use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::error::Error;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::{Framing, Splitter};
use stellarrow_core::tables::{Table, Transfers};

use crate::dice::Dice;
use crate::mutate::mutate;
use crate::sealed::body_at;

const PUBNET: &str = "Public Global Stellar Network ; September 2015";
const MUTANTS: u64 = if cfg!(debug_assertions) { 40 } else { 1_500 };
const LEDGERS: [&[u8]; 2] = [
    include_bytes!("../../../../python/stellarrow/data/ledgers/FCD285FF--53312000.xdr.zstd"),
    include_bytes!("../../../../python/stellarrow/data/ledgers/pubnet-58752000.xdr.zst"),
];

fn requests() -> [Request; 2] {
    let tables = ["transactions", "token_transfers", "token_transfer_anomalies"];
    let tables = tables.map(|name| Table::find(name).unwrap());
    [Transfers::Derive, Transfers::Unified].map(|transfers| {
        let request = Request::new(&tables, PUBNET, &Wanted::default()).unwrap();
        request.framing(Some(Framing::Single)).transfers(transfers)
    })
}

/// The bytes of a ledger, and where its header ends.
fn ledger(stored: &[u8]) -> (Vec<u8>, usize) {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(stored).unwrap();
    records.extend(splitter.finish().unwrap());
    let bytes = records.remove(0).split_off(4);
    let meta = LedgerCloseMeta::from_xdr(&bytes, Limits::none()).unwrap();
    (bytes, body_at(&meta))
}

#[test]
fn a_changed_ledger_is_read_or_refused_by_its_place() {
    let (requests, mut read, mut contradictory) = (requests(), 0, 0);
    for stored in LEDGERS {
        let (sound, body) = ledger(stored);
        for seed in 0..MUTANTS {
            let mut bytes = sound.clone();
            mutate(&mut Dice::new(seed), &mut bytes, body);
            for request in &requests {
                match decode(&bytes, request) {
                    Ok(_) => read += 1,
                    Err(Error::Network { ledger, .. }) => assert!(ledger > 53_000_000),
                    Err(Error::Decode { ledger, path, offset, reason }) => {
                        assert!(ledger.is_some() && offset <= bytes.len(), "seed {seed}");
                        assert!(!reason.contains("please report"), "seed {seed}: {reason}");
                        assert!(path.is_empty() || path.starts_with("v1."), "seed {seed}: {path}");
                        contradictory += usize::from(reason.contains("do not fit"));
                    }
                    Err(other) => panic!("seed {seed}: {other}"),
                }
            }
        }
    }
    assert!(read as u64 > MUTANTS / 4 && contradictory > 0, "{read} {contradictory}");
}
