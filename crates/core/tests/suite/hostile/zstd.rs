//! zstd: streams of several frames, broken ones, and small ones that grow without measure.

use std::io::Write;

use stellarrow_core::decode::{decode, sequences};
use stellarrow_core::frame::{self, Framing, Splitter};

use super::sample::{SEQUENCE, bytes};
use super::{place, refused};
use crate::framed::framed;
use crate::peak_memory_mib;
use crate::rows::request;

/// zstd's magic number.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn records(count: usize) -> Vec<u8> {
    let ledger = bytes();
    framed(&vec![&*ledger; count], Framing::RecordMarked, 0)
}

/// One frame that ends with a checksum of its content and does not tell its size.
fn streamed(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn skippable(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    [&[0x53, 0x2a, 0x4d, 0x18], &length, content].concat()
}

#[test]
fn frames_may_follow_one_another_and_split_a_ledger() {
    let data = records(3);
    let (one, rest) = data.split_at(data.len() / 2);
    let sized = frame::compress(one, 1).unwrap();
    for zstd in [
        [streamed(one), streamed(rest)].concat(),
        [sized.clone(), streamed(rest)].concat(),
        [skippable(b"hello"), sized, skippable(b""), streamed(rest), skippable(&[9; 99])].concat(),
        streamed(&data),
    ] {
        assert_eq!(sequences(&zstd, None).unwrap(), [SEQUENCE; 3]);
    }
}

#[test]
fn a_wrong_checksum_a_cut_and_junk_behind_break_the_stream() {
    let sound = streamed(&records(3));
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let junk = [&sound[..], b"junk"].concat();
    let mut broken = vec![flipped, junk, skippable(b"cut")[..9].to_vec(), MAGIC.to_vec()];
    broken.extend((5..sound.len()).map(|end| sound[..end].to_vec()));
    for data in broken {
        let error = refused(&data, None);
        assert!(place(&error).3.starts_with("the zstd stream is broken"), "{error}");
        assert_eq!(place(&error).2, 0);
    }
}

#[test]
fn a_stream_of_nothing_holds_no_ledger() {
    for data in [streamed(b""), skippable(b"nothing")] {
        assert!(place(&refused(&data, None)).3.contains("is empty"));
    }
}

/// A frame without a size, of so many blocks that each stand for 128 KiB of zeros (RFC 8878).
fn zeros(blocks: usize) -> Vec<u8> {
    let window_of_128_kib = 7 << 3;
    let mut frame = [&MAGIC[..], &[0, window_of_128_kib]].concat();
    for block in 1..=blocks {
        let (last, run_length) = (u32::from(block == blocks), 1);
        let header = last | run_length << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Three zeros in a frame that claims so many bytes.
fn claims(size: u64) -> Vec<u8> {
    let single_segment_with_eight_bytes_of_size = 0xe0;
    let last_block_of_three = 1 | 3 << 3;
    let head = [&MAGIC[..], &[single_segment_with_eight_bytes_of_size]].concat();
    [&head[..], &size.to_le_bytes(), &[last_block_of_three, 0, 0, 0, 0, 0]].concat()
}

fn is_bomb(data: &[u8]) {
    let error = refused(data, None);
    assert!(place(&error).3.contains("expands to more than"), "{error}");
}

#[test]
fn bombs_are_refused_within_the_memory_their_size_allows() {
    let five_gb = zeros(40_000);
    assert_eq!(five_gb.len(), 160_006);
    is_bomb(&five_gb);
    is_bomb(&[zeros(20_000), zeros(20_000)].concat());
    for size in [1 << 31, 1 << 40, u64::MAX - 1] {
        let error = refused(&claims(size), None);
        assert!(place(&error).3.contains("zstd stream"), "{error}");
    }
    for framing in [None, Some(Framing::Single)] {
        let mut splitter = Splitter::new(framing, 1 << 20);
        assert!(five_gb.chunks(1_000).any(|chunk| splitter.feed(chunk).is_err()));
    }
    assert!(peak_memory_mib() < 700, "{} MiB", peak_memory_mib());
}

#[test]
fn a_window_of_two_gib_is_refused() {
    let mut data = zeros(1);
    data[5] = 21 << 3;
    refused(&data, None);
    assert!(peak_memory_mib() < 700, "{} MiB", peak_memory_mib());
}

#[test]
fn what_compresses_well_but_honestly_is_read() {
    let data = records(40_000);
    let zstd = frame::compress(&data, 19).unwrap();
    let (plain, packed) = (data.len(), zstd.len());
    assert!(plain > 11 * packed, "{plain} {packed}");
    assert!(decode(&zstd, &request().verify_chain(false)).is_ok(), "{plain} from {packed}");
}

#[test]
fn a_stream_that_ends_within_its_frame_is_cut_off() {
    let data = records(2);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&data[..data.len() / 2]).unwrap();
    encoder.flush().unwrap();
    let first_ledger = encoder.get_ref().len();
    encoder.write_all(&data[data.len() / 2..]).unwrap();
    let zstd = encoder.finish().unwrap();
    refused(&zstd[..first_ledger], None);
    let mut splitter = Splitter::new(None, 1 << 20);
    let fed = splitter.feed(&zstd[..first_ledger]);
    assert!(fed.is_err() || splitter.finish().is_err(), "half of the stream passes for all of it");
}
