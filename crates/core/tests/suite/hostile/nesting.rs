//! Values nested so deep that reading them one within the other would run out of stack.

use stellarrow_core::decode::Request;
use stellarrow_core::decode::decode;
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;
use stellarrow_core::tables::Table;
use stellarrow_core::xdr::MAX_DEPTH;

use super::sample::{self, DATA, DESTINATION, KEY, RETURNED, find};
use super::{place, refused};
use crate::rows::{TABLES, request};
use crate::sealed::PASSPHRASE;

/// The sample with a value put so deep into vecs: `SCVal` arm 16, present, of one element.
fn nested(value: u32, depth: usize) -> Vec<u8> {
    let mut bytes = sample::bytes();
    let at = find(&bytes, &value.to_be_bytes()) - 4;
    let vec = [16u32, 1, 1].map(u32::to_be_bytes).concat();
    bytes.splice(at..at, vec.repeat(depth));
    bytes
}

/// The sample's quorum set with so many within it: threshold, no validators, one inner set.
fn nested_quorum_sets(depth: usize) -> Vec<u8> {
    let mut bytes = sample::bytes();
    let at = find(&bytes, &sample::VALIDATOR) - 12;
    let set = [1u32, 0, 1].map(u32::to_be_bytes).concat();
    bytes.splice(at..at, set.repeat(depth));
    bytes
}

/// The sample's payment made a claimable balance with a predicate of so many negations.
fn nested_predicates(depth: usize) -> Vec<u8> {
    let mut bytes = sample::bytes();
    let at = find(&bytes, &DESTINATION) - 8;
    let payment = 4 + 4 + 32 + 4 + 8;
    let create = [14u32, 0, 0, 0, 1, 0, 0].map(u32::to_be_bytes).concat();
    let negations = [3u32, 1].map(u32::to_be_bytes).concat().repeat(depth);
    let claimable = [&create[..], &[7; 32], &negations, &[0; 4]].concat();
    bytes.splice(at..at + payment, claimable);
    bytes
}

/// Work on a stack as small as threads get by default on macOS; unoptimized code needs more.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let size = if cfg!(debug_assertions) { 16 << 20 } else { 512 << 10 };
    let thread = std::thread::Builder::new().stack_size(size);
    thread.spawn(work).unwrap().join().unwrap();
}

fn too_deep(bytes: &[u8]) {
    let error = refused(bytes, Some(Framing::Single));
    let (_, path, _, reason) = place(&error);
    assert!(reason.starts_with("is nested in more than 750 others"), "{reason}");
    assert!(path.starts_with("v1."));
}

#[test]
fn values_nested_too_deep_are_refused_wherever_they_stand() {
    on_a_small_stack(|| {
        for depth in [1_500, 100_000] {
            for value in [KEY, DATA, RETURNED] {
                too_deep(&nested(value, depth));
            }
            too_deep(&nested_quorum_sets(depth));
            too_deep(&nested_predicates(depth));
        }
    });
}

#[test]
fn values_nested_as_deep_as_the_chain_allows_are_read() {
    on_a_small_stack(|| {
        for value in [KEY, DATA, RETURNED] {
            decode(&nested(value, 500), &request()).unwrap();
        }
        decode(&nested_quorum_sets(500), &request()).unwrap();
    });
}

#[test]
fn how_deep_is_too_deep_does_not_depend_on_the_tables() {
    on_a_small_stack(|| {
        let most = MAX_DEPTH as usize;
        for value in [KEY, DATA, RETURNED] {
            for depth in most - 6..most + 6 {
                let bytes = nested(value, depth);
                let all = decode(&bytes, &request()).is_ok();
                assert_eq!(all, depth <= most, "{value:x} {depth} deep");
                for table in TABLES.iter() {
                    let one = decode(&bytes, &alone(*table)).is_ok();
                    assert_eq!(one, all, "{value:x} {depth} deep, {}", table.name);
                }
            }
        }
    });
}

fn alone(table: Table) -> Request {
    let request = Request::new(&[table], PASSPHRASE, &Wanted::default()).unwrap();
    request.framing(Some(Framing::Single))
}
