//! One column of a row group: its dictionary and its pages.

use crate::encodings::{PLAIN, PLAIN_DICTIONARY, RLE, is_by_dictionary};
use crate::header::{Header, Kind};
use crate::inflate::{Body, Inflater};
use crate::page::{Page, Physical, Value, plain, walk};

const LARGEST: usize = 64 << 20; // bytes of a page
const LARGEST_IN_ALL: usize = 256 << 20; // of a column's pages: those that were looked at are held

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// By zstd.
    Zstd,
}

/// The bytes of a column, and what the file says of them.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// All of its pages, each behind its header.
    pub bytes: &'a [u8],
    /// How values are written.
    pub physical: Physical,
    /// Whether rows may have none.
    pub is_nullable: bool,
    /// How pages are compressed.
    pub codec: Codec,
}

/// A column taken apart into pages whose checksums are right.
pub struct Column<'a> {
    physical: Physical,
    is_nullable: bool,
    dictionary: Option<(Body<'a>, usize)>,
    pages: Vec<Page<'a>>,
}

impl<'a> Column<'a> {
    /// Takes apart what has so many rows.
    pub fn read(chunk: &Chunk<'a>, inflater: &mut Inflater, rows: usize) -> Option<Self> {
        let Chunk { mut bytes, physical, is_nullable, codec } = *chunk;
        let mut found = Self { physical, is_nullable, dictionary: None, pages: Vec::new() };
        let mut in_all = 0_usize;
        while !bytes.is_empty() {
            let (header, size) = Header::read(bytes)?;
            let (stored, rest) = bytes.get(size..)?.split_at_checked(header.stored)?;
            bytes = rest;
            in_all = in_all.checked_add(header.size)?;
            let is_too_large = header.size > LARGEST || in_all > LARGEST_IN_ALL;
            if is_too_large || header.crc.is_some_and(|crc| crc != crc32fast::hash(stored)) {
                return None;
            }
            let body = inflater.body(stored, header.size, codec == Codec::Zstd);
            match (header.kind, header.encoding) {
                (Kind::Dictionary, PLAIN | PLAIN_DICTIONARY) if found.is_empty() => {
                    found.dictionary = Some((body, header.values));
                }
                (Kind::Data, encoding) if found.knows(encoding, header.levels) => {
                    found.pages.push(Page::new(header.values, encoding, body))
                }
                _ => return None,
            }
        }
        let count = found.pages.iter().try_fold(0_usize, |sum, page| sum.checked_add(page.rows));
        (count == Some(rows)).then_some(found)
    }

    /// Gives back its memory.
    pub fn close(&mut self, inflater: &mut Inflater) {
        if let Some((body, _)) = &mut self.dictionary {
            body.close(inflater);
        }
        for page in &mut self.pages {
            page.close(inflater);
        }
    }

    fn is_empty(&self) -> bool {
        self.dictionary.is_none() && self.pages.is_empty()
    }

    /// Whether pages are known whose values, and levels if rows may have none, are written so.
    fn knows(&self, encoding: i64, levels: Option<i64>) -> bool {
        let are_known =
            encoding == PLAIN || is_by_dictionary(encoding) && self.dictionary.is_some();
        are_known && (!self.is_nullable || levels == Some(RLE))
    }

    /// The rows that have a text, in order.
    pub fn places_of(&mut self, inflater: &mut Inflater, text: &str) -> Option<Vec<usize>> {
        if self.physical != Physical::Bytes {
            return None;
        }
        let mut known = Vec::new();
        if let Some((body, count)) = &mut self.dictionary {
            let size = body.size();
            body.upto(inflater, size)?; // at once, which is faster
            walk(body, inflater, 0, *count, |at, bytes| {
                if bytes == text.as_bytes() {
                    known.push(at);
                }
            })?;
        }
        if known.len() > 1 {
            return None; // no writer repeats a text, and each would be looked for
        }
        let (mut found, mut before) = (Vec::new(), 0);
        for page in &mut self.pages {
            let places = page.places_of(inflater, self.is_nullable, text.as_bytes(), &known)?;
            found.extend(places.into_iter().map(|at| before + at));
            before += page.rows;
        }
        Some(found)
    }

    /// The values of these rows, which are in order: none for those that have none.
    pub fn values(
        &mut self,
        inflater: &mut Inflater,
        mut places: &[usize],
    ) -> Option<Vec<Option<Vec<u8>>>> {
        let (mut found, mut before) = (Vec::with_capacity(places.len()), 0);
        for page in &mut self.pages {
            let end = before + page.rows;
            let (here, rest) = places.split_at(places.partition_point(|&at| at < end));
            places = rest;
            if !here.is_empty() {
                let here: Vec<usize> = here.iter().map(|at| at - before).collect();
                found.extend(page.values(inflater, self.physical, self.is_nullable, &here)?);
            }
            before = end;
        }
        if places.is_empty() { self.resolved(inflater, found) } else { None }
    }

    /// Values for their places in the dictionary.
    fn resolved(
        &mut self,
        inflater: &mut Inflater,
        values: Vec<Option<Value>>,
    ) -> Option<Vec<Option<Vec<u8>>>> {
        let there = |value: &Option<Value>| match value {
            Some(Value::There(at)) => Some(*at),
            _ => None,
        };
        let mut wanted: Vec<usize> = values.iter().filter_map(there).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let texts = match &mut self.dictionary {
            Some((body, count)) if wanted.last().is_none_or(|last| last < count) => {
                plain(body, inflater, self.physical, 0, &wanted)?
            }
            None if wanted.is_empty() => Vec::new(),
            _ => return None,
        };
        let text = |value| match value {
            Some(Value::Here(bytes)) => Some(Some(bytes)),
            Some(Value::There(at)) => texts.get(wanted.binary_search(&at).ok()?).cloned().map(Some),
            None => Some(None),
        };
        values.into_iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA_BYTE_ARRAY: i64 = 7;
    const RLE_DICTIONARY: i64 = 8;
    const BIT_PACKED: i64 = 4;
    const DICTIONARY: [u8; 10] = [1, 0, 0, 0, b'a', 1, 0, 0, 0, b'b'];

    fn number(value: i64) -> Vec<u8> {
        let mut rest = (value << 1).cast_unsigned();
        let mut bytes = Vec::new();
        while rest > 0x7f {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    fn page(kind: i64, size: i64, own: &[i64], stored: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in [kind, size, stored.len() as i64] {
            bytes.push(0x15);
            bytes.extend(number(value));
        }
        bytes.push(if kind == 0 { 0x2c } else { 0x4c });
        for &value in own {
            bytes.push(0x15);
            bytes.extend(number(value));
        }
        bytes.extend([0, 0]);
        bytes.extend(stored);
        bytes
    }

    fn dictionary(texts: &[u8]) -> Vec<u8> {
        page(2, texts.len() as i64, &[2, PLAIN], texts)
    }

    /// Three rows that are the second text of a dictionary.
    fn data(encoding: i64, levels: i64) -> Vec<u8> {
        page(0, 11, &[3, encoding, levels], &[2, 0, 0, 0, 0x06, 1, 1, 0x06, 1, 0, 0])
    }

    fn places_of_b(pages: &[Vec<u8>], rows: usize) -> Option<Vec<usize>> {
        let bytes = pages.concat();
        let (physical, codec) = (Physical::Bytes, Codec::Plain);
        let chunk = Chunk { bytes: &bytes, physical, is_nullable: true, codec };
        let mut inflater = Inflater::new()?;
        Column::read(&chunk, &mut inflater, rows)?.places_of(&mut inflater, "b")
    }

    #[test]
    fn pages_of_an_encoding_that_is_not_known_are_none_even_where_no_dictionary_has_the_text() {
        let known = data(RLE_DICTIONARY, RLE);
        assert_eq!(places_of_b(&[dictionary(&DICTIONARY), known.clone()], 3), Some(vec![0, 1, 2]));
        for other in [data(DELTA_BYTE_ARRAY, RLE), data(RLE_DICTIONARY, BIT_PACKED), known] {
            assert_eq!(places_of_b(&[other], 3), None);
        }
        let packed = data(RLE_DICTIONARY, BIT_PACKED);
        assert_eq!(places_of_b(&[dictionary(&DICTIONARY), packed], 3), None);
    }

    #[test]
    fn a_dictionary_that_has_the_text_twice_is_none() {
        let [_, b] = [0, 5].map(|at| DICTIONARY.get(at..at + 5).unwrap_or_default());
        let pages = [dictionary(&[b, b].concat()), data(RLE_DICTIONARY, RLE)];
        assert_eq!(places_of_b(&pages, 3), None);
    }

    #[test]
    fn pages_that_claim_more_in_all_than_is_held_are_none() {
        let claims =
            |count| vec![page(0, 60 << 20, &[0, PLAIN, RLE], &[2, 0, 0, 0, 0x06, 1]); count];
        assert!(places_of_b(&claims(4), 0).is_some());
        assert_eq!(places_of_b(&claims(5), 0), None);
    }
}
