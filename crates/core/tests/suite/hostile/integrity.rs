//! Ledgers that are whole but not what they say, not in order, or of another network.

use stellar_xdr::{Hash, LedgerCloseMeta};
use stellarrow_core::decode::{Decoder, Request, decode};
use stellarrow_core::error::Error;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;

use super::sample::{self, SEQUENCE};
use super::{place, refused, refused_by};
use crate::dice::Dice;
use crate::framed::framed;
use crate::rows::{TABLES, held, request};
use crate::sealed::{encode, entry, rehash, seal, seal_chain};

fn refused_meta(change: impl Fn(&mut LedgerCloseMeta)) -> Error {
    let mut meta = sample::meta();
    seal(&mut meta, &mut Dice::new(0));
    change(&mut meta);
    refused(&encode(&meta), None)
}

/// Where the sample's header begins, after the ledger's version, its ext and the header's hash.
const HEADER: usize = 4 + 4 + 32;

#[test]
fn a_header_that_does_not_match_its_hash_is_damaged() {
    let error = refused_meta(|meta| entry(meta).header.base_fee += 1);
    let (ledger, path, offset, reason) = place(&error);
    assert_eq!((ledger, path, offset), (Some(SEQUENCE), "v1.ledger_header.hash", HEADER - 32));
    assert!(reason.contains("but the header hashes to"), "{error}");
}

#[test]
fn a_protocol_from_the_future_is_told_as_such() {
    let error = refused_meta(|meta| {
        entry(meta).header.ledger_version = 99;
        rehash(meta);
    });
    let (ledger, path, offset, reason) = place(&error);
    let version = "v1.ledger_header.header.ledger_version";
    assert_eq!((ledger, path, offset), (Some(SEQUENCE), version, HEADER));
    assert!(reason.contains("is protocol 99") && reason.contains("update"), "{error}");
}

#[test]
fn a_time_beyond_all_timestamps_is_an_error() {
    let error = refused_meta(|meta| {
        entry(meta).header.scp_value.close_time.0 = u64::MAX;
        rehash(meta);
    });
    let (ledger, path, offset, _) = place(&error);
    let time = "v1.ledger_header.header.scp_value.close_time";
    assert_eq!((ledger, path, offset), (Some(SEQUENCE), time, HEADER + 4 + 32 + 32));
}

#[test]
fn another_networks_ledger_is_told_by_the_passphrase() {
    let request = Request::new(&TABLES, "Some other network", &Wanted::default()).unwrap();
    let (ledger, passphrase) = (SEQUENCE, "Some other network".to_owned());
    let expected = Error::Network { ledger, passphrase };
    assert_eq!(refused_by(&sample::bytes(), &request), expected);
}

#[test]
fn transactions_without_envelopes_prove_no_network() {
    let mut meta = sample::meta();
    if let LedgerCloseMeta::V1(meta) = &mut meta {
        meta.tx_set = Default::default();
    }
    let mut metas = [meta, sample::meta()];
    seal_chain(&mut metas, SEQUENCE, &mut Dice::new(0));
    let ledgers = metas.map(|meta| encode(&meta));
    let data = framed(&[&ledgers[0], &ledgers[1]], Framing::Batch, SEQUENCE);
    let request = Request::new(&TABLES, "Some other network", &Wanted::default()).unwrap();
    assert!(matches!(refused_by(&data, &request), Error::Network { .. }));
}

/// Three ledgers that follow one another, with something changed before the headers are hashed.
fn three(change: impl Fn(&mut [LedgerCloseMeta])) -> Vec<Vec<u8>> {
    let mut metas = vec![sample::meta(), sample::meta(), sample::meta()];
    seal_chain(&mut metas, SEQUENCE, &mut Dice::new(0));
    change(&mut metas);
    metas.iter_mut().for_each(rehash);
    metas.iter().map(encode).collect()
}

fn marked(ledgers: &[Vec<u8>]) -> Vec<u8> {
    let ledgers: Vec<_> = ledgers.iter().map(Vec::as_slice).collect();
    framed(&ledgers, Framing::RecordMarked, 0)
}

/// The ledger at which the chain breaks; without the check it all decodes.
fn breaks_at(ledgers: &[Vec<u8>]) -> u32 {
    let data = marked(ledgers);
    assert!(decode(&data, &request().verify_chain(false)).is_ok());
    match refused(&data, None) {
        Error::Chain { ledger, .. } => ledger,
        other => panic!("{other}"),
    }
}

#[test]
fn a_hash_that_is_not_the_one_before_breaks_the_chain() {
    let ledgers = three(|metas| entry(&mut metas[2]).header.previous_ledger_hash = Hash([7; 32]));
    assert_eq!(breaks_at(&ledgers), SEQUENCE + 2);
}

#[test]
fn a_gap_a_repeat_and_a_step_back_break_the_chain() {
    let ledgers = three(|_| {});
    let pick = |order: &[usize]| order.iter().map(|at| ledgers[*at].clone()).collect::<Vec<_>>();
    assert_eq!(breaks_at(&pick(&[0, 2])), SEQUENCE + 2);
    assert_eq!(breaks_at(&pick(&[0, 0])), SEQUENCE);
    assert_eq!(breaks_at(&pick(&[1, 0])), SEQUENCE);
    assert!(decode(&marked(&ledgers), &request()).is_ok());
}

#[test]
fn the_chain_reaches_from_one_push_to_the_next() {
    let (ledgers, request) = (three(|_| {}), request());
    let mut decoder = Decoder::new(&request).unwrap();
    decoder.push(&ledgers[0]).unwrap();
    assert!(matches!(decoder.push(&ledgers[2]), Err(Error::Chain { .. })));
    decoder.push(&ledgers[1]).unwrap();
    decoder.push(&ledgers[2]).unwrap();
    assert_eq!(held(&mut decoder, &TABLES)[0].len(), 3);
}

#[test]
fn the_last_ledger_number_has_none_after_it() {
    let mut metas = [sample::meta(), sample::meta()];
    seal_chain(&mut metas, u32::MAX - 1, &mut Dice::new(0));
    let [last, first] = [1, 0].map(|at| encode(&metas[at]));
    assert!(matches!(refused(&marked(&[last, first]), None), Error::Chain { .. }));
}
