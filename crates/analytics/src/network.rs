//! Figures over ledgers: how many, how fast, how full.

use arrow_array::RecordBatch;

use crate::columns::{BadRows, numbers, times};
use crate::keys::WHOLE;
use crate::series::Series;
use crate::windows::Figures;

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

impl Figures for Ledgers {
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

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Every window of ledgers. There are no keys.
pub struct LedgerWindows {
    series: Series<Ledgers>,
    before: Option<(u32, i64)>,
}

impl Default for LedgerWindows {
    fn default() -> Self {
        Self { series: Series::new(0, usize::MAX), before: None }
    }
}

impl LedgerWindows {
    /// Its windows.
    #[must_use]
    pub fn series(&self) -> &Series<Ledgers> {
        &self.series
    }

    /// When the last ledger closed, in microseconds since the epoch.
    #[must_use]
    pub fn closed_at(&self) -> Option<i64> {
        self.before.map(|(_, time)| time)
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
            let seconds = time.div_euclid(1_000_000);
            let follows = self.before.filter(|(before, _)| before + 1 == ledger);
            let made = Ledgers {
                ledgers: 1,
                transactions: (transactions.value(row).into(), successful.value(row).into()),
                bytes: sizes.value(row).into(),
                closed: Some((time, time)),
                longest: follows.map_or(0, |(_, before)| time - before),
            };
            if let Some(minute) = self.series.windows_mut().minute(ledger, seconds) {
                minute.figures.entry(WHOLE).or_default().merge(&made);
            }
            self.series.complete(ledger, seconds);
            self.before = Some((ledger, time));
        }
        Ok(())
    }
}
