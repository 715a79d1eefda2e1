//! One window: its length, when it begins, and the figures by key in it.

use crate::coding::{Reader, put};
use crate::keys::{Id, REST, WHOLE};
use crate::minute::{Figures, read};
use crate::packed::Packed;

/// The length of windows, and how many that have ended are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As people write it.
    pub name: &'static str,
    /// Its length; none for all of time.
    pub seconds: Option<i64>,
    /// Seconds from the epoch to where one of them begins.
    offset: i64,
    /// How many that have ended are kept.
    pub kept: usize,
}

/// Each lies in the next. Weeks begin on Mondays.
pub const KINDS: [Kind; 6] = [
    Kind { name: "1m", seconds: Some(60), offset: 0, kept: 120 },
    Kind { name: "5m", seconds: Some(300), offset: 0, kept: 72 },
    Kind { name: "1h", seconds: Some(3_600), offset: 0, kept: 48 },
    Kind { name: "24h", seconds: Some(86_400), offset: 0, kept: 30 },
    Kind { name: "7d", seconds: Some(604_800), offset: 345_600, kept: 12 },
    Kind { name: "total", seconds: None, offset: 0, kept: 0 },
];

impl Kind {
    /// Returns when the window begins that a time lies in, in seconds since the epoch.
    #[must_use]
    pub fn start(&self, time: i64) -> i64 {
        self.seconds
            .map_or(0, |length| (time - self.offset).div_euclid(length) * length + self.offset)
    }
}

/// One window, longer than the minute that is open, or ended.
#[derive(Clone, Debug)]
pub struct Window {
    /// Seconds since the epoch.
    pub start: i64,
    /// The first and the last ledger with rows in it; 0 and 0 where there is none.
    pub ledgers: (u32, u32),
    /// By key; all together are `WHOLE`.
    pub figures: Packed,
}

impl Window {
    /// An empty one.
    #[must_use]
    pub fn new(start: i64) -> Self {
        Self { start, ledgers: (0, 0), figures: Packed::default() }
    }

    /// Adds what another window has.
    pub fn merge<F: Figures>(&mut self, other: &Self) {
        self.ledgers = covered(self.ledgers, other.ledgers);
        self.figures = self.figures.merged(&other.figures, |ours, theirs, to| {
            let mut both: F = read(ours, true);
            both.merge(&read(theirs, true));
            both.write(to);
        });
    }

    /// Gives up what only more rows would need.
    pub fn seal<F: Figures>(&mut self) {
        let mut sealed = Packed::default();
        for (id, bytes) in self.figures.iter() {
            let mut figures: F = read(bytes, true);
            figures.seal();
            sealed.push(id, |to| figures.write(to));
        }
        self.figures = sealed.shrunk();
    }

    /// Writes it as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        put(to, self.start.cast_unsigned());
        put(to, self.ledgers.0.into());
        put(to, self.ledgers.1.into());
        self.figures.write(to);
    }

    /// Reads what `write` wrote.
    #[must_use]
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let start = from.number()?.cast_signed();
        let ledgers = (from.small()?, from.small()?);
        Some(Self { start, ledgers, figures: Packed::read(from)? })
    }
}

/// The ledgers of two windows together.
#[must_use]
pub fn covered(one: (u32, u32), other: (u32, u32)) -> (u32, u32) {
    match (one, other) {
        ((0, _), only) | (only, (0, _)) => only,
        _ => (one.0.min(other.0), one.1.max(other.1)),
    }
}

/// The figures without some keys, which become part of the rest.
#[must_use]
pub fn without<F: Figures>(figures: &Packed, is_gone: impl Fn(Id) -> bool) -> Packed {
    let mut rest: Option<F> = None;
    for (id, bytes) in figures.iter().filter(|(id, _)| *id == REST || is_gone(*id)) {
        debug_assert!(id != WHOLE, "all together are never forgotten");
        rest.get_or_insert_default().merge(&read(bytes, true));
    }
    let mut left = Packed::default();
    for (id, bytes) in figures.iter().filter(|(id, _)| *id == WHOLE) {
        left.push(id, |to| to.extend_from_slice(bytes));
    }
    if let Some(rest) = rest {
        left.push(REST, |to| rest.write(to));
    }
    for (id, bytes) in figures.iter().filter(|(id, _)| *id > REST && !is_gone(*id)) {
        left.push(id, |to| to.extend_from_slice(bytes));
    }
    left.shrunk()
}
