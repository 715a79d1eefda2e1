//! What the official crate encodes we read to the last byte, and say the same about it.

use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use stellarrow_core::decode::{Decoder, Request};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::{self, Framing, Splitter};
use stellarrow_core::synth::{Recipe, Synth};
use stellarrow_core::xdr::{layout, skip};

use crate::dice::Dice;
use crate::framed::framed;
use crate::official;
use crate::rows::{Row, TABLES, Value, held, request};
use crate::sealed::{PASSPHRASE, encode, seal, seal_chain};
use crate::structured;

const CASES: u64 = if cfg!(debug_assertions) { 300 } else { 6_000 };

/// The rows of one ledger, all tables, diagnostics among the events; dictionaries hold the same texts.
pub fn ours(bytes: &[u8]) -> Vec<Vec<Row>> {
    let [plain, coded] = [false, true].map(|dictionaries| {
        let request = request().framing(Some(Framing::Single)).diagnostics(true);
        let request = request.dictionaries(dictionaries);
        let mut decoder = Decoder::new(&request).unwrap();
        decoder.push(bytes).unwrap();
        held(&mut decoder, &TABLES)
    });
    assert_eq!(plain, coded);
    plain
}

/// The rows of one sealed ledger, once it is sure that the official crate would make the same.
pub fn same_rows(seed: u64, meta: &LedgerCloseMeta) -> Vec<Vec<Row>> {
    let bytes = encode(meta);
    assert_eq!(skip::<layout::LedgerCloseMeta>(&bytes), Some(&[][..]), "seed {seed}");
    let ours = ours(&bytes);
    for (table, ours) in TABLES.iter().zip(&ours) {
        let Some(theirs) = official::rows(meta, table) else { continue };
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "seed {seed}, {}", table.name);
        }
        assert_eq!(ours.len(), theirs.len(), "seed {seed}, {}", table.name);
    }
    ours
}

fn all_cases(make: impl Fn(&mut Dice) -> LedgerCloseMeta) -> Vec<Row> {
    let mut rows = Vec::new();
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let mut meta = make(&mut dice);
        seal(&mut meta, &mut dice);
        rows.extend(same_rows(seed, &meta).into_iter().flatten());
    }
    rows
}

/// Make sure that the cases were no idle ones: rows with this, a hundredth of the cases at least.
fn often(rows: &[Row], what: &str, holds: impl Fn(&Row) -> bool) {
    let count = rows.iter().filter(|row| holds(row)).count();
    assert!(count as u64 > CASES / 100, "{what}: {count}");
}

fn cell<'a>(row: &'a Row, column: &str) -> Option<&'a Value> {
    row.iter().find(|(name, _)| name == column).map(|(_, value)| value)
}

fn says(row: &Row, column: &str, text: &str) -> bool {
    matches!(cell(row, column), Some(Value::Text(value)) if value == text)
}

fn is_set(row: &Row, column: &str) -> bool {
    cell(row, column).is_some_and(|value| *value != Value::Null)
}

#[test]
fn arbitrary_ledgers_give_the_official_rows() {
    let rows = all_cases(|dice| {
        let size = 256 << dice.below(7);
        dice.arbitrary(size)
    });
    often(&rows, "contract data", |row| is_set(row, "key_xdr"));
    often(&rows, "contract events", |row| is_set(row, "topics_xdr"));
    often(&rows, "contract code", |row| is_set(row, "contract_code_hash"));
    often(&rows, "TTLs", |row| is_set(row, "key_hash"));
    often(&rows, "evictions", |row| is_set(row, "ledger_key_xdr"));
    for version in 0..3 {
        let version = Value::Number(version);
        often(&rows, "meta version", |row| cell(row, "meta_version") == Some(&version));
    }
}

#[test]
fn structured_ledgers_give_the_official_rows() {
    let rows = all_cases(structured::ledger);
    for kind in ["created", "updated", "removed", "restored"] {
        often(&rows, kind, |row| says(row, "change_type", kind));
    }
    let removed = |row: &Row| says(row, "change_type", "removed");
    often(&rows, "known state", |row| removed(row) && is_set(row, "val_xdr"));
    often(&rows, "lost state", |row| removed(row) && !is_set(row, "val_xdr"));
    for kind in ["Native", "CreditAlphanum4", "CreditAlphanum12"] {
        let kind = format!("AssetTypeAssetType{kind}");
        often(&rows, &kind, |row| says(row, "asset_type", &kind));
    }
    often(&rows, "balances", |row| is_set(row, "balance"));
    often(&rows, "39 digits", |row| is_set(row, "balance_text") && !is_set(row, "balance"));
    often(&rows, "TTLs", |row| is_set(row, "expiration_ledger_seq"));
    for kind in ["contract", "system", "diagnostic"] {
        often(&rows, kind, |row| says(row, "event_type", kind));
    }
    for stage in ["before_all_txs", "after_tx", "after_all_txs"] {
        often(&rows, stage, |row| says(row, "stage", stage));
    }
    often(
        &rows,
        "interfaces",
        |row| matches!(cell(row, "spec_json"), Some(Value::Text(spec)) if spec != "[]"),
    );
    often(
        &rows,
        "odd names",
        |row| matches!(cell(row, "event_name"), Some(Value::Text(name)) if name.contains("\\x")),
    );
}

#[test]
fn synthetic_ledgers_give_the_official_rows() {
    let passphrase = PASSPHRASE.to_owned();
    let recipe =
        Recipe { seed: 1, first: 100, contracts: 500, ledger_bytes: Some(64 << 10), passphrase };
    let mut rows = 0;
    for ledger in Synth::new(recipe).unwrap().take(CASES as usize / 60) {
        let meta = LedgerCloseMeta::from_xdr(&ledger, Limits::none()).unwrap();
        rows += same_rows(0, &meta).iter().map(Vec::len).sum::<usize>();
    }
    assert!(rows as u64 > CASES / 10, "{rows}");
}

#[test]
fn a_table_says_alone_what_it_says_among_others() {
    for seed in 0..CASES / 10 {
        let mut dice = Dice::new(seed);
        let mut meta = structured::ledger(&mut dice);
        seal(&mut meta, &mut dice);
        let together = ours(&encode(&meta));
        for (table, together) in TABLES.iter().zip(together) {
            let request = Request::new(&[*table], PASSPHRASE, &Wanted::default()).unwrap();
            let request = request.framing(Some(Framing::Single)).diagnostics(true).decoded(true);
            let mut decoder = Decoder::new(&request).unwrap();
            decoder.push(&encode(&meta)).unwrap();
            assert!(held(&mut decoder, &[*table]) == [together], "seed {seed}, {}", table.name);
        }
    }
}

/// A few ledgers that follow one another, and their rows.
fn chain(seed: u64) -> (Vec<Vec<u8>>, Vec<Vec<Row>>) {
    let mut dice = Dice::new(seed);
    let mut metas: Vec<_> = (0..4).map(|_| structured::ledger(&mut dice)).collect();
    seal_chain(&mut metas, 58_752_000, &mut dice);
    let mut rows = vec![Vec::new(); TABLES.len()];
    for meta in &metas {
        for (table, more) in rows.iter_mut().zip(ours(&encode(meta))) {
            table.extend(more);
        }
    }
    (metas.iter().map(encode).collect(), rows)
}

#[test]
fn every_framing_gives_the_same_rows() {
    let request = request().diagnostics(true);
    for seed in 0..CASES / 30 {
        let (ledgers, rows) = chain(seed);
        let ledgers: Vec<_> = ledgers.iter().map(Vec::as_slice).collect();
        for framing in [Framing::Batch, Framing::RecordMarked, Framing::Base64Lines] {
            let plain = framed(&ledgers, framing, 58_752_000);
            let packed = frame::compress(&plain, 3).unwrap();
            for data in [&plain, &packed] {
                let mut decoder = Decoder::new(&request).unwrap();
                decoder.push(data).unwrap();
                assert!(held(&mut decoder, &TABLES) == rows, "seed {seed}, {}", framing.name());
            }
        }
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_rows() {
    let request = request().diagnostics(true);
    for seed in 0..CASES / 30 {
        let mut dice = Dice::new(seed);
        let (ledgers, rows) = chain(seed);
        let ledgers: Vec<_> = ledgers.iter().map(Vec::as_slice).collect();
        let framing = *dice.pick(&[Framing::Batch, Framing::RecordMarked, Framing::Base64Lines]);
        let mut data = framed(&ledgers, framing, 58_752_000);
        if dice.one_in(2) {
            data = frame::compress(&data, 3).unwrap();
        }
        let mut splitter = Splitter::new(None, 1 + dice.below(8192));
        let mut decoder = Decoder::new(&request).unwrap();
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(1 + dice.below(rest.len()));
            rest = after;
            for piece in splitter.feed(part).unwrap() {
                decoder.push(&piece).unwrap();
            }
        }
        for piece in splitter.finish().unwrap() {
            decoder.push(&piece).unwrap();
        }
        assert!(held(&mut decoder, &TABLES) == rows, "seed {seed}, {}", framing.name());
    }
}
