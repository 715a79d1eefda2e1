//! How much room is made for rows that are to come.

use arrow_array::RecordBatch;
use stellarrow_core::decode::{Request, decode_all};
use stellarrow_core::filter::Wanted;
use stellarrow_core::synth::{Recipe, Synth};
use stellarrow_core::tables::TABLES;

use crate::sealed::PASSPHRASE;

const LEDGERS: usize = 64;

/// Ledgers, each a record.
fn ledgers() -> Vec<Vec<u8>> {
    let recipe = Recipe {
        seed: 5,
        first: 100,
        contracts: 20,
        ledger_bytes: Some(12_000),
        passphrase: PASSPHRASE.to_owned(),
    };
    let marked = |ledger: Vec<u8>| {
        let mark = ledger.len() as u32 | 1 << 31;
        [mark.to_be_bytes().as_slice(), &ledger].concat()
    };
    Synth::new(recipe).unwrap().take(LEDGERS).map(marked).collect()
}

fn room_of(pieces: &[&[u8]]) -> usize {
    let tables: Vec<_> = TABLES.iter().copied().filter(|one| one.name == "contract_data").collect();
    let request = Request::new(&tables, PASSPHRASE, &Wanted::default()).unwrap();
    let (batches, run) = decode_all(pieces, &request).unwrap();
    assert_eq!(run.map(|run| run.count as usize), Some(LEDGERS));
    batches.iter().map(RecordBatch::get_array_memory_size).sum()
}

#[test]
fn many_data_take_about_the_room_that_they_take_as_one() {
    let ledgers = ledgers();
    let first: &[u8] = &ledgers[0];
    let one_and_the_rest = [first, &ledgers[1..].concat()];
    let each: Vec<&[u8]> = ledgers.iter().map(Vec::as_slice).collect();
    let whole = room_of(&[&ledgers.concat()]);
    for pieces in [one_and_the_rest.as_slice(), &each] {
        let room = room_of(pieces);
        assert!(room < 3 * whole, "{room} of {whole} in {}", pieces.len());
    }
}
