//! The columns, and how movements become rows of them.

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, Field};

use super::journal::{HeldMemo, Journal, Row, Section};
use super::token::Token;
use crate::fixed_text::Word;
use crate::ledger::header::Ledger;
use crate::ledger::operation::OPERATION_NAMES;
use crate::ledger::token_event::Kind;
use crate::tables::Settings;
use crate::tables::column::{Boolean, NullableDecimal, NullableUInt32, Size, Timestamp, UInt32};
use crate::tables::columns::columns;
use crate::tables::repeated::Repeated;
use crate::tables::text::{NullableText, Text};
use crate::values::address::{Address, Kind as Holder};
use crate::values::{escape, strkey};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Repeated<Text> = "Hash of the transaction, hex.",
    transaction_successful: required Boolean = "Whether the transaction took effect.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for fees.",
    event_index: required UInt32 = "Place among the ledger's movements, from 0.",
    event_type: required Text = "transfer, mint, burn, clawback or fee.",
    operation_type: optional Repeated<NullableText> = "Type of the operation, such as payment; null for fees.",
    contract_id: required Repeated<Text> = "Contract of the token, strkey.",
    asset_type: optional Repeated<NullableText> = "native, credit_alphanum4 or credit_alphanum12; null for a custom token.",
    asset_code: optional NullableText = r"Code of the asset; \, NUL and bytes that are no UTF-8 written \\, \0 and \xNN.",
    asset_issuer: optional Repeated<NullableText> = "Issuer of the asset, strkey.",
    from: optional Repeated<NullableText> = "Whose it was, strkey; null for a mint.",
    to: optional Repeated<NullableText> = "Whose it is, strkey; null for a burn, clawback or fee.",
    to_muxed_type: optional NullableText = "text, id or hash, where the receiver is told apart by more than the address.",
    to_muxed: optional NullableText = r"A text with \, NUL and bytes that are no UTF-8 written \\, \0 and \xNN; an id in digits; a hash in hex.",
    amount_raw: optional NullableDecimal = "Amount in the token's smallest unit; null where it needs a 39th digit.",
    amount_text: required Text = "Amount in the token's smallest unit, exact; below zero for a refund.",
}

static KINDS: [Word; 5] = [
    Word::new("transfer"),
    Word::new("mint"),
    Word::new("burn"),
    Word::new("clawback"),
    Word::new("fee"),
];

/// Makes rows of movements.
pub struct Writer {
    columns: Columns,
    accounts: strkey::Recent,
    contracts: strkey::Recent,
}

impl Writer {
    /// A writer of no rows yet.
    pub fn new(settings: &Settings) -> Self {
        let columns = Columns::new(settings.decoded, settings.dictionaries);
        let recent = strkey::Recent::new;
        Self { columns, accounts: recent(strkey::ACCOUNT), contracts: recent(strkey::CONTRACT) }
    }

    /// The table's columns.
    pub fn fields(decoded: bool) -> Vec<Field> {
        Columns::fields(decoded)
    }

    /// Make rows of a ledger's movements.
    pub fn write(&mut self, ledger: &Ledger<'_>, journal: &Journal) {
        let mut first = 0;
        for section in [&journal.fees, &journal.operations, &journal.refunds] {
            self.section(journal, section, first);
            first += section.count;
        }
        let rows = self.columns.rows;
        self.columns.ledger_sequence.fill(rows, ledger.sequence);
        self.columns.closed_at.fill(rows, ledger.closed_at());
    }

    fn section(&mut self, journal: &Journal, section: &Section, first: u32) {
        for row in &section.rows {
            let transaction = journal.transactions.get(row.transaction);
            if let (Some(seen), Some(token)) = (transaction, journal.tokens.get(row.token)) {
                let columns = &mut self.columns;
                columns.transaction_index.push(seen.index);
                columns.transaction_hash.hex(columns.rows, &seen.hash);
                columns.transaction_successful.push(seen.successful);
                columns.event_index.push(first + row.position);
                self.row(journal, row, token);
            }
        }
    }

    fn row(&mut self, journal: &Journal, row: &Row, token: &Token) {
        let columns = &mut self.columns;
        let at = columns.rows;
        columns.rows += 1;
        if let Some((index, kind)) = row.operation {
            columns.operation_index.set(at, index);
            if let Some(name) = kind.and_then(|kind| OPERATION_NAMES.get(kind as usize)) {
                columns.operation_type.set(at, name.as_bytes());
            }
        }
        let [transfer, mint, burn, clawback, fee] = &KINDS;
        columns.event_type.word(match row.kind {
            Kind::Transfer => transfer,
            Kind::Mint => mint,
            Kind::Burn => burn,
            Kind::Clawback => clawback,
            Kind::Fee => fee,
        });
        columns.token(at, token);
        for (column, side) in [(&mut columns.from, row.from), (&mut columns.to, row.to)] {
            if let Some(address) = side {
                holder(column, at, &address, (&mut self.accounts, &mut self.contracts));
            }
        }
        columns.memo(at, row.memo, journal);
        columns.amount(at, row.amount);
    }

    /// Rows made so far.
    pub fn rows(&self) -> usize {
        self.columns.rows
    }

    /// Forget the rows from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.columns.truncate(rows);
    }

    /// How much each column holds.
    pub fn sizes(&self) -> Vec<Size> {
        self.columns.sizes()
    }

    /// Make room for so much in each column, given the place of the first in the batch.
    pub fn reserve(&mut self, sizes: &[Size], first: usize) {
        self.columns.reserve(sizes, first);
    }

    /// A column that has outgrown Arrow's offsets.
    pub fn oversized(&self) -> Option<&'static str> {
        self.columns.oversized()
    }

    /// Hand over the columns in the schema's order.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.finish()
    }
}

fn holder(
    column: &mut Repeated<NullableText>,
    at: usize,
    address: &Address,
    (accounts, contracts): (&mut strkey::Recent, &mut strkey::Recent),
) {
    let Address { kind, key, muxed } = address;
    match (kind, muxed) {
        (Holder::Account, None) => column.strkey(at, key, accounts),
        (Holder::Account, Some(id)) => column.set(at, strkey::muxed_account(key, *id).as_bytes()),
        (Holder::Contract, None) => column.strkey(at, key, contracts),
        (Holder::Contract, Some(id)) => column.set(at, strkey::muxed_contract(key, *id).as_bytes()),
        (Holder::ClaimableBalance, _) => column.set(at, strkey::claimable_balance(key).as_bytes()),
        (Holder::LiquidityPool, _) => column.set(at, &strkey::encode(strkey::LIQUIDITY_POOL, key)),
    }
}

impl Columns {
    fn token(&mut self, at: usize, token: &Token) {
        self.contract_id.set(at, &token.contract);
        let Some(asset) = &token.asset else { return };
        self.asset_type.set(at, asset.type_name().as_bytes());
        if let Some(code) = asset.code() {
            self.asset_code.set(at, escape::text(code).as_bytes());
        }
        if let Some(issuer) = &token.issuer {
            self.asset_issuer.set(at, issuer);
        }
    }

    fn memo(&mut self, at: usize, memo: HeldMemo, journal: &Journal) {
        let (kind, text) = match memo {
            HeldMemo::None => return,
            HeldMemo::Text(start, end) => {
                let text = escape::text(journal.text(start, end));
                ("text", text.into_owned())
            }
            HeldMemo::Id(id) => ("id", id.to_string()),
            HeldMemo::Hash(start, end) => {
                let bytes = journal.text(start, end);
                ("hash", hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
            }
        };
        self.to_muxed_type.set(at, kind.as_bytes());
        self.to_muxed.set(at, text.as_bytes());
    }

    fn amount(&mut self, at: usize, amount: i128) {
        if amount.unsigned_abs() < 10u128.pow(38) {
            self.amount_raw.set(at, amount);
        }
        match i64::try_from(amount) {
            Ok(small) => self.amount_text.number(small),
            Err(_) => self.amount_text.push(amount.to_string().as_bytes()),
        }
    }
}
