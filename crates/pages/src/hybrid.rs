//! Parquet's hybrid of runs and packed bits, which levels and places in dictionaries are written in.

use crate::header::varint;

/// Values that follow each other.
enum Run<'a> {
    Same { value: u64, count: usize },
    Packed { bytes: &'a [u8], count: usize },
}

impl Run<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Same { count, .. } | Self::Packed { count, .. } => *count,
        }
    }
}

/// So many values of so many bits.
pub struct Hybrid<'a> {
    runs: Vec<Run<'a>>,
    width: usize,
}

impl<'a> Hybrid<'a> {
    /// Takes the runs apart; none where these are not so many values.
    pub fn read(mut data: &'a [u8], width: usize, count: usize) -> Option<Self> {
        let (mut runs, mut left) = (Vec::new(), count);
        if width > 32 {
            return None;
        }
        while left > 0 {
            let (header, size) = varint(data)?;
            data = data.get(size..)?;
            let length = usize::try_from(header >> 1).ok()?;
            if length == 0 {
                return None;
            }
            if header & 1 == 0 {
                let (value, rest) = data.split_at_checked(width.div_ceil(8))?;
                let (value, count) = (number(value), length.min(left));
                if value >> width > 0 {
                    return None; // it has more bits than it may
                }
                runs.push(Run::Same { value, count });
                (data, left) = (rest, left - count);
            } else {
                let (bytes, rest) = data.split_at_checked(length.checked_mul(width)?)?;
                let count = length.saturating_mul(8).min(left);
                runs.push(Run::Packed { bytes, count });
                (data, left) = (rest, left - count);
            }
        }
        Some(Self { runs, width })
    }

    /// The values at these places, which are in order.
    pub fn at(&self, places: &[usize]) -> Option<Vec<usize>> {
        let (mut found, mut before) = (Vec::with_capacity(places.len()), 0);
        let mut runs = self.runs.iter();
        let mut run = runs.next();
        for &place in places {
            while let Some(passed) = run.filter(|run| place >= before + run.count()) {
                before += passed.count();
                run = runs.next();
            }
            let value = match run? {
                Run::Same { value, .. } => *value,
                Run::Packed { bytes, .. } => self.packed(bytes, place.checked_sub(before)?),
            };
            found.push(usize::try_from(value).ok()?);
        }
        Some(found)
    }

    /// The places of a value.
    pub fn places_of(&self, value: usize) -> Vec<usize> {
        let (mut found, mut before) = (Vec::new(), 0);
        let wanted = value as u64;
        for run in &self.runs {
            let count = run.count();
            match run {
                Run::Same { value, .. } if *value == wanted => found.extend(before..before + count),
                Run::Same { .. } => {}
                Run::Packed { bytes, .. } => {
                    let all = (0..count).filter(|&at| self.packed(bytes, at) == wanted);
                    found.extend(all.map(|at| before + at));
                }
            }
            before += count;
        }
        found
    }

    /// The value that all of them are, where runs say so.
    pub fn only(&self) -> Option<u64> {
        let value = |run: &Run<'_>| match run {
            Run::Same { value, .. } => Some(*value),
            Run::Packed { .. } => None,
        };
        let first = value(self.runs.first()?)?;
        self.runs.iter().all(|run| value(run) == Some(first)).then_some(first)
    }

    /// Of each value whether it is this one.
    pub fn are(&self, value: usize) -> Vec<bool> {
        let mut found = vec![false; self.runs.iter().map(Run::count).sum()];
        for at in self.places_of(value) {
            if let Some(is_one) = found.get_mut(at) {
                *is_one = true;
            }
        }
        found
    }

    fn packed(&self, bytes: &[u8], at: usize) -> u64 {
        let bit = at * self.width;
        let rest = bytes.get(bit / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => number(rest),
        };
        (word >> (bit % 8)) & ((1 << self.width) - 1)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Three times 5, and eight values of three bits: 0 to 7 (the example of Parquet's own documentation).
    const DATA: [u8; 6] = [0x06, 5, 0x03, 0b1000_1000, 0b1100_0110, 0b1111_1010];

    #[test]
    fn values_are_found_by_place_and_places_by_value() {
        let all = [5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7];
        let Some(hybrid) = Hybrid::read(&DATA, 3, all.len()) else { panic!("it is one") };
        let places: Vec<usize> = (0..all.len()).collect();
        assert_eq!(hybrid.at(&places).as_deref(), Some(all.as_slice()));
        assert_eq!(hybrid.at(&[1, 4, 10]), Some(vec![5, 1, 7]));
        assert_eq!(hybrid.at(&[11]), None);
        assert_eq!(hybrid.places_of(5), [0, 1, 2, 8]);
        assert!(hybrid.places_of(9).is_empty());
        assert_eq!(hybrid.are(5), all.map(|value| value == 5));
        assert_eq!(hybrid.only(), None);
        assert_eq!(Hybrid::read(&DATA, 3, 3).and_then(|one| one.only()), Some(5));
    }

    #[test]
    fn a_run_of_a_value_that_is_too_wide_is_none() {
        assert!(Hybrid::read(&[0x06, 2], 1, 3).is_none());
        assert!(Hybrid::read(&[0x06, 2], 2, 3).is_some());
    }

    #[test]
    fn what_ends_early_or_never_is_none() {
        for end in 0..DATA.len() {
            assert!(Hybrid::read(DATA.get(..end).unwrap_or_default(), 3, 11).is_none(), "{end}");
        }
        assert!(Hybrid::read(&DATA, 3, 12).is_none());
        assert!(Hybrid::read(&[0; 100], 3, 1).is_none());
        assert!(Hybrid::read(&[0xff; 100], 32, 1_000_000).is_none());
        assert!(Hybrid::read(&DATA, 33, 1).is_none());
    }
}
