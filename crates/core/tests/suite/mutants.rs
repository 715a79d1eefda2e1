//! Ledgers with something changed: whatever tables are asked for, they are refused just where the
//! official crate refuses them, or read as it reads them.

use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::error::Error;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;
use stellarrow_core::tables::Table;

use crate::rows::TABLES;

use crate::dice::Dice;
use crate::layout::officially;
use crate::mutate::mutate;
use crate::property::same_rows;
use crate::sealed::{PASSPHRASE, body_at, encode, prove, seal};
use crate::structured;

const LEDGERS: u64 = if cfg!(debug_assertions) { 60 } else { 1_500 };
const MUTANTS: u64 = 20;

/// A request for each table alone, which has the walk pass over the others' parts, and one for all.
fn requests() -> Vec<Request> {
    let request = |tables: &[Table]| {
        let request = Request::new(tables, PASSPHRASE, &Wanted::default()).unwrap();
        request.framing(Some(Framing::Single)).diagnostics(true)
    };
    let mut requests: Vec<_> = TABLES.iter().map(|table| request(&[*table])).collect();
    requests.push(request(&TABLES));
    requests
}

fn refused(bytes: &[u8], body: usize, request: &Request) {
    match decode(bytes, request) {
        Err(Error::Decode { ledger: Some(_), path, offset, reason }) => {
            assert!(path.starts_with('v') && (body..=bytes.len()).contains(&offset));
            assert!(!reason.contains("please report"), "{path} {offset} {reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ledger_is_refused_if_and_only_if_the_official_crate_refuses_it() {
    let requests = requests();
    let (mut sound, mut longer, mut broken) = (0, 0, 0);
    for seed in 0..LEDGERS {
        let mut dice = Dice::new(seed);
        let mut meta = structured::ledger(&mut dice);
        seal(&mut meta, &mut dice);
        let (bytes, body) = (encode(&meta), body_at(&meta));
        for _ in 0..MUTANTS {
            let mut mutant = bytes.clone();
            mutate(&mut dice, &mut mutant, body);
            match officially::<LedgerCloseMeta>(&mutant) {
                Some([]) => {
                    let mut meta = LedgerCloseMeta::from_xdr(&mutant, Limits::none()).unwrap();
                    prove(&mut meta, &mut dice);
                    same_rows(seed, &meta);
                    sound += 1;
                }
                Some(_) => {
                    for request in &requests {
                        assert!(decode(&mutant, request).is_err(), "seed {seed}");
                    }
                    longer += 1;
                }
                None => {
                    for request in &requests {
                        refused(&mutant, body, request);
                    }
                    broken += 1;
                }
            }
        }
    }
    let least = LEDGERS * MUTANTS / 1_000;
    assert!(sound.min(longer).min(broken) >= least.max(1), "{sound} {longer} {broken}");
}
