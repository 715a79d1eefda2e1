//! Figures over what contracts do: events they emit, entries they write.

use arrow_array::RecordBatch;

use crate::coding::{Reader, put};
use crate::columns::{BadRows, flags, numbers, texts, times};
use crate::keys::{Id, WHOLE};
use crate::minute::Figures;
use crate::series::{Counted, Order, Room, Series};

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
    type Open = Self;

    fn counted(open: &Self) -> Self {
        open.clone()
    }

    fn opened(self) -> Self {
        self
    }

    fn absorb(whole: &mut Self, key: &Self) {
        whole.rows += key.rows;
        whole.marked += key.marked;
    }

    fn open_bytes(_: &Self) -> usize {
        0
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.transactions += other.transactions;
        self.marked += other.marked;
    }

    fn seal(&mut self) {}

    fn weight(&self) -> u64 {
        self.rows
    }

    fn write(&self, to: &mut Vec<u8>) {
        [self.rows, self.transactions, self.marked].into_iter().for_each(|number| put(to, number));
    }

    fn read(from: &mut Reader<'_>, _: bool) -> Option<Self> {
        Some(Self { rows: from.number()?, transactions: from.number()?, marked: from.number()? })
    }
}

impl Counted for Activity {
    fn transactions_alone(self) -> Self {
        Self { transactions: self.transactions, ..Self::default() }
    }

    fn count_transaction(open: &mut Self) {
        open.transactions += 1;
    }
}

/// Every window of what contracts do. Keys are contracts.
pub struct ActivityWindows {
    /// Its windows and keys.
    pub series: Series<Activity>,
    ids: Vec<Id>,
}

impl ActivityWindows {
    /// Keeps so much.
    #[must_use]
    pub fn new(room: Room<'_>) -> Self {
        Self { series: Series::new(room), ids: Vec::new() }
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
        let series = &mut self.series;
        let order = Order::of(ledgers, transactions);
        series.ids(ledgers, contracts, &mut self.ids, |row| contracts.value(row).into());
        let mut counted = None;
        for (row, &id) in self.ids.iter().enumerate() {
            let ledger = ledgers.value(row);
            if id == WHOLE || ledger <= series.last() {
                continue; // no contract's, or it came before
            }
            let Some(marked) = marked(row) else { continue };
            series.begin(ledger, closed.value(row));
            let transaction = transactions.value(row);
            if counted != Some((ledger, id, transaction)) {
                counted = Some((ledger, id, transaction));
                series.transaction(id, transaction, order);
            }
            if let Some(open) = series.minute().row(id) {
                open.rows += 1;
                open.marked += u64::from(marked);
            }
        }
        Ok(())
    }
}
