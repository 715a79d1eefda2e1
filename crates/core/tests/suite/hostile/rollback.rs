//! A bad ledger leaves nothing behind: every table holds the rows of the ledgers before it.

use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use stellarrow_core::decode::{Decoder, Request};
use stellarrow_core::error::Error;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;
use stellarrow_core::synth::{Recipe, Synth};
use stellarrow_core::tables::TABLES as TABLES_OF_ALL;

use super::sample;
use crate::dice::Dice;
use crate::framed::framed;
use crate::layout::officially;
use crate::mutate::mutate;
use crate::rows::{Row, TABLES, held, request};
use crate::sealed::{PASSPHRASE, body_at, encode, seal_chain};
use crate::structured;

const CASES: u64 = if cfg!(debug_assertions) { 50 } else { 1_000 };

fn chain(dice: &mut Dice) -> Vec<LedgerCloseMeta> {
    let mut metas: Vec<_> = (0..4).map(|_| structured::ledger(dice)).collect();
    seal_chain(&mut metas, 100, dice);
    metas
}

/// The rows of these ledgers alone.
fn rows(metas: &[LedgerCloseMeta]) -> Vec<Vec<Row>> {
    let request = request().diagnostics(true);
    let mut decoder = Decoder::new(&request).unwrap();
    for meta in metas {
        decoder.push(&encode(meta)).unwrap();
    }
    held(&mut decoder, &TABLES)
}

/// The ledger with something wrong behind its header.
fn broken(meta: &LedgerCloseMeta, dice: &mut Dice) -> Vec<u8> {
    loop {
        let mut bytes = encode(meta);
        mutate(dice, &mut bytes, body_at(meta));
        if officially::<LedgerCloseMeta>(&bytes) != Some(&[]) {
            return bytes;
        }
    }
}

#[test]
fn a_bad_ledger_leaves_the_rows_of_those_before_it() {
    for seed in 0..CASES {
        let request = request().diagnostics(true).dictionaries(seed % 2 == 1);
        let mut dice = Dice::new(seed);
        let metas = chain(&mut dice);
        let bad = dice.below(metas.len());
        let mut ledgers: Vec<_> = metas.iter().map(encode).collect();
        ledgers[bad] = broken(&metas[bad], &mut dice);
        let ledgers: Vec<_> = ledgers.iter().map(Vec::as_slice).collect();
        let framing = *dice.pick(&[Framing::RecordMarked, Framing::Base64Lines]);
        let data = framed(&ledgers, framing, 100);
        let mut decoder = Decoder::new(&request).unwrap();
        let error = decoder.push(&data).expect_err("one is bad");
        assert!(
            matches!(error, Error::Decode { ledger: Some(ledger), .. } if ledger == 100 + bad as u32),
            "seed {seed}: {error}"
        );
        assert!(held(&mut decoder, &TABLES) == rows(&metas[..bad]), "seed {seed}: {error}");
    }
}

#[test]
fn decoding_goes_on_after_a_bad_ledger_as_if_it_had_not_been() {
    for seed in 0..CASES {
        let request = request().diagnostics(true).dictionaries(seed % 2 == 1);
        let mut dice = Dice::new(seed);
        let metas = chain(&mut dice);
        let mut decoder = Decoder::new(&request).unwrap();
        for meta in &metas {
            for _ in 0..dice.below(3) {
                decoder.push(&broken(meta, &mut dice)).expect_err("it is bad");
            }
            decoder.push(&encode(meta)).unwrap();
        }
        assert!(held(&mut decoder, &TABLES) == rows(&metas), "seed {seed}");
        decoder.push(&encode(&metas[0])).unwrap();
        assert!(held(&mut decoder, &TABLES) == rows(&metas[..1]), "seed {seed}, begun anew");
    }
}

/// Ledgers that every table reads, those too that want results to fit their transactions.
fn synthetic() -> Vec<Vec<u8>> {
    let recipe = Recipe {
        seed: 1,
        first: 100,
        contracts: 3_000,
        ledger_bytes: Some(64 << 10),
        passphrase: PASSPHRASE.to_owned(),
    };
    Synth::new(recipe).unwrap().take(12).collect()
}

#[test]
fn no_table_keeps_rows_of_a_bad_ledger() {
    let request = Request::new(TABLES_OF_ALL, PASSPHRASE, &Wanted::default()).unwrap();
    let request = request.decoded(true).dictionaries(true);
    let after = |ledgers: &[Vec<u8>]| {
        let mut decoder = Decoder::new(&request).unwrap();
        ledgers.iter().for_each(|ledger| decoder.push(ledger).unwrap());
        decoder
    };
    let ledgers = synthetic();
    let whole = held(&mut after(&ledgers), TABLES_OF_ALL);
    let idle = ["evictions", "token_transfer_anomalies"];
    for (table, rows) in TABLES_OF_ALL.iter().zip(&whole) {
        assert!(!rows.is_empty() || idle.contains(&table.name), "{} has no rows", table.name);
    }
    for seed in 0..CASES / 20 {
        let mut dice = Dice::new(seed);
        let at = dice.below(ledgers.len());
        let meta = LedgerCloseMeta::from_xdr(&ledgers[at], Limits::none()).unwrap();
        let mut decoder = after(&ledgers[..at]);
        decoder.push(&broken(&meta, &mut dice)).expect_err("it is bad");
        let before = held(&mut after(&ledgers[..at]), TABLES_OF_ALL);
        assert!(held(&mut decoder, TABLES_OF_ALL) == before, "seed {seed}");
        let mut decoder = after(&ledgers[..at]);
        decoder.push(&broken(&meta, &mut dice)).expect_err("it is bad");
        ledgers[at..].iter().for_each(|ledger| decoder.push(ledger).unwrap());
        assert!(held(&mut decoder, TABLES_OF_ALL) == whole, "seed {seed}");
    }
}

#[test]
fn a_record_longer_than_its_ledger_leaves_no_rows() {
    let ledger = [&sample::bytes()[..], &[0; 4]].concat();
    let data = framed(&[&ledger], Framing::RecordMarked, 0);
    let request = request();
    let mut decoder = Decoder::new(&request).unwrap();
    decoder.push(&data).expect_err("four bytes too many");
    assert!(held(&mut decoder, &TABLES).iter().all(Vec::is_empty));
}
