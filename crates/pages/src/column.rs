//! One column of a row group: its dictionary and its pages.

use crate::header::{Header, Kind};
use crate::inflate::{Body, Inflater};
use crate::page::{Page, Physical, Value, plain, walk};

const LARGEST: usize = 64 << 20; // bytes of a page
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;

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
        while !bytes.is_empty() {
            let (header, size) = Header::read(bytes)?;
            let (stored, rest) = bytes.get(size..)?.split_at_checked(header.stored)?;
            bytes = rest;
            if header.crc.is_some_and(|crc| crc != crc32fast::hash(stored)) || header.size > LARGEST
            {
                return None;
            }
            let body = inflater.body(stored, header.size, codec == Codec::Zstd);
            match (header.kind, header.encoding) {
                (Kind::Dictionary, PLAIN | PLAIN_DICTIONARY) if found.is_empty() => {
                    found.dictionary = Some((body, header.values));
                }
                (Kind::Data, encoding) => {
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
