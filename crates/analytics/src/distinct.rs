//! How many different accounts: exact up to ten thousand, an estimate beyond.

use crate::coding::{Reader, put};
use crate::hashing::HashSetted;

/// Most accounts that are counted exactly.
pub const EXACT_MOST: usize = 10_000;

/// Registers of the estimate: 2^12 give a standard error of 1.6 %.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;

type Registers = Box<[u8; REGISTERS]>;

/// A set of accounts that grows while rows come.
#[derive(Clone, Debug)]
pub enum Gathered {
    /// Every account's hash.
    Exact(HashSetted),
    /// A HyperLogLog sketch (Flajolet and others, 2007), with the 64-bit hash of Heule and others, 2013.
    Sketch(Registers),
}

impl Default for Gathered {
    fn default() -> Self {
        Self::Exact(HashSetted::default())
    }
}

impl Gathered {
    /// Adds an account by its hash.
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(hashes) => {
                if hashes.insert(hash) && hashes.len() > EXACT_MOST {
                    *self = Self::Sketch(sketched(hashes.iter()));
                }
            }
            Self::Sketch(registers) => note(registers, hash),
        }
    }

    /// Adds all of another set.
    pub fn absorb(&mut self, other: &Self) {
        match other {
            Self::Exact(hashes) => hashes.iter().for_each(|hash| self.add(hash)),
            Self::Sketch(theirs) => {
                if let Self::Exact(hashes) = self {
                    *self = Self::Sketch(sketched(hashes.iter()));
                }
                if let Self::Sketch(ours) = self {
                    join(ours, theirs);
                }
            }
        }
    }

    /// Bytes it takes beside its own size, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Exact(hashes) => hashes.bytes(),
            Self::Sketch(_) => REGISTERS,
        }
    }
}

/// A set of accounts that is merged with others, and of which only the size is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distinct {
    /// Every account's hash, in order.
    Exact(Vec<u64>),
    /// As in `Gathered`.
    Sketch(Registers),
    /// Nobody adds to it any more: the size, and whether it is exact.
    Sealed(u64, bool),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl From<&Gathered> for Distinct {
    fn from(gathered: &Gathered) -> Self {
        match gathered {
            Gathered::Exact(hashes) => Self::Exact(hashes.sorted()),
            Gathered::Sketch(registers) => Self::Sketch(registers.clone()),
        }
    }
}

impl From<Distinct> for Gathered {
    fn from(set: Distinct) -> Self {
        match set {
            Distinct::Exact(hashes) => {
                let mut set = HashSetted::default();
                hashes.into_iter().for_each(|hash| _ = set.insert(hash));
                Self::Exact(set)
            }
            Distinct::Sketch(registers) => Self::Sketch(registers),
            Distinct::Sealed(..) => Self::default(),
        }
    }
}

impl Distinct {
    /// Adds all of another set; of a sealed one nothing is known but its size, so it adds nothing.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Exact(ours), Self::Exact(theirs)) => {
                let both = merged(ours, theirs);
                *self = if both.len() > EXACT_MOST {
                    Self::Sketch(sketched(both.into_iter()))
                } else {
                    Self::Exact(both)
                };
            }
            (Self::Sketch(ours), Self::Exact(theirs)) => {
                theirs.iter().for_each(|&hash| note(ours, hash));
            }
            (Self::Sketch(ours), Self::Sketch(theirs)) => join(ours, theirs),
            (Self::Exact(ours), Self::Sketch(theirs)) => {
                let mut both = theirs.clone();
                ours.iter().for_each(|&hash| note(&mut both, hash));
                *self = Self::Sketch(both);
            }
            (_, Self::Sealed(..)) | (Self::Sealed(..), _) => {}
        }
    }

    /// Returns how many there are, and whether that is exact.
    #[must_use]
    pub fn count(&self) -> (u64, bool) {
        match self {
            Self::Exact(hashes) => (hashes.len() as u64, true),
            Self::Sketch(registers) => (estimate(registers), false),
            Self::Sealed(count, exact) => (*count, *exact),
        }
    }

    /// Keeps the size alone.
    pub fn seal(&mut self) {
        let (count, exact) = self.count();
        *self = Self::Sealed(count, exact);
    }

    /// Writes it as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Exact(hashes) => {
                to.push(0);
                put(to, hashes.len() as u64);
                to.extend(hashes.iter().flat_map(|hash| hash.to_le_bytes()));
            }
            Self::Sketch(registers) => {
                to.push(1);
                to.extend_from_slice(registers.as_slice());
            }
            Self::Sealed(count, exact) => {
                to.push(2 + u8::from(*exact));
                put(to, *count);
            }
        }
    }

    /// Reads what `write` wrote.
    #[must_use]
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => {
                let count = from.length()?;
                let (words, _) = from.bytes(count.checked_mul(8)?)?.as_chunks::<8>();
                Self::Exact(words.iter().map(|&word| u64::from_le_bytes(word)).collect())
            }
            1 => Self::Sketch(Box::new(from.bytes(REGISTERS)?.try_into().ok()?)),
            tag @ (2 | 3) => Self::Sealed(from.number()?, tag == 3),
            _ => return None,
        })
    }
}

fn merged(ours: &[u64], theirs: &[u64]) -> Vec<u64> {
    let mut both = Vec::with_capacity(ours.len() + theirs.len());
    let (mut left, mut right) = (ours.iter().peekable(), theirs.iter().peekable());
    while let (Some(&&one), Some(&&other)) = (left.peek(), right.peek()) {
        both.push(one.min(other));
        if one <= other {
            left.next();
        }
        if other <= one {
            right.next();
        }
    }
    both.extend(left.chain(right));
    both
}

fn sketched(hashes: impl Iterator<Item = u64>) -> Registers {
    let mut registers = Box::new([0; REGISTERS]);
    hashes.for_each(|hash| note(&mut registers, hash));
    registers
}

fn join(ours: &mut [u8; REGISTERS], theirs: &[u8; REGISTERS]) {
    for (one, other) in ours.iter_mut().zip(theirs) {
        *one = (*one).max(*other);
    }
}

fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let place = (hash >> (64 - PRECISION)) as usize;
    let rest = (hash << PRECISION) | (1 << (PRECISION - 1)); // so that there is a bit to be found
    let rank = u8::try_from(rest.leading_zeros() + 1).unwrap_or(u8::MAX);
    if let Some(register) = registers.get_mut(place) {
        *register = (*register).max(rank);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let size = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|&rank| f64::exp2(-f64::from(rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    let empty = registers.iter().filter(|&&rank| rank == 0).count();
    if raw <= 2.5 * size && empty > 0 {
        return (size * (size / empty as f64).ln()).round() as u64;
    }
    raw.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::hash_of;

    fn gathered(range: std::ops::Range<u32>) -> Gathered {
        let mut set = Gathered::default();
        range.for_each(|number| set.add(hash_of(&format!("G{number}"))));
        set
    }

    fn filled(range: std::ops::Range<u32>) -> Distinct {
        Distinct::from(&gathered(range))
    }

    #[test]
    fn small_sets_are_counted_exactly() {
        assert_eq!(filled(0..10_000).count(), (10_000, true));
        let mut both = filled(0..6_000);
        both.merge(&filled(3_000..9_000));
        assert_eq!(both.count(), (9_000, true));
    }

    #[test]
    fn large_sets_are_estimated_within_five_percent_and_say_so() {
        for size in [10_001, 30_000, 100_000, 1_000_000] {
            let (count, exact) = filled(0..size).count();
            assert!(!exact);
            assert!(count.abs_diff(u64::from(size)) * 20 < u64::from(size), "{count} of {size}");
        }
    }

    #[test]
    fn what_is_merged_in_any_way_equals_what_was_added() {
        for cut in [1_000, 9_000, 20_000, 50_000] {
            let whole = filled(0..60_000);
            let mut both = filled(0..cut);
            both.merge(&filled(cut / 2..60_000));
            let mut absorbed = gathered(cut / 2..60_000);
            absorbed.absorb(&gathered(0..cut));
            assert_eq!((&both, &Distinct::from(&absorbed)), (&whole, &whole));
        }
    }

    #[test]
    fn a_sealed_set_keeps_its_size() {
        let mut set = filled(0..77);
        set.seal();
        set.merge(&filled(0..100));
        assert_eq!(set.count(), (77, true));
    }

    #[test]
    fn each_kind_is_read_as_it_was_written() {
        for set in [filled(0..0), filled(0..300), filled(0..20_000), Distinct::Sealed(7, false)] {
            let mut bytes = Vec::new();
            set.write(&mut bytes);
            assert_eq!(Distinct::read(&mut Reader(&bytes)).as_ref(), Some(&set));
            bytes.pop();
            assert_eq!(Distinct::read(&mut Reader(&bytes)), None);
        }
        assert_eq!(Distinct::from(&Gathered::from(filled(0..300))), filled(0..300));
    }
}
