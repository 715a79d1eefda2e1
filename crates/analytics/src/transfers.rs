//! Figures over token transfers: of all, and of each asset.

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::i256;

use crate::columns::{BadRows, amounts, numbers, text, texts, times};
use crate::distinct::Distinct;
use crate::hashing::{FastSet, hash_of};
use crate::keys::{Id, Keys, WHOLE};
use crate::series::Series;
use crate::windows::{Figures, Windows};

/// Of one asset, or all, in one window. Volume is of transfers alone; clawbacks are no burns.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    /// Rows of kind `transfer`.
    pub transfers: u64,
    /// Transactions with any row.
    pub transactions: u64,
    /// The sum of what was transferred.
    pub volume: i256,
    /// Rows of kind `mint`, and their sum.
    pub mints: (u64, i256),
    /// Rows of kind `burn`, and their sum.
    pub burns: (u64, i256),
    /// Rows of kind `clawback`, and their sum.
    pub clawbacks: (u64, i256),
    /// Fees taken, and given back.
    pub fees: (i256, i256),
    /// The largest transfer.
    pub largest: i128,
    /// Who transferred.
    pub senders: Distinct,
    /// To whom.
    pub receivers: Distinct,
}

impl Figures for Transfers {
    fn merge(&mut self, other: &Self) {
        let both = |one: &mut (u64, i256), other: &(u64, i256)| {
            one.0 += other.0;
            one.1 = one.1.wrapping_add(other.1); // 2^64 amounts of 128 bits fit into 256
        };
        self.transfers += other.transfers;
        self.transactions += other.transactions;
        self.volume = self.volume.wrapping_add(other.volume);
        both(&mut self.mints, &other.mints);
        both(&mut self.burns, &other.burns);
        both(&mut self.clawbacks, &other.clawbacks);
        self.fees =
            (self.fees.0.wrapping_add(other.fees.0), self.fees.1.wrapping_add(other.fees.1));
        self.largest = self.largest.max(other.largest);
        self.senders.merge(&other.senders);
        self.receivers.merge(&other.receivers);
    }

    fn seal(&mut self) {
        self.senders.seal();
        self.receivers.seal();
    }

    fn weight(&self) -> u64 {
        self.transfers + self.transactions
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.senders.bytes() + self.receivers.bytes()
    }
}

struct Row<'a> {
    kind: &'a str,
    amount: i128,
    sender: Option<u64>,
    receiver: Option<u64>,
    first_of_transaction: bool,
}

impl Transfers {
    fn count(&mut self, row: &Row<'_>) {
        self.transactions += u64::from(row.first_of_transaction);
        let amount = i256::from_i128(row.amount);
        let one = |place: &mut (u64, i256)| {
            place.0 += 1;
            place.1 = place.1.wrapping_add(amount);
        };
        match row.kind {
            "transfer" => {
                self.transfers += 1;
                self.volume = self.volume.wrapping_add(amount);
                self.largest = self.largest.max(row.amount);
                row.sender.into_iter().for_each(|hash| self.senders.add(hash));
                row.receiver.into_iter().for_each(|hash| self.receivers.add(hash));
            }
            "mint" => one(&mut self.mints),
            "burn" => one(&mut self.burns),
            "clawback" => one(&mut self.clawbacks),
            "fee" if row.amount < 0 => self.fees.1 = self.fees.1.wrapping_sub(amount),
            "fee" => self.fees.0 = self.fees.0.wrapping_add(amount),
            _ => {}
        }
    }
}

/// Every window of transfers. Keys are assets.
pub struct TransferWindows {
    series: Series<Transfers>,
    seen: FastSet<(Id, u32)>,
    ledger: u32,
}

impl TransferWindows {
    /// Keeps so many assets apart, within so many bytes, about.
    #[must_use]
    pub fn new(most_keys: usize, most_bytes: usize) -> Self {
        Self { series: Series::new(most_keys, most_bytes), seen: FastSet::default(), ledger: 0 }
    }

    /// Its windows and keys.
    #[must_use]
    pub fn series(&self) -> &Series<Transfers> {
        &self.series
    }

    /// Says that a ledger has come whole: rows of it, or of those before it, are not counted again.
    pub fn complete(&mut self, ledger: u32, time: i64) {
        self.series.complete(ledger, time);
    }

    /// Counts rows of `token_transfers`, in ledger order; those of ledgers that came before are left out.
    ///
    /// # Errors
    ///
    /// Where a column lacks or is of another type, or an amount is no number; nothing is counted then.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), BadRows> {
        let columns = Columns::of(batch)?;
        let parsed = columns.parsed()?;
        let mut before: Option<(&str, Id)> = None;
        for (row, amount) in parsed.into_iter().enumerate() {
            let ledger = columns.ledgers.value(row);
            if ledger <= self.series.last() {
                continue;
            }
            if ledger != self.ledger {
                self.ledger = ledger;
                self.seen.clear();
                let time = columns.times.value(row).div_euclid(1_000_000);
                self.series.windows_mut().minute(ledger, time);
            }
            let contract = columns.contracts.value(row);
            let id = match before {
                Some((last, id)) if last == contract => id,
                _ => self.series.keys_mut().id(contract, ledger, || columns.label(row)),
            };
            before = Some((contract, id));
            let transaction = columns.transactions.value(row);
            let first_of_all = self.seen.insert((WHOLE, transaction));
            let first_of_asset = self.seen.insert((id, transaction));
            let Some(minute) = self.series.windows_mut().open_minute() else { continue };
            let mut made = columns.row(row, amount, first_of_all);
            minute.figures.entry(WHOLE).or_default().count(&made);
            made.first_of_transaction = first_of_asset;
            minute.figures.entry(id).or_default().count(&made);
        }
        Ok(())
    }

    /// Returns the assets that are told apart.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        self.series.keys()
    }

    /// Returns the windows.
    #[must_use]
    pub fn windows(&self) -> &Windows<Transfers> {
        self.series.windows()
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

    /// Amounts, those of 39 digits out of their texts.
    fn parsed(&self) -> Result<Vec<i128>, BadRows> {
        let amount = |row: usize| {
            if self.raw.is_valid(row) {
                return Ok(self.raw.value(row));
            }
            let written = text(self.amount_texts, row).unwrap_or_default();
            written.parse().map_err(|_| {
                BadRows(format!("the amount {written:?} is no whole number of 128 bits"))
            })
        };
        (0..self.raw.len()).map(amount).collect()
    }

    fn row(&self, row: usize, amount: i128, first_of_transaction: bool) -> Row<'a> {
        let hash = |array: &StringArray| text(array, row).map(hash_of);
        let kind = self.kinds.value(row);
        let moved = kind == "transfer";
        Row {
            kind,
            amount,
            sender: if moved { hash(self.from) } else { None },
            receiver: if moved { hash(self.to) } else { None },
            first_of_transaction,
        }
    }

    fn label(&self, row: usize) -> Box<str> {
        match (text(self.asset_types, row), text(self.codes, row), text(self.issuers, row)) {
            (Some("native"), ..) => "native".into(),
            (Some(_), Some(code), Some(issuer)) => format!("{code}:{issuer}").into(),
            _ => self.contracts.value(row).into(),
        }
    }
}
