//! A fuzzer within the process: real ledgers, taken apart, put together wrongly and damaged, for as
//! long as `STELLARROW_FUZZ_SECONDS` says. `STELLARROW_FUZZ_SEED` repeats a run from the input on
//! that failed, which it names.

mod changed;
mod seeds;

use std::time::{Duration, Instant};

use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use stellarrow_core::decode::{Decoder, Request, decode, sequences};
use stellarrow_core::error::{Error, Result};
use stellarrow_core::frame::{self, Framing, Splitter};
use stellarrow_core::xdr::{layout, locate, skip};

use crate::dice::Dice;
use crate::framed::framed;
use crate::layout::officially;
use crate::mutate::mutate;
use crate::peak_memory_mib;
use crate::property::same_rows;
use crate::rows::{self, Row, TABLES, held};
use crate::sealed::{body_at, encode, seal, seal_chain};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Names the input at hand when the test panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this input again: STELLARROW_FUZZ_SEED={}", self.0);
        }
    }
}

#[test]
#[ignore = "fuzzes for STELLARROW_FUZZ_SECONDS, a minute by default"]
fn fuzz() {
    let end = Instant::now() + Duration::from_secs(number("STELLARROW_FUZZ_SECONDS", 60));
    let first = number("STELLARROW_FUZZ_SEED", 0);
    let seeds = seeds::seeds();
    let mut inputs = 0;
    for seed in first.. {
        if Instant::now() > end {
            break;
        }
        let (_named, mut dice) = (Seed(seed), Dice::new(seed));
        let began = Instant::now();
        match dice.below(3) {
            0 => sound(&mut dice, seed, &seeds),
            1 => damaged(&mut dice, &seeds),
            _ => stored(&mut dice, &seeds),
        }
        assert!(began.elapsed() < Duration::from_secs(5), "it takes {:?}", began.elapsed());
        inputs += 1;
    }
    println!("{inputs} inputs of {} ledgers, {} MiB at most", seeds.len(), peak_memory_mib());
    assert!(inputs > 0 && peak_memory_mib() < 1_000);
}

/// A ledger put together wrongly, but whole: we say what the official crate says.
fn sound(dice: &mut Dice, seed: u64, seeds: &[LedgerCloseMeta]) {
    let mut meta = changed::any(dice, seeds);
    seal(&mut meta, dice);
    same_rows(seed, &meta);
}

/// A ledger that is damaged: we refuse it if and only if the official crate does, and say where.
fn damaged(dice: &mut Dice, seeds: &[LedgerCloseMeta]) {
    let mut meta = changed::any(dice, seeds);
    seal(&mut meta, dice);
    let start = if dice.one_in(4) { 0 } else { body_at(&meta) };
    let mut bytes = encode(&meta);
    mutate(dice, &mut bytes, start);
    let official = officially::<LedgerCloseMeta>(&bytes);
    assert_eq!(skip::<layout::LedgerCloseMeta>(&bytes), official);
    let fault = locate::<layout::LedgerCloseMeta>(&bytes);
    assert_eq!(fault.as_ref().ok().copied(), official);
    let decoded = decode(&bytes, &request(dice).framing(Some(Framing::Single)));
    match (decoded, fault) {
        (Ok(_), fault) => assert_eq!(fault.as_ref().ok(), Some(&&[][..])),
        (Err(Error::Decode { path, offset, reason, .. }), Err(fault)) => {
            let at_header = path.contains(".ledger_header.");
            assert!(
                at_header || (path == fault.path && offset == fault.offset),
                "{path} {fault:?}"
            );
            assert!(at_header || reason.starts_with(&fault.reason), "{reason} {fault:?}");
        }
        (Err(error), Err(fault)) => panic!("{error} hides {fault:?}"),
        (Err(error), Ok(_)) => assert!(!error.to_string().contains("please report"), "{error}"),
    }
}

/// Stored bytes of a few ledgers, damaged at any layer: a stream gives what the whole gives.
fn stored(dice: &mut Dice, seeds: &[LedgerCloseMeta]) {
    let mut metas: Vec<_> = (0..1 + dice.below(3)).map(|_| changed::any(dice, seeds)).collect();
    let first = dice.next() as u32 >> 1;
    seal_chain(&mut metas, first, dice);
    let ledgers: Vec<_> = metas.iter().map(encode).collect();
    let ledgers: Vec<_> = ledgers.iter().map(Vec::as_slice).collect();
    let framings = Framing::ALL.map(|(_, framing)| framing);
    let mut data = framed(&ledgers, *dice.pick(&framings), first);
    if !dice.one_in(3) {
        mutate(dice, &mut data, 0);
    }
    if dice.one_in(2) {
        data = frame::compress(&data, 1).unwrap();
        if dice.one_in(2) {
            mutate(dice, &mut data, 0);
        }
    }
    let framing = dice.one_in(2).then(|| *dice.pick(&framings));
    let request = request(dice).framing(framing);
    let whole = held_after(&request, |decoder| decoder.push(&data));
    let request = request.framing(Some(Framing::RecordMarked));
    let parts = held_after(&request, |decoder| split(dice, &data, framing, decoder));
    if let Ok(whole) = whole {
        assert!(parts.unwrap() == whole, "{framing:?}, {} bytes", data.len());
        sequences(&data, framing).unwrap();
    }
}

fn held_after(
    request: &Request,
    push: impl FnOnce(&mut Decoder<'_>) -> Result<()>,
) -> Result<Vec<Vec<Row>>> {
    let mut decoder = Decoder::new(request).unwrap();
    push(&mut decoder).map(|()| held(&mut decoder, &TABLES))
}

fn split(
    dice: &mut Dice,
    data: &[u8],
    framing: Option<Framing>,
    decoder: &mut Decoder<'_>,
) -> Result<()> {
    let (mut splitter, mut rest) = (Splitter::new(framing, 1 << 14), data);
    while !rest.is_empty() {
        let (part, after) = rest.split_at(1 + dice.below(rest.len()));
        rest = after;
        for piece in splitter.feed(part)? {
            decoder.push(&piece)?;
        }
    }
    splitter.finish()?.iter().try_for_each(|piece| decoder.push(piece))
}

fn request(dice: &mut Dice) -> Request {
    rows::request().verify_chain(dice.one_in(2)).diagnostics(dice.one_in(2))
}

/// A ledger's bytes as the official crate reads them.
fn read(bytes: &[u8]) -> Option<LedgerCloseMeta> {
    LedgerCloseMeta::from_xdr(bytes, Limits { depth: 1_000, len: bytes.len() }).ok()
}
