//! Figures over what contracts do: events they emit, entries they write.

use arrow_array::{Array, RecordBatch};

use crate::columns::{BadRows, flags, numbers, text, texts, times};
use crate::hashing::FastSet;
use crate::keys::{Id, WHOLE};
use crate::series::Series;
use crate::windows::Figures;

/// Of one contract, or all, in one window.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Rows: events, or changes of entries.
    pub rows: u64,
    /// Transactions with any row.
    pub transactions: u64,
    /// Rows of transactions that failed (events), or that remove an entry (changes).
    pub marked: u64,
}

impl Figures for Activity {
    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.transactions += other.transactions;
        self.marked += other.marked;
    }

    fn seal(&mut self) {}

    fn weight(&self) -> u64 {
        self.rows
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Every window of what contracts do. Keys are contracts.
pub struct ActivityWindows {
    series: Series<Activity>,
    seen: FastSet<(Id, u32)>,
    ledger: u32,
}

impl ActivityWindows {
    /// Keeps so many contracts apart, within so many bytes, about.
    #[must_use]
    pub fn new(most_keys: usize, most_bytes: usize) -> Self {
        Self { series: Series::new(most_keys, most_bytes), seen: FastSet::default(), ledger: 0 }
    }

    /// Its windows and keys.
    #[must_use]
    pub fn series(&self) -> &Series<Activity> {
        &self.series
    }

    /// Says that a ledger has come whole: rows of it, or of those before it, are not counted again.
    pub fn complete(&mut self, ledger: u32, time: i64) {
        self.series.complete(ledger, time);
    }

    /// Counts rows of `contract_events` that contracts emitted; diagnostic and system ones are left out.
    ///
    /// # Errors
    ///
    /// Where a column lacks or is of another type; nothing is counted then.
    pub fn add_events(&mut self, batch: &RecordBatch) -> Result<(), BadRows> {
        let kinds = texts(batch, "event_type")?;
        let successful = flags(batch, "transaction_successful")?;
        self.add(batch, |row| (kinds.value(row) == "contract").then(|| !successful.value(row)))
    }

    /// Counts rows of `contract_data`: each is an entry that was written.
    ///
    /// # Errors
    ///
    /// Where a column lacks or is of another type; nothing is counted then.
    pub fn add_entries(&mut self, batch: &RecordBatch) -> Result<(), BadRows> {
        let deleted = flags(batch, "deleted")?;
        self.add(batch, |row| Some(deleted.value(row)))
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        marked: impl Fn(usize) -> Option<bool>,
    ) -> Result<(), BadRows> {
        let ledgers = numbers(batch, "ledger_sequence")?;
        let closed = times(batch, "closed_at")?;
        let transactions = numbers(batch, "transaction_index")?;
        let contracts = texts(batch, "contract_id")?;
        for row in 0..batch.num_rows() {
            let ledger = ledgers.value(row);
            let (Some(contract), Some(marked)) = (text(contracts, row), marked(row)) else {
                continue;
            };
            if ledger <= self.series.last() {
                continue;
            }
            if ledger != self.ledger {
                self.ledger = ledger;
                self.seen.clear();
                let seconds = closed.value(row).div_euclid(1_000_000);
                self.series.windows_mut().minute(ledger, seconds);
            }
            let id = self.series.keys_mut().id(contract, ledger, || contract.into());
            let transaction = transactions.value(row);
            let made =
                |first| Activity { rows: 1, transactions: u64::from(first), marked: marked.into() };
            let first_of_all = self.seen.insert((WHOLE, transaction));
            let first = self.seen.insert((id, transaction));
            if let Some(minute) = self.series.windows_mut().open_minute() {
                minute.figures.entry(WHOLE).or_default().merge(&made(first_of_all));
                minute.figures.entry(id).or_default().merge(&made(first));
            }
        }
        debug_assert!(ledgers.null_count() == 0, "ledger_sequence is never null");
        Ok(())
    }
}
