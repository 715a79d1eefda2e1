//! Tumbling windows that nest, each with figures by key.

use std::collections::VecDeque;

use arrow_buffer::i256;

use crate::coding::{Reader, put};
use crate::keys::{Id, REST, WHOLE};
use crate::minute::{Figures, Minute, read};
use crate::window::{KINDS, Kind, Window, covered, without};

struct Level {
    kind: Kind,
    /// What ended within it. Of the minutes it is `Windows::minute` that is open.
    open: Option<Window>,
    ended: VecDeque<Window>,
}

/// Windows of every kind, into which rows are counted as ledgers come.
pub struct Windows<F: Figures> {
    minute: Minute<F>,
    levels: Vec<Level>,
    keeps_all: bool,
}

impl<F: Figures> Windows<F> {
    /// Keeps the latest windows of each kind, or all of them.
    #[must_use]
    pub fn new(keeps_all: bool) -> Self {
        let level = |kind| Level { kind, open: None, ended: VecDeque::new() };
        let levels = KINDS.into_iter().map(level).collect();
        Self { minute: Minute::default(), levels, keeps_all }
    }

    /// The minute that is open.
    pub fn minute(&mut self) -> &mut Minute<F> {
        &mut self.minute
    }

    /// Ends the windows that a ledger's close time lies behind. Times must not fall.
    pub fn begin(&mut self, time: i64) {
        for at in 0..self.levels.len() {
            let Some(level) = self.levels.get_mut(at) else { break };
            let start = level.kind.start(time);
            let ended = if at == 0 {
                self.minute_before(start)
            } else if level.open.as_ref().is_none_or(|open| open.start < start) {
                level.open.replace(Window::new(start))
            } else {
                None
            };
            if let Some(ended) = ended {
                self.end(at, ended);
            }
        }
    }

    /// Notes that a ledger has rows in the minute.
    pub fn cover(&mut self, ledger: u32) {
        self.minute.ledgers = covered(self.minute.ledgers, (ledger, ledger));
    }

    /// Begins a minute, and returns the one that it ends.
    fn minute_before(&mut self, start: i64) -> Option<Window> {
        if self.minute.start >= start {
            return None;
        }
        let ended = self.open_minute();
        self.minute.begin(start);
        ended
    }

    fn open_minute(&self) -> Option<Window> {
        let Minute { start, ledgers, .. } = self.minute;
        (ledgers.0 != 0).then(|| Window { start, ledgers, figures: self.minute.packed() })
    }

    /// Merges a window that has ended into the one around it, which is still the one it lies in: shorter
    /// windows are ended before longer ones.
    fn end(&mut self, at: usize, mut window: Window) {
        if window.ledgers.0 == 0 {
            return;
        }
        if let Some(around) = self.levels.get_mut(at + 1) {
            around
                .open
                .get_or_insert_with(|| Window::new(around.kind.start(window.start)))
                .merge::<F>(&window);
        }
        let Some(level) = self.levels.get_mut(at) else { return };
        window.seal::<F>();
        level.ended.push_back(window);
        while !self.keeps_all && level.ended.len() > level.kind.kept {
            level.ended.pop_front();
        }
    }

    /// The level of a kind, and the open windows that the one of this kind is the sum of.
    fn level(&self, kind: &str) -> Option<(&Level, impl Iterator<Item = &Window>)> {
        let at = self.levels.iter().position(|level| level.kind.name == kind)?;
        let open = self.levels.iter().take(at + 1).filter_map(|level| level.open.as_ref());
        Some((self.levels.get(at)?, open))
    }

    /// Calls back with every window of a kind that is kept: start, ledgers and the key's figures in it.
    pub fn series(&self, kind: &str, id: Id, mut each: impl FnMut(i64, (u32, u32), &F)) {
        let Some((level, open)) = self.level(kind) else { return };
        for window in &level.ended {
            if let Some(bytes) = window.figures.get(id) {
                each(window.start, window.ledgers, &read(bytes, true));
            }
        }
        let mut ledgers = self.minute.ledgers;
        let mut sum = self.minute.get(id);
        for window in open {
            ledgers = covered(ledgers, window.ledgers);
            if let Some(bytes) = window.figures.get(id) {
                sum.get_or_insert_default().merge(&read(bytes, true));
            }
        }
        if let Some(sum) = sum {
            let start = level.open.as_ref().map_or(self.minute.start, |open| open.start);
            each(start, ledgers, &sum);
        }
    }

    /// Calls back with the figures of the foremost keys in the window of a kind that is open: its start, and
    /// then as in `series`.
    ///
    /// `order` is summed over the open windows within it; sets are merged of those alone that are given.
    pub fn foremost(
        &self,
        kind: &str,
        limit: usize,
        order: impl Fn(&F) -> i256,
        mut each: impl FnMut(Id, i64, (u32, u32), &F),
    ) {
        let Some((level, open)) = self.level(kind) else { return };
        let open: Vec<_> = open.collect();
        let ledgers = open.iter().fold(self.minute.ledgers, |sum, one| covered(sum, one.ledgers));
        let start = level.open.as_ref().map_or(self.minute.start, |open| open.start);
        for id in first_by(self.sums(&open, order), limit) {
            let mut sum = self.minute.get(id).unwrap_or_default();
            for bytes in open.iter().filter_map(|window| window.figures.get(id)) {
                sum.merge(&read(bytes, true));
            }
            each(id, start, ledgers, &sum);
        }
    }

    /// What keys are ordered by, in all of these windows and the minute; none where there is no row.
    fn sums(&self, open: &[&Window], order: impl Fn(&F) -> i256) -> Vec<Option<i256>> {
        let mut sums: Vec<Option<i256>> = Vec::new();
        let mut add = |id: Id, figures: &F| {
            let at = id as usize;
            if at >= sums.len() {
                sums.resize(at + 1, None);
            }
            if let Some(sum) = sums.get_mut(at) {
                *sum = Some(sum.unwrap_or(i256::ZERO).wrapping_add(order(figures)));
            }
        };
        for (id, figures) in self.minute.keys() {
            add(id, &F::counted(figures));
        }
        for (id, bytes) in open.iter().flat_map(|window| window.figures.iter()) {
            add(id, &read(bytes, false));
        }
        if let Some(whole) = sums.get_mut(WHOLE as usize) {
            *whole = None;
        }
        sums
    }

    /// Bytes of all figures, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let packed: usize = self
            .levels
            .iter()
            .flat_map(|level| level.ended.iter().chain(&level.open))
            .map(|window| window.figures.size() + size_of::<Window>())
            .sum();
        packed + self.minute.bytes()
    }

    /// Forgets keys: what they have becomes part of the rest. `transactions` leaves these alone of figures.
    pub fn forget(&mut self, gone: &[Id], transactions: impl Fn(F) -> F) {
        let most = gone.iter().max().map_or(0, |&id| id as usize + 1);
        let mut is_gone = vec![false; most];
        for &id in gone {
            is_gone.get_mut(id as usize).into_iter().for_each(|place| *place = true);
        }
        let is_gone = |id: Id| is_gone.get(id as usize).is_some_and(|&gone| gone);
        for window in
            self.levels.iter_mut().flat_map(|level| level.ended.iter_mut().chain(&mut level.open))
        {
            window.figures = without::<F>(&window.figures, is_gone);
        }
        let minute = without::<F>(&self.minute.packed(), is_gone);
        self.minute.restore(&minute, transactions);
    }

    /// Returns keys by weight in all of time, the lightest first.
    #[must_use]
    pub fn lightest(&self) -> Vec<Id> {
        let open: Vec<_> = self.levels.iter().filter_map(|level| level.open.as_ref()).collect();
        let mut sums = self.sums(&open, |one| i256::from_i128(one.weight().into()));
        if let Some(rest) = sums.get_mut(REST as usize) {
            *rest = None;
        }
        let mut ids = first_by(sums, usize::MAX);
        ids.reverse();
        ids
    }

    /// Writes them as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        let windows = |to: &mut Vec<u8>, some: &mut dyn ExactSizeIterator<Item = &Window>| {
            put(to, some.len() as u64);
            some.for_each(|window| window.write(to));
        };
        windows(to, &mut self.open_minute().iter());
        for level in &self.levels {
            windows(to, &mut level.open.iter());
            windows(to, &mut level.ended.iter());
        }
    }

    /// Reads what `write` wrote; `transactions` as in `forget`.
    pub fn read(&mut self, from: &mut Reader<'_>, transactions: impl Fn(F) -> F) -> Option<()> {
        let windows = |from: &mut Reader<'_>| -> Option<VecDeque<Window>> {
            (0..from.length()?).map(|_| Window::read(from)).collect()
        };
        if let Some(open) = windows(from)?.pop_back() {
            self.minute.restore(&open.figures, transactions);
            self.minute.start = open.start;
            self.minute.ledgers = open.ledgers;
        }
        for level in &mut self.levels {
            level.open = windows(from)?.pop_back();
            level.ended = windows(from)?;
        }
        Some(())
    }
}

/// The numbers of the largest sums, the largest first; of the same sums, the lower number.
fn first_by(sums: Vec<Option<i256>>, limit: usize) -> Vec<Id> {
    let numbered = sums.into_iter().zip(0..).filter_map(|(sum, id)| Some((sum?, id)));
    let mut ids: Vec<(i256, Id)> = numbered.collect();
    let order =
        |one: &(i256, Id), other: &(i256, Id)| other.0.cmp(&one.0).then(one.1.cmp(&other.1));
    if limit < ids.len() {
        ids.select_nth_unstable_by(limit, order);
        ids.truncate(limit);
    }
    ids.sort_unstable_by(order);
    ids.into_iter().map(|(_, id)| id).collect()
}
