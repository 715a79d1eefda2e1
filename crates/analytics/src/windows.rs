//! Tumbling windows that nest, each with figures by key.

use std::cmp::Reverse;
use std::collections::VecDeque;

use arrow_buffer::i256;

use crate::hashing::FastMap;
use crate::keys::{Id, REST, WHOLE};

/// What is kept of one key in one window.
pub trait Figures: Clone + Default {
    /// Adds what another window, or key, has.
    fn merge(&mut self, other: &Self);
    /// Gives up what only more rows would need.
    fn seal(&mut self);
    /// By what the least important key is found.
    fn weight(&self) -> u64;
    /// Bytes it takes, about.
    fn bytes(&self) -> usize;
}

/// The length of windows, and how many that have ended are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As people write it.
    pub name: &'static str,
    /// Its length; none for all of time.
    pub seconds: Option<i64>,
    /// Seconds from the epoch to where one of them begins.
    offset: i64,
    kept: usize,
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

/// One window.
#[derive(Clone, Debug)]
pub struct Window<F> {
    /// Seconds since the epoch.
    pub start: i64,
    /// The first and the last ledger counted in it; 0 and 0 where there is none.
    pub ledgers: (u32, u32),
    /// By key; all together are `WHOLE`.
    pub figures: FastMap<Id, F>,
}

impl<F: Figures> Window<F> {
    fn new(start: i64) -> Self {
        Self { start, ledgers: (0, 0), figures: FastMap::default() }
    }

    fn cover(&mut self, (first, last): (u32, u32)) {
        if first != 0 {
            self.ledgers.0 = if self.ledgers.0 == 0 { first } else { self.ledgers.0.min(first) };
            self.ledgers.1 = self.ledgers.1.max(last);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.cover(other.ledgers);
        for (&id, figures) in &other.figures {
            self.figures.entry(id).or_default().merge(figures);
        }
    }

    fn seal(&mut self) {
        self.figures.values_mut().for_each(F::seal);
        self.figures.shrink_to_fit();
    }
}

struct Level<F> {
    kind: Kind,
    open: Option<Window<F>>,
    ended: VecDeque<Window<F>>,
}

/// Windows of every kind, into which rows are counted as ledgers come.
pub struct Windows<F> {
    levels: Vec<Level<F>>,
}

impl<F: Figures> Default for Windows<F> {
    fn default() -> Self {
        let level = |kind| Level { kind, open: None, ended: VecDeque::new() };
        Self { levels: KINDS.into_iter().map(level).collect() }
    }
}

impl<F: Figures> Windows<F> {
    /// Ends the windows that a ledger's close time lies behind, and returns its minute. Times must not fall.
    pub fn minute(&mut self, ledger: u32, time: i64) -> Option<&mut Window<F>> {
        for at in 0..self.levels.len() {
            let Some(level) = self.levels.get_mut(at) else { break };
            let start = level.kind.start(time);
            if level.open.as_ref().is_none_or(|open| open.start < start) {
                let ended = level.open.replace(Window::new(start));
                if let Some(ended) = ended {
                    self.end(at, ended);
                }
            }
        }
        let minute = self.levels.first_mut()?.open.as_mut()?;
        minute.cover((ledger, ledger));
        Some(minute)
    }

    /// Returns the minute that is open.
    pub fn open_minute(&mut self) -> Option<&mut Window<F>> {
        self.levels.first_mut()?.open.as_mut()
    }

    /// Merges a window that has ended into the one around it, which is still the one it lies in: shorter
    /// windows are ended before longer ones.
    fn end(&mut self, at: usize, mut window: Window<F>) {
        if let Some(around) = self.levels.get_mut(at + 1) {
            around
                .open
                .get_or_insert_with(|| Window::new(around.kind.start(window.start)))
                .merge(&window);
        }
        let Some(level) = self.levels.get_mut(at) else { return };
        window.seal();
        level.ended.push_back(window);
        while level.ended.len() > level.kind.kept {
            level.ended.pop_front();
        }
    }

    /// Calls back with every window of a kind that is kept: start, ledgers and the key's figures in it.
    pub fn series(&self, kind: &str, id: Id, mut each: impl FnMut(i64, (u32, u32), &F)) {
        let Some(at) = self.levels.iter().position(|level| level.kind.name == kind) else { return };
        let Some(level) = self.levels.get(at) else { return };
        for window in &level.ended {
            if let Some(figures) = window.figures.get(&id) {
                each(window.start, window.ledgers, figures);
            }
        }
        let mut now = F::default();
        let mut ledgers = Window::<F>::new(0);
        let mut found = false;
        for inner in self.levels.iter().take(at + 1).filter_map(|level| level.open.as_ref()) {
            ledgers.cover(inner.ledgers);
            if let Some(figures) = inner.figures.get(&id) {
                now.merge(figures);
                found = true;
            }
        }
        if let Some(open) = level.open.as_ref().filter(|_| found) {
            each(open.start, ledgers.ledgers, &now);
        }
    }

    /// Calls back with the figures of the foremost keys in the window of a kind that is open.
    ///
    /// `order` is summed over the open windows within it; sets are merged of those alone that are given.
    pub fn foremost(
        &self,
        kind: &str,
        limit: usize,
        order: impl Fn(&F) -> i256,
        mut each: impl FnMut(Id, (u32, u32), &F),
    ) {
        let Some(at) = self.levels.iter().position(|level| level.kind.name == kind) else { return };
        let open: Vec<_> =
            self.levels.iter().take(at + 1).filter_map(|level| level.open.as_ref()).collect();
        let mut ledgers = Window::<F>::new(0);
        let mut sums: FastMap<Id, i256> = FastMap::default();
        for window in &open {
            ledgers.cover(window.ledgers);
            for (&id, figures) in window.figures.iter().filter(|(id, _)| **id != WHOLE) {
                let sum = sums.entry(id).or_insert(i256::ZERO);
                *sum = sum.wrapping_add(order(figures));
            }
        }
        let mut ids: Vec<_> = sums.into_iter().map(|(id, sum)| (Reverse(sum), id)).collect();
        ids.sort_unstable();
        for (_, id) in ids.into_iter().take(limit) {
            let mut sum = F::default();
            open.iter()
                .filter_map(|window| window.figures.get(&id))
                .for_each(|part| sum.merge(part));
            each(id, ledgers.ledgers, &sum);
        }
    }

    /// Bytes of all figures, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.all()
            .flat_map(|window| window.figures.values())
            .map(|figures| figures.bytes() + 16)
            .sum()
    }

    /// Forgets keys: what they have becomes part of the rest.
    pub fn forget(&mut self, gone: &[Id]) {
        let every = self
            .levels
            .iter_mut()
            .flat_map(|level| level.ended.iter_mut().chain(level.open.as_mut()));
        for window in every {
            let mut rest = window.figures.remove(&REST).unwrap_or_default();
            let mut any = false;
            for id in gone {
                if let Some(figures) = window.figures.remove(id) {
                    rest.merge(&figures);
                    any = true;
                }
            }
            if any || rest.weight() > 0 {
                window.figures.insert(REST, rest);
            }
            window.figures.shrink_to_fit();
        }
    }

    /// Returns keys by weight in all of time, the lightest first.
    #[must_use]
    pub fn lightest(&self) -> Vec<Id> {
        let mut weights: FastMap<Id, u64> = FastMap::default();
        for window in self.levels.iter().filter_map(|level| level.open.as_ref()) {
            for (&id, figures) in
                window.figures.iter().filter(|(id, _)| **id != WHOLE && **id != REST)
            {
                *weights.entry(id).or_default() += figures.weight();
            }
        }
        let mut ids: Vec<_> = weights.into_iter().map(|(id, weight)| (weight, id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Window<F>> {
        self.levels.iter().flat_map(|level| level.ended.iter().chain(level.open.as_ref()))
    }
}
