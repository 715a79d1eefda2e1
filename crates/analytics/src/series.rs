//! Windows, the keys in them, and how far they are: what every kind of figures shares.

use arrow_array::{StringArray, UInt32Array};
use arrow_buffer::i256;

use crate::coding::{Reader, put};
use crate::columns::text;
use crate::hashing::{HashSetted, spread};
use crate::keys::{Id, Keys, WHOLE};
use crate::minute::{Figures, Minute};
use crate::windows::Windows;

/// Figures are kept within their bytes by forgetting the least important keys, down to this share.
const AFTERWARDS: (usize, usize) = (4, 5);

/// Transactions of a ledger up to this one are told apart by their place, any others by hash.
const KNOWN_MOST: u32 = 1 << 16;

/// What of figures is kept.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// Keys that are told apart.
    pub most_keys: usize,
    /// Bytes, about.
    pub most_bytes: usize,
    /// The key that is told apart, by name or label, where only one is asked for.
    pub only: Option<&'a str>,
    /// Whether all windows are kept, not the latest alone.
    pub keeps_all: bool,
}

/// How the transactions of a batch's ledgers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each one's rows one after the other.
    Grouped,
    /// In any way.
    Any,
}

impl Order {
    /// Looks how they come.
    #[must_use]
    pub fn of(ledgers: &UInt32Array, transactions: &UInt32Array) -> Self {
        let mut before = (0, 0);
        for (&ledger, &transaction) in ledgers.values().iter().zip(transactions.values()) {
            let now = (ledger, transaction);
            if now < before {
                return Self::Any;
            }
            before = now;
        }
        Self::Grouped
    }
}

/// Figures that know transactions, which are counted once however many keys they have.
pub trait Counted: Figures {
    /// The same without all but transactions.
    #[must_use]
    fn transactions_alone(self) -> Self;
    /// Counts one transaction more.
    fn count_transaction(open: &mut Self::Open);
}

/// Windows of figures by key, up to a ledger.
pub struct Series<F: Figures> {
    keys: Keys,
    windows: Windows<F>,
    most_bytes: usize,
    first: u32,
    last: u32,
    minute: i64,
    /// Keys with transactions of the ledger that rows come of.
    seen: HashSetted,
    /// By key: the last of its transactions, behind its ledger.
    latest: Vec<u64>,
    /// By transaction: the last ledger in which all together had it.
    known: Vec<u32>,
    ledger: u32,
}

impl<F: Counted> Series<F> {
    /// Keeps so much.
    #[must_use]
    pub fn new(room: Room<'_>) -> Self {
        Self {
            keys: Keys::new(room.most_keys, room.only),
            windows: Windows::new(room.keeps_all),
            most_bytes: room.most_bytes,
            first: 0,
            last: 0,
            minute: 0,
            seen: HashSetted::default(),
            latest: Vec::new(),
            known: Vec::new(),
            ledger: 0,
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

    /// Lets bytes have another limit from now on.
    pub fn limit(&mut self, most_bytes: usize) {
        self.most_bytes = most_bytes;
    }

    /// Makes ready to count rows of a ledger, which closed at a time in microseconds.
    pub fn begin(&mut self, ledger: u32, time: i64) {
        if ledger != self.ledger {
            self.ledger = ledger;
            self.seen.clear();
            self.windows.begin(time.div_euclid(1_000_000));
            self.windows.cover(ledger);
        }
    }

    /// Finds the number of each row's key, `WHOLE` where it has none or came before; see `Keys::id`.
    pub fn ids(
        &mut self,
        ledgers: &UInt32Array,
        names: &StringArray,
        ids: &mut Vec<Id>,
        label: impl Fn(usize) -> Box<str>,
    ) {
        let mut before: Option<(&str, Id)> = None;
        ids.clear();
        ids.extend(ledgers.values().iter().enumerate().map(|(row, &ledger)| {
            let Some(name) = text(names, row).filter(|_| ledger > self.last) else { return WHOLE };
            let id = match before {
                Some((last, id)) if last == name => id,
                _ => self.keys.id(name, ledger, || label(row)),
            };
            before = Some((name, id));
            id
        }));
    }

    /// Counts a transaction of a key, unless it was.
    pub fn transaction(&mut self, id: Id, transaction: u32, order: Order) {
        if !self.is_new(id, transaction, order) {
            return; // then all together have it, too
        }
        let is_first = self.is_new(WHOLE, transaction, order);
        for id in std::iter::once(id).chain(is_first.then_some(WHOLE)) {
            if let Some(open) = self.minute().row(id) {
                F::count_transaction(open);
            }
        }
    }

    fn is_new(&mut self, id: Id, transaction: u32, order: Order) -> bool {
        if order == Order::Any {
            if id == WHOLE && transaction < KNOWN_MOST {
                return self.is_unknown(transaction);
            }
            return self.seen.insert(spread((u64::from(id) << 32) | u64::from(transaction)));
        }
        let at = id as usize;
        if at >= self.latest.len() {
            self.latest.resize(at + 1, 0);
        }
        let now = (u64::from(self.ledger) << 32) | u64::from(transaction);
        self.latest.get_mut(at).is_some_and(|latest| std::mem::replace(latest, now) != now)
    }

    fn is_unknown(&mut self, transaction: u32) -> bool {
        let at = transaction as usize;
        if at >= self.known.len() {
            self.known.resize(at + 1, 0);
        }
        self.known
            .get_mut(at)
            .is_some_and(|known| std::mem::replace(known, self.ledger) != self.ledger)
    }

    /// The minute to count into.
    pub fn minute(&mut self) -> &mut Minute<F> {
        self.windows.minute()
    }

    /// Says that a ledger has come whole: rows of it, or of those before it, are not counted again. Once a
    /// minute it looks after the bytes. The time is in seconds.
    pub fn complete(&mut self, ledger: u32, time: i64) {
        if ledger <= self.last {
            return;
        }
        self.windows.begin(time);
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
        let bytes = self.bytes();
        if bytes <= self.most_bytes && (!self.keys.is_full() || self.keys.is_empty()) {
            return;
        }
        let per_key = bytes / self.keys.len().max(1) + 1;
        let over = bytes.saturating_sub(self.most_bytes / AFTERWARDS.1 * AFTERWARDS.0) / per_key;
        let crowd = if self.keys.is_full() { self.keys.len() / 10 } else { 0 };
        let mut gone = self.windows.lightest();
        gone.truncate(over.max(crowd).max(1));
        self.windows.forget(&gone, F::transactions_alone);
        gone.iter().for_each(|&id| self.keys.forget(id));
    }

    /// Bytes it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.windows.bytes() + self.keys.bytes()
    }

    /// Calls back with every window of a kind for one key, or all together where none is named.
    ///
    /// The last argument says whether the window has all of the key's rows: of one that was forgotten for a
    /// while, earlier windows lack some. A key that is not known has none.
    pub fn each(
        &self,
        kind: &str,
        key: Option<&str>,
        mut each: impl FnMut(i64, (u32, u32), &F, bool),
    ) {
        let (id, since) = match key {
            None => (WHOLE, 0),
            Some(text) => match self.keys.find(text) {
                Some(id) => (id, self.keys.key(id).map_or(0, |key| key.since)),
                None => return,
            },
        };
        self.windows.series(kind, id, |start, ledgers, figures| {
            each(start, ledgers, figures, since == 0 || ledgers.0 >= since);
        });
    }

    /// Calls back with the foremost keys in the window of a kind that is open: name and label, the window's
    /// start and ledgers, figures, and whether these are all. Keys that are not told apart come without a name.
    pub fn foremost(
        &self,
        kind: &str,
        limit: usize,
        order: impl Fn(&F) -> i256,
        mut each: impl FnMut(Option<(&str, &str)>, i64, (u32, u32), &F, bool),
    ) {
        self.windows.foremost(kind, limit, order, |id, start, ledgers, figures| {
            let key = self.keys.key(id);
            let whole = key.is_none_or(|key| key.since == 0 || ledgers.0 >= key.since);
            each(key.map(|key| (&*key.name, &*key.label)), start, ledgers, figures, whole);
        });
    }

    /// Writes it as bytes, between ledgers.
    pub fn write(&self, to: &mut Vec<u8>) {
        put(to, self.first.into());
        put(to, self.last.into());
        put(to, self.minute.cast_unsigned());
        self.keys.write(to);
        self.windows.write(to);
    }

    /// Reads what `write` wrote into one that is still empty.
    pub fn read(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.first = from.small()?;
        self.last = from.small()?;
        self.minute = from.number()?.cast_signed();
        self.ledger = self.last;
        self.keys.read(from)?;
        self.windows.read(from, F::transactions_alone)
    }
}
