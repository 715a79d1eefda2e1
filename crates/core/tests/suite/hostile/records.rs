//! Record marks, base64 lines, and framings that are not the data's.

use stellarrow_core::decode::{Decoder, decode};
use stellarrow_core::frame::{self, Framing};

use super::sample::{SEQUENCE, bytes, put};
use super::{place, refused};
use crate::dice::Dice;
use crate::framed::framed;
use crate::rows::{TABLES, held, request};

const FRAMINGS: [Framing; 4] =
    [Framing::Batch, Framing::Single, Framing::RecordMarked, Framing::Base64Lines];

fn sample_in(framing: Framing) -> Vec<u8> {
    framed(&[&bytes()], framing, SEQUENCE)
}

#[test]
fn every_framing_is_found_and_no_other_fits() {
    for framing in FRAMINGS {
        for data in [sample_in(framing), frame::compress(&sample_in(framing), 1).unwrap()] {
            assert_eq!(frame::open(&data, None).unwrap().framing(), framing);
            for other in FRAMINGS {
                let decoded = decode(&data, &request().framing(Some(other)));
                assert_eq!(
                    decoded.is_ok(),
                    other == framing,
                    "{} as {}",
                    framing.name(),
                    other.name()
                );
            }
        }
    }
}

#[test]
fn what_is_no_ledger_fits_no_framing() {
    let mut dice = Dice::new(1);
    let texts: [&[u8]; 4] = [b"hello, world", b"{\"ledger\": 1}", b"PAR1", b"\x1f\x8b\x08\0"];
    for text in texts {
        assert!(place(&refused(text, None)).3.contains("none of batch, single"));
    }
    for length in 1..2_000 {
        refused(&dice.bytes(length), None);
    }
}

/// The bytes as a record of fragments of these lengths, and the rest as its last one.
fn fragmented(bytes: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut data, mut rest) = (Vec::new(), bytes);
    for length in lengths {
        let (part, after) = rest.split_at(*length);
        data.extend((*length as u32).to_be_bytes());
        data.extend(part);
        rest = after;
    }
    data.extend((0x8000_0000 | rest.len() as u32).to_be_bytes());
    data.extend(rest);
    data
}

#[test]
fn a_record_in_fragments_is_the_same_record() {
    let (bytes, request) = (bytes(), request());
    let rows = |data: &[u8]| {
        let mut decoder = Decoder::new(&request).unwrap();
        decoder.push(data).unwrap();
        held(&mut decoder, &TABLES)
    };
    let whole = rows(&bytes);
    for lengths in [&[400][..], &[0], &[370, 1, 0, 3], &[bytes.len()]] {
        assert_eq!(rows(&fragmented(&bytes, lengths)), whole, "{lengths:?}");
    }
}

#[test]
fn a_record_cut_off_is_told_at_its_mark() {
    let (bytes, marked) = (bytes(), sample_in(Framing::RecordMarked));
    let data = [&marked[..], &marked[..]].concat();
    for end in [1, 3, 4, 5, 100, marked.len() - 1] {
        let error = refused(&data[..marked.len() + end], None);
        assert_eq!(place(&error).2, marked.len(), "{error}");
    }
    let unfinished = fragmented(&bytes, &[400]);
    let error = refused(&unfinished[..404], Some(Framing::RecordMarked));
    assert_eq!(place(&error).2, 0, "{error}");
    assert!(place(&error).3.contains("last fragment is missing"), "{error}");
}

#[test]
fn a_record_must_be_as_long_as_its_ledger() {
    let sound = sample_in(Framing::RecordMarked);
    let length = (sound.len() - 4) as u32;
    let mut longer = [&sound[..], b"\0\0\0\0"].concat();
    put(&mut longer, 0, 0x8000_0000 | (length + 4));
    let error = refused(&longer, None);
    let (ledger, _, offset, _) = place(&error);
    assert_eq!((ledger, offset), (Some(SEQUENCE), sound.len()), "{error}");

    let mut shorter = sound[..sound.len() - 4].to_vec();
    put(&mut shorter, 0, 0x8000_0000 | (length - 4));
    let error = refused(&shorter, Some(Framing::RecordMarked));
    assert_eq!(place(&error).0, Some(SEQUENCE), "{error}");

    let empty = 0x8000_0000u32.to_be_bytes();
    let error = refused(&[&sound[..], &empty].concat(), None);
    assert_eq!(place(&error).2, sound.len() + 4, "{error}");
}

#[test]
fn junk_among_base64_lines_is_told_by_its_line() {
    let line = sample_in(Framing::Base64Lines);
    for junk in ["not base64!", "AAA", "AAAA=AAA", "AAAB ====", "ÄÖÜ", "AAAA\0AAA", "=", "AB=="]
    {
        let data = [&line[..], junk.as_bytes(), b"\n", &line].concat();
        let error = refused(&data, None);
        assert_eq!(place(&error).2, line.len(), "{junk}: {error}");
    }
    let error = refused(&[&line[..], b"AAAAAAAA\n"].concat(), None);
    // What is base64 but no ledger is told by the place in its XDR.
    assert_eq!(place(&error), (None, "v0.ledger_header.hash", 4, place(&error).3), "{error}");
    let windows = line.strip_suffix(b"\n").unwrap();
    let data = [b"\n\r\n  ", windows, b"\r\n\n"].concat();
    assert!(decode(&data, &request()).is_ok());
}
