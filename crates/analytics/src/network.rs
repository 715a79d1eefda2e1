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
    /// Of those whose ledger before was counted too: how many, and the sum of these times.
    pub intervals: (u64, i64),
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
impl Ledgers {
    /// The mean time from one's close to the next one's, in microseconds; holes are no times of ledgers.
    #[must_use]
    pub fn mean_interval(&self) -> Option<f64> {
        let (count, sum) = self.intervals;
        (count > 0).then(|| sum as f64 / count as f64)
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
        self.intervals.0 += other.intervals.0;
        self.intervals.1 += other.intervals.1;
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
        let intervals = [self.intervals.0, self.intervals.1.cast_unsigned()];
        counts.into_iter().chain(times).chain(intervals).for_each(|number| put(to, number));
    }

    fn read(from: &mut Reader<'_>, _: bool) -> Option<Self> {
        let (ledgers, all) = (from.number()?, from.number()?);
        let (successful, bytes) = (from.number()?, from.number()?);
        let mut time = || from.number().map(u64::cast_signed);
        let (longest, first, last) = (time()?, time()?, time()?);
        let closed = (first != i64::MIN).then_some((first, last));
        // What was saved before intervals were summed ends here: then all ledgers count as one row of them.
        let intervals = match from.0 {
            [] => (
                ledgers.saturating_sub(1),
                closed.map_or(0, |(first, last)| last.saturating_sub(first)),
            ),
            _ => (from.number()?, from.number()?.cast_signed()),
        };
        Some(Self { ledgers, transactions: (all, successful), bytes, closed, longest, intervals })
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
                intervals: follows.map_or((0, 0), |(_, before)| (1, time - before)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of_minute() -> Ledgers {
        let closed = Some((60_000_000, 110_000_000));
        let (transactions, intervals) = ((120, 100), (9, 45_000_000));
        Ledgers { ledgers: 11, transactions, bytes: 5, closed, longest: 6_000_000, intervals }
    }

    #[test]
    fn figures_come_back_as_they_were() {
        let mut bytes = Vec::new();
        of_minute().write(&mut bytes);
        let read = Ledgers::read(&mut Reader(&bytes), true).unwrap_or_default();
        assert_eq!(read.intervals, (9, 45_000_000));
        assert_eq!(read.mean_interval(), Some(5_000_000.0));
    }

    #[test]
    fn figures_that_were_saved_before_intervals_were_summed_keep_their_mean() {
        let mut bytes = Vec::new();
        for number in [11, 120, 100, 5, 6_000_000, 60_000_000, 110_000_000] {
            put(&mut bytes, number);
        }
        let mut read = Ledgers::read(&mut Reader(&bytes), true).unwrap_or_default();
        assert_eq!(read.mean_interval(), Some(5_000_000.0));
        read.merge(&of_minute());
        assert_eq!(read.intervals, (19, 95_000_000));
    }
}
