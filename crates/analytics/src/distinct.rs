//! How many different accounts: exact up to ten thousand, an estimate beyond.

use crate::hashing::FastSet;

/// Most accounts that are counted exactly.
pub const EXACT_MOST: usize = 10_000;

/// Registers of the estimate: 2^12 give a standard error of 1.6 %.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;

/// A set of accounts of which only the size is asked.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// Every account's hash.
    Exact(FastSet<u64>),
    /// A HyperLogLog sketch (Flajolet and others, 2007), with the 64-bit hash of Heule and others, 2013.
    Sketch(Box<[u8; REGISTERS]>),
    /// Nobody adds to it any more: the size, and whether it is exact.
    Sealed(u64, bool),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(FastSet::default())
    }
}

impl Distinct {
    /// Adds an account by its hash.
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_MOST {
                    self.sketch();
                }
            }
            Self::Sketch(registers) => note(registers, hash),
            Self::Sealed(..) => {}
        }
    }

    /// Adds all of another set; of a sealed one nothing is known but its size, so it adds nothing.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(hashes) => hashes.iter().for_each(|&hash| self.add(hash)),
            Self::Sketch(theirs) => {
                self.sketch();
                if let Self::Sketch(ours) = self {
                    for (one, other) in ours.iter_mut().zip(theirs.iter()) {
                        *one = (*one).max(*other);
                    }
                }
            }
            Self::Sealed(..) => {}
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

    /// Bytes it takes beside its own size, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Exact(hashes) => hashes.capacity() * 9,
            Self::Sketch(_) => REGISTERS,
            Self::Sealed(..) => 0,
        }
    }

    fn sketch(&mut self) {
        if let Self::Exact(hashes) = self {
            let mut registers = Box::new([0; REGISTERS]);
            hashes.iter().for_each(|&hash| note(&mut registers, hash));
            *self = Self::Sketch(registers);
        }
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

    fn filled(range: std::ops::Range<u32>) -> Distinct {
        let mut set = Distinct::default();
        range.for_each(|number| set.add(hash_of(&format!("G{number}"))));
        set
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
    fn what_is_merged_equals_what_was_added() {
        let mut both = filled(0..50_000);
        both.merge(&filled(40_000..90_000));
        assert_eq!(both.count(), filled(0..90_000).count());
    }

    #[test]
    fn a_sealed_set_keeps_its_size() {
        let mut set = filled(0..77);
        set.seal();
        set.add(1);
        assert_eq!((set.count(), set.bytes()), ((77, true), 0));
    }
}
