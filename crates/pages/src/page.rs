//! One data page: which of its rows have a value, and the values of some of them.

use crate::encodings::{PLAIN, is_by_dictionary};
use crate::hybrid::Hybrid;
use crate::inflate::{Body, Inflater};

const LENGTH: usize = 4; // bytes of a length within a page

/// How values are written where they are written plainly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    /// A bit each.
    Bit,
    /// So many bytes each.
    Fixed(usize),
    /// Bytes behind their length.
    Bytes,
}

/// A value: its bytes, or its place in the dictionary.
pub enum Value {
    Here(Vec<u8>),
    There(usize),
}

/// The rows of one page.
pub struct Page<'a> {
    pub rows: usize,
    encoding: i64,
    body: Body<'a>,
}

/// Which rows have a value, and where the values begin.
struct Levels {
    are_set: Option<Vec<bool>>, // none where all have one
    end: usize,
}

impl<'a> Page<'a> {
    /// A page whose header says so.
    pub const fn new(rows: usize, encoding: i64, body: Body<'a>) -> Self {
        Self { rows, encoding, body }
    }

    /// Gives back its memory.
    pub fn close(&mut self, inflater: &mut Inflater) {
        self.body.close(inflater);
    }

    /// The values of these rows, which are in order: none for those that have none.
    pub fn values(
        &mut self,
        inflater: &mut Inflater,
        of: Physical,
        is_nullable: bool,
        places: &[usize],
    ) -> Option<Vec<Option<Value>>> {
        let levels = self.levels(inflater, is_nullable)?;
        let (ranks, is_set) = levels.ranks(places)?;
        let mut values = self.at(inflater, of, levels.end, &ranks)?.into_iter();
        is_set
            .iter()
            .map(|is_set| if *is_set { values.next().map(Some) } else { Some(None) })
            .collect()
    }

    /// The rows that have a text, which may be at these places of the dictionary.
    pub fn places_of(
        &mut self,
        inflater: &mut Inflater,
        is_nullable: bool,
        text: &[u8],
        known: &[usize],
    ) -> Option<Vec<usize>> {
        if self.encoding != PLAIN && known.is_empty() {
            return Some(Vec::new());
        }
        let levels = self.levels(inflater, is_nullable)?;
        let count = levels.count(self.rows);
        let ranks = if self.encoding == PLAIN {
            let mut found = Vec::new();
            walk(&mut self.body, inflater, levels.end, count, |at, bytes| {
                if bytes == text {
                    found.push(at);
                }
            })?;
            found
        } else {
            let held = self.dictionary_places(inflater, levels.end, count)?;
            let mut found: Vec<usize> = known.iter().flat_map(|&at| held.places_of(at)).collect();
            found.sort_unstable();
            found
        };
        levels.rows_of(&ranks)
    }

    fn levels(&mut self, inflater: &mut Inflater, is_nullable: bool) -> Option<Levels> {
        if !is_nullable {
            return Some(Levels { are_set: None, end: 0 });
        }
        let head = self.body.upto(inflater, LENGTH)?.first_chunk::<LENGTH>()?;
        let end = LENGTH.checked_add(usize::try_from(u32::from_le_bytes(*head)).ok()?)?;
        let levels = self.body.upto(inflater, end)?.get(LENGTH..end)?;
        let levels = Hybrid::read(levels, 1, self.rows)?;
        let are_set = match levels.only() {
            Some(1) => None,
            Some(_) => Some(vec![false; self.rows]),
            None => Some(levels.are(1)),
        };
        Some(Levels { are_set, end })
    }

    fn dictionary_places(
        &mut self,
        inflater: &mut Inflater,
        from: usize,
        count: usize,
    ) -> Option<Hybrid<'_>> {
        if !is_by_dictionary(self.encoding) {
            return None;
        }
        let size = self.body.size();
        let bytes = self.body.upto(inflater, size)?.get(from..)?;
        match bytes.split_first() {
            Some((&width, runs)) => Hybrid::read(runs, usize::from(width), count),
            None => Hybrid::read(&[], 0, count),
        }
    }

    /// The values at these places among those that there are.
    fn at(
        &mut self,
        inflater: &mut Inflater,
        of: Physical,
        from: usize,
        ranks: &[usize],
    ) -> Option<Vec<Value>> {
        let Some(&last) = ranks.last() else { return Some(Vec::new()) };
        if self.encoding != PLAIN {
            let held = self.dictionary_places(inflater, from, last + 1)?;
            return Some(held.at(ranks)?.into_iter().map(Value::There).collect());
        }
        let found = plain(&mut self.body, inflater, of, from, ranks)?;
        Some(found.into_iter().map(Value::Here).collect())
    }
}

impl Levels {
    fn count(&self, rows: usize) -> usize {
        self.are_set.as_ref().map_or(rows, |set| set.iter().filter(|is_set| **is_set).count())
    }

    /// The places among the values of those rows that have one, and which have one.
    fn ranks(&self, places: &[usize]) -> Option<(Vec<usize>, Vec<bool>)> {
        let Some(set) = &self.are_set else {
            return Some((places.to_vec(), vec![true; places.len()]));
        };
        let (mut ranks, mut is_set, mut rank, mut passed) = (Vec::new(), Vec::new(), 0, 0);
        for &place in places {
            rank += set.get(passed..place)?.iter().filter(|is_set| **is_set).count();
            passed = place;
            let has_one = *set.get(place)?;
            if has_one {
                ranks.push(rank);
            }
            is_set.push(has_one);
        }
        Some((ranks, is_set))
    }

    fn rows_of(&self, ranks: &[usize]) -> Option<Vec<usize>> {
        let Some(set) = &self.are_set else { return Some(ranks.to_vec()) };
        let rows: Vec<usize> =
            set.iter().enumerate().filter(|(_, is_set)| **is_set).map(|(at, _)| at).collect();
        ranks.iter().map(|&rank| rows.get(rank).copied()).collect()
    }
}

/// The values at these places, which are in order, of values that are written plainly.
pub fn plain(
    body: &mut Body<'_>,
    inflater: &mut Inflater,
    of: Physical,
    from: usize,
    places: &[usize],
) -> Option<Vec<Vec<u8>>> {
    let Some(&last) = places.last() else { return Some(Vec::new()) };
    match of {
        Physical::Bit => {
            let bits = body.upto(inflater, from + last / 8 + 1)?;
            let bit = |at: &usize| Some(vec![(bits.get(from + at / 8)? >> (at % 8)) & 1]);
            places.iter().map(bit).collect()
        }
        Physical::Fixed(width) => {
            let end = last.checked_add(1)?.checked_mul(width)?.checked_add(from)?;
            let bytes = body.upto(inflater, end)?;
            let value = |at: &usize| {
                let start = from + at * width;
                bytes.get(start..start + width).map(<[u8]>::to_vec)
            };
            places.iter().map(value).collect()
        }
        Physical::Bytes => {
            let (mut found, mut due) = (Vec::with_capacity(places.len()), places.iter().peekable());
            walk(body, inflater, from, last + 1, |at, bytes| {
                while due.next_if(|place| **place == at).is_some() {
                    found.push(bytes.to_vec());
                }
            })?;
            Some(found)
        }
    }
}

/// Shows so many texts, each behind its length.
pub fn walk(
    body: &mut Body<'_>,
    inflater: &mut Inflater,
    from: usize,
    count: usize,
    mut show: impl FnMut(usize, &[u8]),
) -> Option<()> {
    let (mut at, mut next) = (from, 0);
    while next < count {
        let bytes = body.upto(inflater, at.checked_add(LENGTH)?)?;
        let (start, end) = bounds(bytes, at)?;
        if end > bytes.len() {
            body.upto(inflater, end)?;
            continue;
        }
        show(next, bytes.get(start..end)?);
        (at, next) = (end, next + 1);
        while next < count
            && let Some((start, end)) = bounds(bytes, at)
            && let Some(text) = bytes.get(start..end)
        {
            show(next, text);
            (at, next) = (end, next + 1);
        }
    }
    Some(())
}

/// Where the text begins and ends whose length lies here.
fn bounds(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let head = bytes.get(at..)?.first_chunk::<LENGTH>()?;
    let start = at + LENGTH;
    Some((start, start.checked_add(usize::try_from(u32::from_le_bytes(*head)).ok()?)?))
}
