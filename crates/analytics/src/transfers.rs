//! Figures over token transfers: of all, and of each asset.

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::i256;

use crate::coding::{Reader, put, put_wide};
use crate::columns::{BadRows, amounts, numbers, text, texts, times};
use crate::distinct::{Distinct, Gathered};
use crate::hashing::hash_of;
use crate::keys::Id;
use crate::minute::Figures;
use crate::series::{Counted, Order, Room, Series};

/// How many, and what they sum up to.
pub type Summed = (u64, i256);

/// Counts and sums. Volume is of transfers alone; clawbacks are no burns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    /// Transactions with any row.
    pub transactions: u64,
    /// Rows of kind `transfer`, and their sum.
    pub transfers: Summed,
    /// Rows of kind `mint`, and their sum.
    pub mints: Summed,
    /// Rows of kind `burn`, and their sum.
    pub burns: Summed,
    /// Rows of kind `clawback`, and their sum.
    pub clawbacks: Summed,
    /// Fees taken, and given back.
    pub fees: (i256, i256),
    /// The largest transfer.
    pub largest: i128,
}

impl Moved {
    fn merge(&mut self, other: &Self) {
        let both = |one: &mut Summed, other: &Summed| {
            one.0 += other.0;
            one.1 = one.1.wrapping_add(other.1); // 2^64 amounts of 128 bits fit into 256
        };
        self.transactions += other.transactions;
        both(&mut self.transfers, &other.transfers);
        both(&mut self.mints, &other.mints);
        both(&mut self.burns, &other.burns);
        both(&mut self.clawbacks, &other.clawbacks);
        self.fees =
            (self.fees.0.wrapping_add(other.fees.0), self.fees.1.wrapping_add(other.fees.1));
        self.largest = self.largest.max(other.largest);
    }

    fn write(&self, to: &mut Vec<u8>) {
        put(to, self.transactions);
        for (count, sum) in [self.transfers, self.mints, self.burns, self.clawbacks] {
            put(to, count);
            if count > 0 {
                put_wide(to, sum);
            }
        }
        put_wide(to, self.fees.0);
        put_wide(to, self.fees.1);
        put_wide(to, i256::from_i128(self.largest));
    }

    fn read(from: &mut Reader<'_>, whole: bool) -> Option<Self> {
        let transactions = from.number()?;
        let mut summed = || {
            let count = from.number()?;
            Some((count, if count > 0 { from.wide()? } else { i256::ZERO }))
        };
        let (transfers, mints, burns) = (summed()?, summed()?, summed()?);
        let first = Self { transactions, transfers, mints, burns, ..Self::default() };
        if !whole {
            return Some(first);
        }
        let clawbacks = summed()?;
        let fees = (from.wide()?, from.wide()?);
        Some(Self { clawbacks, fees, largest: from.wide()?.to_i128()?, ..first })
    }
}

/// Of one asset, or all, in one window, while rows come.
#[derive(Debug, Default)]
pub struct Moving {
    moved: Moved,
    senders: Gathered,
    receivers: Gathered,
}

/// Of one asset, or all, in one window.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    /// Counts and sums.
    pub moved: Moved,
    /// Who transferred.
    pub senders: Distinct,
    /// To whom.
    pub receivers: Distinct,
}

impl Figures for Transfers {
    type Open = Moving;

    fn counted(open: &Moving) -> Self {
        let (senders, receivers) = ((&open.senders).into(), (&open.receivers).into());
        Self { moved: open.moved, senders, receivers }
    }

    fn opened(self) -> Moving {
        let (senders, receivers) = (self.senders.into(), self.receivers.into());
        Moving { moved: self.moved, senders, receivers }
    }

    fn absorb(whole: &mut Moving, key: &Moving) {
        whole.moved.merge(&Moved { transactions: 0, ..key.moved });
        whole.senders.absorb(&key.senders);
        whole.receivers.absorb(&key.receivers);
    }

    fn open_bytes(open: &Moving) -> usize {
        open.senders.bytes() + open.receivers.bytes()
    }

    fn merge(&mut self, other: &Self) {
        self.moved.merge(&other.moved);
        self.senders.merge(&other.senders);
        self.receivers.merge(&other.receivers);
    }

    fn seal(&mut self) {
        self.senders.seal();
        self.receivers.seal();
    }

    fn weight(&self) -> u64 {
        self.moved.transfers.0 + self.moved.transactions
    }

    fn write(&self, to: &mut Vec<u8>) {
        self.moved.write(to);
        self.senders.write(to);
        self.receivers.write(to);
    }

    fn read(from: &mut Reader<'_>, with_sets: bool) -> Option<Self> {
        let moved = Moved::read(from, with_sets)?;
        if !with_sets {
            return Some(Self { moved, ..Self::default() });
        }
        let (senders, receivers) = (Distinct::read(from)?, Distinct::read(from)?);
        Some(Self { moved, senders, receivers })
    }
}

impl Counted for Transfers {
    fn transactions_alone(self) -> Self {
        let moved = Moved { transactions: self.moved.transactions, ..Moved::default() };
        Self { moved, ..Self::default() }
    }

    fn count_transaction(open: &mut Moving) {
        open.moved.transactions += 1;
    }
}

impl Moving {
    #[inline]
    fn count(&mut self, kind: &str, amount: i128, parties: impl FnOnce() -> [Option<u64>; 2]) {
        let wide = i256::from_i128(amount);
        let one = |place: &mut Summed| {
            place.0 += 1;
            place.1 = place.1.wrapping_add(wide);
        };
        let moved = &mut self.moved;
        match kind {
            "transfer" => {
                one(&mut moved.transfers);
                moved.largest = moved.largest.max(amount);
                let [sender, receiver] = parties();
                sender.into_iter().for_each(|hash| self.senders.add(hash));
                receiver.into_iter().for_each(|hash| self.receivers.add(hash));
            }
            "fee" if amount < 0 => moved.fees.1 = moved.fees.1.wrapping_sub(wide),
            "fee" => moved.fees.0 = moved.fees.0.wrapping_add(wide),
            "mint" => one(&mut moved.mints),
            "burn" => one(&mut moved.burns),
            "clawback" => one(&mut moved.clawbacks),
            _ => {}
        }
    }
}

/// Every window of transfers. Keys are assets.
pub struct TransferWindows {
    /// Its windows and keys.
    pub series: Series<Transfers>,
    ids: Vec<Id>,
}

impl TransferWindows {
    /// Keeps so much.
    #[must_use]
    pub fn new(room: Room<'_>) -> Self {
        Self { series: Series::new(room), ids: Vec::new() }
    }

    /// Counts rows of `token_transfers`, in ledger order; those of ledgers that came before are left out.
    ///
    /// # Errors
    ///
    /// Where a column lacks or is of another type, or an amount is no number; nothing is counted then.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), BadRows> {
        let columns = Columns::of(batch)?;
        columns.check_amounts()?;
        let series = &mut self.series;
        let order = Order::of(columns.ledgers, columns.transactions);
        series.ids(columns.ledgers, columns.contracts, &mut self.ids, |row| columns.label(row));
        let mut counted = None;
        for (row, &id) in self.ids.iter().enumerate() {
            let ledger = columns.ledgers.value(row);
            if ledger <= series.last() {
                continue;
            }
            series.begin(ledger, columns.times.value(row));
            let transaction = columns.transactions.value(row);
            if counted != Some((ledger, id, transaction)) {
                counted = Some((ledger, id, transaction));
                series.transaction(id, transaction, order);
            }
            if let Some(open) = series.minute().row(id) {
                let kind = columns.kinds.value(row);
                open.count(kind, columns.amount(row).unwrap_or(0), || columns.parties(row));
            }
        }
        Ok(())
    }
}

struct Columns<'a> {
    ledgers: &'a arrow_array::UInt32Array,
    times: &'a arrow_array::TimestampMicrosecondArray,
    transactions: &'a arrow_array::UInt32Array,
    kinds: &'a StringArray,
    contracts: &'a StringArray,
    asset_types: &'a StringArray,
    codes: &'a StringArray,
    issuers: &'a StringArray,
    from: &'a StringArray,
    to: &'a StringArray,
    raw: &'a arrow_array::Decimal128Array,
    amount_texts: &'a StringArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, BadRows> {
        Ok(Self {
            ledgers: numbers(batch, "ledger_sequence")?,
            times: times(batch, "closed_at")?,
            transactions: numbers(batch, "transaction_index")?,
            kinds: texts(batch, "event_type")?,
            contracts: texts(batch, "contract_id")?,
            asset_types: texts(batch, "asset_type")?,
            codes: texts(batch, "asset_code")?,
            issuers: texts(batch, "asset_issuer")?,
            from: texts(batch, "from")?,
            to: texts(batch, "to")?,
            raw: amounts(batch, "amount_raw")?,
            amount_texts: texts(batch, "amount_text")?,
        })
    }

    /// An amount, one of 39 digits out of its text; none where that is no number.
    #[inline]
    fn amount(&self, row: usize) -> Option<i128> {
        if self.raw.is_valid(row) {
            return Some(self.raw.value(row));
        }
        text(self.amount_texts, row)?.parse().ok()
    }

    fn check_amounts(&self) -> Result<(), BadRows> {
        if self.raw.null_count() == 0 {
            return Ok(());
        }
        match (0..self.raw.len()).find(|&row| self.amount(row).is_none()) {
            None => Ok(()),
            Some(row) => Err(BadRows(format!(
                "the amount {:?} is no whole number of 128 bits",
                text(self.amount_texts, row).unwrap_or_default()
            ))),
        }
    }

    #[inline]
    fn parties(&self, row: usize) -> [Option<u64>; 2] {
        [self.from, self.to].map(|array| text(array, row).map(hash_of))
    }

    fn label(&self, row: usize) -> Box<str> {
        match (text(self.asset_types, row), text(self.codes, row), text(self.issuers, row)) {
            (Some("native"), ..) => "native".into(),
            (Some(_), Some(code), Some(issuer)) => format!("{code}:{issuer}").into(),
            _ => self.contracts.value(row).into(),
        }
    }
}
