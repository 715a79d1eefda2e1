//! Windows, the keys in them, and how far they are: what every kind of figures shares.

use arrow_buffer::i256;

use crate::keys::{Keys, WHOLE};
use crate::windows::{Figures, Windows};

/// Figures are kept within their bytes by forgetting the least important keys, down to this share.
const AFTERWARDS: (usize, usize) = (4, 5);

/// Windows of figures by key, up to a ledger.
pub struct Series<F> {
    keys: Keys,
    windows: Windows<F>,
    most_bytes: usize,
    first: u32,
    last: u32,
    minute: i64,
}

impl<F: Figures> Series<F> {
    /// Keeps so many keys apart, within so many bytes, about.
    #[must_use]
    pub fn new(most_keys: usize, most_bytes: usize) -> Self {
        Self {
            keys: Keys::new(most_keys),
            windows: Windows::default(),
            most_bytes,
            first: 0,
            last: 0,
            minute: 0,
        }
    }

    /// The first ledger that was counted whole, 0 before there is one.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The last ledger that was counted whole, 0 before there is one.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The keys, to add to them.
    pub fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// The windows.
    #[must_use]
    pub fn windows(&self) -> &Windows<F> {
        &self.windows
    }

    /// The windows, to count into them.
    pub fn windows_mut(&mut self) -> &mut Windows<F> {
        &mut self.windows
    }

    /// Says that a ledger has come whole; once a minute it looks after the bytes.
    pub fn complete(&mut self, ledger: u32, time: i64) {
        if ledger <= self.last {
            return;
        }
        self.windows.minute(ledger, time);
        if self.first == 0 {
            self.first = ledger;
        }
        self.last = ledger;
        let minute = time.div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.make_room();
        }
    }

    /// Forgets the least important keys where there are too many bytes, or no room for another key.
    fn make_room(&mut self) {
        let bytes = self.windows.bytes();
        if bytes <= self.most_bytes && !self.keys.is_full() {
            return;
        }
        let per_key = bytes / self.keys.len().max(1) + 1;
        let over = bytes.saturating_sub(self.most_bytes / AFTERWARDS.1 * AFTERWARDS.0) / per_key;
        let crowd = if self.keys.is_full() { self.keys.len() / 10 } else { 0 };
        let mut gone = self.windows.lightest();
        gone.truncate(over.max(crowd).max(1));
        self.windows.forget(&gone);
        gone.iter().for_each(|&id| self.keys.forget(id));
    }

    /// Bytes it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.windows.bytes() + self.keys.len() * 320
    }

    /// Calls back with every window of a kind for one key, or all together where none is named.
    ///
    /// The last argument says whether the window has all of the key's rows: of one that was forgotten for a
    /// while, earlier windows lack some. Returns false where the key is not known.
    pub fn each(
        &self,
        kind: &str,
        key: Option<&str>,
        mut each: impl FnMut(i64, (u32, u32), &F, bool),
    ) -> bool {
        let (id, since) = match key {
            None => (WHOLE, 0),
            Some(text) => match self.keys.find(text) {
                Some(id) => (id, self.keys.key(id).map_or(0, |key| key.since)),
                None => return false,
            },
        };
        self.windows.series(kind, id, |start, ledgers, figures| {
            each(start, ledgers, figures, since == 0 || ledgers.0 >= since);
        });
        true
    }

    /// Calls back with the foremost keys in the window of a kind that is open: name and label, the window's
    /// ledgers, figures, and whether these are all. Keys that are not told apart come without a name.
    pub fn foremost(
        &self,
        kind: &str,
        limit: usize,
        order: impl Fn(&F) -> i256,
        mut each: impl FnMut(Option<(&str, &str)>, (u32, u32), &F, bool),
    ) {
        self.windows.foremost(kind, limit, order, |id, ledgers, figures| match self.keys.key(id) {
            Some(key) => {
                let whole = key.since == 0 || ledgers.0 >= key.since;
                each(Some((&key.name, &key.label)), ledgers, figures, whole);
            }
            None => each(None, ledgers, figures, true),
        });
    }
}
