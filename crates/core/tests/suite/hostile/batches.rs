//! LedgerCloseMetaBatch: heads that lie, and several batches one after another.

use stellarrow_core::decode::{decode, sequences};
use stellarrow_core::frame::Framing;

use super::sample::{self, SEQUENCE, put};
use super::{place, refused};
use crate::dice::Dice;
use crate::framed::framed;
use crate::rows::request;
use crate::sealed::{encode, seal_chain};

fn batches(heads: &[[u32; 3]], ledgers: &[&[u8]]) -> Vec<u8> {
    let mut rest = ledgers;
    let mut data = Vec::new();
    for head in heads {
        data.extend(head.iter().flat_map(|word| word.to_be_bytes()));
        let (here, after) = rest.split_at((head[2] as usize).min(rest.len()));
        here.iter().for_each(|ledger| data.extend_from_slice(ledger));
        rest = after;
    }
    data
}

fn chain() -> Vec<Vec<u8>> {
    let mut metas = vec![sample::meta(), sample::meta(), sample::meta()];
    seal_chain(&mut metas, SEQUENCE, &mut Dice::new(0));
    metas.iter().map(encode).collect()
}

const ONE: u32 = SEQUENCE;
const TWO: u32 = SEQUENCE + 1;
const THREE: u32 = SEQUENCE + 2;

#[test]
fn batches_one_after_another_are_all_read() {
    let chain = chain();
    let ledgers: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    let heads: [&[[u32; 3]]; 4] = [
        &[[ONE, THREE, 3]],
        &[[ONE, TWO, 2], [THREE, THREE, 1]],
        &[[ONE, ONE, 1], [TWO, ONE, 0], [TWO, TWO, 1], [THREE, THREE, 1]],
        &[[ONE, THREE, 3], [9, 8, 0]],
    ];
    for heads in heads {
        let data = batches(heads, &ledgers);
        assert_eq!(sequences(&data, None).unwrap(), [ONE, TWO, THREE], "{heads:?}");
        let (_, run) = decode(&data, &request()).unwrap();
        assert_eq!(run.map(|run| run.count), Some(3), "{heads:?}");
    }
}

#[test]
fn a_head_that_contradicts_itself_begins_no_batch() {
    let chain = chain();
    let ledgers: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    for head in [[ONE, THREE, 2], [ONE, THREE, 4], [THREE, ONE, 3], [ONE, ONE, u32::MAX], [0, 0, 0]]
    {
        let data = batches(&[head], &ledgers);
        let error = refused(&data, Some(Framing::Batch));
        assert_eq!(place(&error).2, 0, "{error}");
        assert!(place(&error).3.contains("do not fit its count"), "{error}");
        refused(&data, None);
    }
}

#[test]
fn a_batch_must_hold_the_ledgers_its_head_tells() {
    let chain = chain();
    let ledgers: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    let size = chain[0].len();
    let missing = refused(&batches(&[[ONE, THREE + 1, 4]], &ledgers), None);
    assert_eq!(place(&missing).2, 12 + 3 * size, "{missing}");

    let other = batches(&[[ONE, THREE, 3]], &[ledgers[0], ledgers[2], ledgers[1]]);
    let error = refused(&other, None);
    let (ledger, path, offset, reason) = place(&error);
    assert_eq!((ledger, path), (Some(THREE), "v1.ledger_header.header.ledger_seq"), "{error}");
    assert!((12 + size..12 + 2 * size).contains(&offset), "{error}");
    assert_eq!(other[offset..offset + 4], THREE.to_be_bytes());
    assert!(reason.contains(&format!("promises ledger {TWO} here")), "{error}");

    let more = batches(&[[ONE, TWO, 2]], &ledgers[..2]);
    let more = [&more[..], ledgers[2]].concat();
    let error = refused(&more, None);
    assert_eq!(place(&error).2, 12 + 2 * size, "{error}");
}

#[test]
fn a_batch_of_four_billion_ledgers_ends_where_the_bytes_end() {
    let ledger = sample::bytes();
    let mut data = framed(&[&ledger], Framing::Batch, SEQUENCE);
    put(&mut data, 4, u32::MAX);
    put(&mut data, 8, u32::MAX - SEQUENCE + 1);
    assert_eq!(place(&refused(&data, None)).2, data.len());
}
