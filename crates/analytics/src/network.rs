//! Figures over ledgers: how many, how fast, how full.

use arrow_array::RecordBatch;

use crate::coding::{Reader, put};
use crate::columns::{BadRows, numbers, times};
use crate::keys::WHOLE;
use crate::minute::Figures;
use crate::series::{Counted, Room, Series};

/// Of the ledgers of one window. Times are microseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Ledgers {
    /// How many.
    pub ledgers: u64,
    /// Their transactions, and those that succeeded.
    pub transactions: (u64, u64),
    /// Bytes of their XDR.
    pub bytes: u64,
    /// When the first and the last closed.
    pub closed: Option<(i64, i64)>,
    /// The longest time between one's close and that of the ledger before.
    pub longest: i64,
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
impl Ledgers {
    /// The mean time from one's close to the next one's, in microseconds.
    #[must_use]
    pub fn mean_interval(&self) -> Option<f64> {
        let (first, last) = self.closed.filter(|_| self.ledgers > 1)?;
        Some((last - first) as f64 / (self.ledgers - 1) as f64)
    }

    /// Transactions a second, where a ledger takes that time.
    #[must_use]
    pub fn pace(&self) -> Option<f64> {
        let seconds = self.mean_interval().filter(|&mean| mean > 0.0)? / 1e6;
        Some(self.transactions.0 as f64 / (self.ledgers as f64 * seconds))
    }
}

impl Figures for Ledgers {
    type Open = Self;

    fn counted(open: &Self) -> Self {
        open.clone()
    }

    fn opened(self) -> Self {
        self
    }

    fn absorb(_: &mut Self, _: &Self) {}

    fn open_bytes(_: &Self) -> usize {
        0
    }

    fn merge(&mut self, other: &Self) {
        self.ledgers += other.ledgers;
        self.transactions.0 += other.transactions.0;
        self.transactions.1 += other.transactions.1;
        self.bytes += other.bytes;
        self.longest = self.longest.max(other.longest);
        self.closed = match (self.closed, other.closed) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
    }

    fn seal(&mut self) {}

    fn weight(&self) -> u64 {
        self.ledgers
    }

    fn write(&self, to: &mut Vec<u8>) {
        let (first, last) = self.closed.unwrap_or((i64::MIN, i64::MIN));
        let times = [self.longest, first, last].map(i64::cast_unsigned);
        let counts = [self.ledgers, self.transactions.0, self.transactions.1, self.bytes];
        counts.into_iter().chain(times).for_each(|number| put(to, number));
    }

    fn read(from: &mut Reader<'_>, _: bool) -> Option<Self> {
        let (ledgers, all) = (from.number()?, from.number()?);
        let (successful, bytes) = (from.number()?, from.number()?);
        let mut time = || from.number().map(u64::cast_signed);
        let (longest, first, last) = (time()?, time()?, time()?);
        let closed = (first != i64::MIN).then_some((first, last));
        Some(Self { ledgers, transactions: (all, successful), bytes, closed, longest })
    }
}

impl Counted for Ledgers {
    /// All of it: there are no keys whose sum it could be.
    fn transactions_alone(self) -> Self {
        self
    }

    fn count_transaction(open: &mut Self) {
        open.transactions.0 += 1;
    }
}

/// Every window of ledgers. There are no keys.
pub struct LedgerWindows {
    /// Its windows.
    pub series: Series<Ledgers>,
    before: Option<(u32, i64)>,
}

impl LedgerWindows {
    /// Keeps the latest windows, or all.
    #[must_use]
    pub fn new(room: Room<'_>) -> Self {
        let room = Room { most_keys: 0, most_bytes: usize::MAX, ..room };
        Self { series: Series::new(room), before: None }
    }

    /// Writes it as bytes, between ledgers.
    pub fn write(&self, to: &mut Vec<u8>) {
        let (ledger, time) = self.before.unwrap_or_default();
        put(to, ledger.into());
        put(to, time.cast_unsigned());
        self.series.write(to);
    }

    /// Reads what `write` wrote into one that is still empty.
    pub fn read(&mut self, from: &mut Reader<'_>) -> Option<()> {
        let before = (from.small()?, from.number()?.cast_signed());
        self.before = (before.0 > 0).then_some(before);
        self.series.read(from)
    }

    /// Counts rows of `ledgers`, in order; those that came before are left out.
    ///
    /// # Errors
    ///
    /// Where a column lacks or is of another type; nothing is counted then.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), BadRows> {
        let sequences = numbers(batch, "ledger_sequence")?;
        let closed = times(batch, "closed_at")?;
        let transactions = numbers(batch, "transaction_count")?;
        let successful = numbers(batch, "successful_transaction_count")?;
        let sizes = numbers(batch, "size_bytes")?;
        for row in 0..batch.num_rows() {
            let (ledger, time) = (sequences.value(row), closed.value(row));
            if ledger <= self.series.last() {
                continue;
            }
            let follows = self.before.filter(|(before, _)| before + 1 == ledger);
            let made = Ledgers {
                ledgers: 1,
                transactions: (transactions.value(row).into(), successful.value(row).into()),
                bytes: sizes.value(row).into(),
                closed: Some((time, time)),
                longest: follows.map_or(0, |(_, before)| time - before),
            };
            self.series.begin(ledger, time);
            if let Some(minute) = self.series.minute().row(WHOLE) {
                minute.merge(&made);
            }
            self.series.complete(ledger, time.div_euclid(1_000_000));
            self.before = Some((ledger, time));
        }
        Ok(())
    }
}
