//! A small ledger cut, flipped and lied about at every place.

use std::time::{Duration, Instant};

use stellarrow_core::decode::decode;
use stellarrow_core::error::Error;
use stellarrow_core::frame::Framing;

use super::sample::{SEQUENCE, bytes, put};
use super::{place, refused};
use crate::rows::request;
use crate::sealed::body_at;

#[test]
fn a_ledger_cut_anywhere_is_told_to_be_cut() {
    let bytes = bytes();
    let body = body_at(&super::sample::meta());
    for end in 1..bytes.len() {
        for framing in [None, Some(Framing::Single)] {
            let error = refused(&bytes[..end], framing);
            let (ledger, path, offset, reason) = place(&error);
            assert_eq!(ledger, (end >= body).then_some(SEQUENCE), "{error}");
            assert!(reason.starts_with("needs ") && offset <= end, "{end}: {error}");
            assert_eq!(path.is_empty(), end < 4, "{end}: {error}");
        }
    }
}

#[test]
fn no_data_at_all_is_an_error() {
    for framing in [None, Some(Framing::Single), Some(Framing::Batch)] {
        let error = refused(b"", framing);
        assert_eq!(place(&error).2, 0, "{error}");
    }
}

#[test]
fn bytes_after_a_ledger_are_an_error_at_their_beginning() {
    let sound = bytes();
    for more in 1..9 {
        let mut bytes = sound.clone();
        bytes.resize(sound.len() + more, 0);
        let error = refused(&bytes, Some(Framing::Single));
        assert_eq!(place(&error).2, sound.len(), "{error}");
    }
}

#[test]
fn every_flipped_bit_gives_rows_or_an_error() {
    let (sound, request) = (bytes(), request());
    let mut refused = 0;
    for bit in 0..8 * sound.len() {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused += u32::from(decode(&bytes, &request).is_err());
    }
    assert!(refused > 8 * 300, "the header's bits, if no others: {refused}");
}

#[test]
fn every_word_may_claim_four_billion() {
    let (sound, request) = (bytes(), request());
    let began = Instant::now();
    for at in (0..sound.len()).step_by(4) {
        for word in [u32::MAX, 0xffff_fffc, 0x8000_0000, 0x7fff_ffff, 0x1000_0000] {
            let mut bytes = sound.clone();
            put(&mut bytes, at, word);
            if let Err(Error::Decode { offset, .. }) = decode(&bytes, &request) {
                assert!(offset <= bytes.len());
            }
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn four_billion_elements_end_where_the_bytes_end() {
    let sound = bytes();
    let body = body_at(&super::sample::meta());
    let error = {
        let mut bytes = sound.clone();
        // The phases of the set follow its arm and the hash of the ledger before.
        put(&mut bytes, body + 36, u32::MAX);
        refused(&bytes, None)
    };
    let (ledger, path, offset, _) = place(&error);
    assert_eq!(ledger, Some(SEQUENCE), "{error}");
    assert!(path.starts_with("v1.tx_set.v1_tx_set.phases[1]"), "{error}");
    assert!((body..sound.len()).contains(&offset), "{error}");
}
