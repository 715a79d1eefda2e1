//! The minute that is open: figures by key, in which each row that comes is counted once.

use crate::coding::Reader;
use crate::keys::{Id, WHOLE};
use crate::packed::Packed;

/// What is kept of one key in one window.
pub trait Figures: Clone + Default {
    /// The same while rows are counted.
    type Open: Default;

    /// What was counted.
    fn counted(open: &Self::Open) -> Self;
    /// What more rows are counted into.
    fn opened(self) -> Self::Open;
    /// Adds a key's figures to those of all together: all but transactions, which keys share.
    fn absorb(whole: &mut Self::Open, key: &Self::Open);
    /// Bytes of what is open, about.
    fn open_bytes(open: &Self::Open) -> usize;

    /// Adds what another window, or key, has.
    fn merge(&mut self, other: &Self);
    /// Gives up what only more rows would need.
    fn seal(&mut self);
    /// By what the least important key is found.
    fn weight(&self) -> u64;

    /// Writes it as bytes.
    fn write(&self, to: &mut Vec<u8>);
    /// Reads what `write` wrote; without sets of accounts, what keys are ordered by is enough.
    fn read(from: &mut Reader<'_>, with_sets: bool) -> Option<Self>;
}

/// Figures out of bytes that are ours, and sound.
#[must_use]
pub fn read<F: Figures>(bytes: &[u8], with_sets: bool) -> F {
    F::read(&mut Reader(bytes), with_sets).unwrap_or_default()
}

/// The minute, empty before the first ledger.
pub struct Minute<F: Figures> {
    /// Seconds since the epoch.
    pub start: i64,
    /// The first and the last ledger with rows in it; 0 and 0 where there is none.
    pub ledgers: (u32, u32),
    /// By key: where its figures lie, from 1; 0 where there are none.
    places: Vec<u32>,
    rows: Vec<(Id, F::Open)>,
}

impl<F: Figures> Default for Minute<F> {
    fn default() -> Self {
        Self { start: i64::MIN, ledgers: (0, 0), places: Vec::new(), rows: Vec::new() }
    }
}

impl<F: Figures> Minute<F> {
    /// The figures of a key, to count into; of all together, only transactions are.
    #[inline]
    pub fn row(&mut self, id: Id) -> Option<&mut F::Open> {
        let at = id as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, 0);
        }
        let place = self.places.get_mut(at)?;
        if *place == 0 {
            self.rows.push((id, F::Open::default()));
            *place = u32::try_from(self.rows.len()).ok()?;
        }
        self.rows.get_mut(*place as usize - 1).map(|(_, open)| open)
    }

    fn open(&self, id: Id) -> Option<&F::Open> {
        let place = (*self.places.get(id as usize)? as usize).checked_sub(1)?;
        self.rows.get(place).map(|(_, open)| open)
    }

    /// What was counted of a key.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<F> {
        if id == WHOLE { self.whole() } else { self.open(id).map(F::counted) }
    }

    fn whole(&self) -> Option<F> {
        let mut whole = F::counted(self.open(WHOLE)?).opened();
        for (id, open) in &self.rows {
            if *id != WHOLE {
                F::absorb(&mut whole, open);
            }
        }
        Some(F::counted(&whole))
    }

    /// Every key but all together, as it is counted into.
    pub fn keys(&self) -> impl Iterator<Item = (Id, &F::Open)> {
        self.rows.iter().map(|(id, open)| (*id, open)).filter(|(id, _)| *id != WHOLE)
    }

    /// What was counted of every key.
    #[must_use]
    pub fn packed(&self) -> Packed {
        let mut ids: Vec<Id> = self.rows.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let mut packed = Packed::default();
        for id in ids {
            if let Some(figures) = self.get(id) {
                packed.push(id, |to| figures.write(to));
            }
        }
        packed
    }

    /// Takes in what was counted before; what all together had is a sum, and its transactions are kept.
    pub fn restore(&mut self, packed: &Packed, transactions: impl Fn(F) -> F) {
        self.rows.clear();
        self.places.clear();
        for (id, bytes) in packed.iter() {
            let figures: F = read(bytes, true);
            let figures = if id == WHOLE { transactions(figures) } else { figures };
            if let Some(row) = self.row(id) {
                *row = figures.opened();
            }
        }
    }

    /// Begins another one.
    pub fn begin(&mut self, start: i64) {
        for (id, _) in self.rows.drain(..) {
            if let Some(place) = self.places.get_mut(id as usize) {
                *place = 0;
            }
        }
        self.start = start;
        self.ledgers = (0, 0);
    }

    /// Bytes it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(_, open)| F::open_bytes(open)).sum();
        rows + self.rows.capacity() * size_of::<(Id, F::Open)>() + self.places.capacity() * 4
    }
}
