//! Table `transactions`: a row a transaction, what it asked for and how it fared.

use arrow_array::types::Int64Type;

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, Int64, Nullable, Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::{NullableText, Text};
use crate::fixed_text::{Word, hex};
use crate::ledger::envelope::{Envelope, Memo};
use crate::ledger::fee;
use crate::ledger::header::Ledger;
use crate::ledger::operation::Outcome;
use crate::ledger::visitor::{Needs, Refusal, Transaction};
use crate::values::muxed::Muxed;
use crate::values::{escape, strkey};

pub(super) const TRANSACTIONS: Table = Table {
    name: "transactions",
    version: "1.0",
    description: "A transaction: what it asked for and how it fared.",
    key: &["ledger_sequence", "transaction_index"],
};

type NullableInt64 = Nullable<Int64Type>;

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Text = "Hash of the transaction, hex.",
    account: required Text = "Source account, of the inner transaction of a fee bump; strkey G….",
    account_muxed: optional NullableText = "Source account as strkey M…, if it is multiplexed.",
    account_sequence: required Int64 = "Sequence number the transaction uses up.",
    max_fee: required UInt32 = "Most the transaction (a fee bump's inner one) may cost, in stroops.",
    fee_charged: required Int64 = "What it cost in stroops.",
    successful: required Boolean = "Whether it took effect.",
    result_code: required Text = "Result, such as tx_success or tx_failed.",
    operation_count: required UInt32 = "Operations in it.",
    memo_type: required Text = "none, text, id, hash or return.",
    memo: optional NullableText = r"Memo: a text with \, NUL and bytes that are no UTF-8 written \\, \0 and \xNN; an id in digits; a hash in base64.",
    is_soroban: required Boolean = "Whether it is a smart contract transaction.",
    fee_account: optional NullableText = "Account that pays a fee bump, strkey G… or M….",
    fee_bump_max_fee: optional NullableInt64 = "Most a fee bump may cost, in stroops.",
    inner_transaction_hash: optional NullableText = "Hash of the transaction inside a fee bump, hex.",
}

/// The names of XDR's TransactionResultCode, from 1 downwards.
static RESULT_CODES: [Word; 20] = [
    Word::new("tx_fee_bump_inner_success"),
    Word::new("tx_success"),
    Word::new("tx_failed"),
    Word::new("tx_too_early"),
    Word::new("tx_too_late"),
    Word::new("tx_missing_operation"),
    Word::new("tx_bad_seq"),
    Word::new("tx_bad_auth"),
    Word::new("tx_insufficient_balance"),
    Word::new("tx_no_account"),
    Word::new("tx_insufficient_fee"),
    Word::new("tx_bad_auth_extra"),
    Word::new("tx_internal_error"),
    Word::new("tx_not_supported"),
    Word::new("tx_fee_bump_inner_failed"),
    Word::new("tx_bad_sponsorship"),
    Word::new("tx_bad_min_seq_age_or_gap"),
    Word::new("tx_malformed"),
    Word::new("tx_soroban_invalid"),
    Word::new("tx_frozen_key_accessed"),
];

pub(super) struct Builder {
    columns: Columns,
    accounts: strkey::Recent,
    refusal: Option<Refusal>,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        let columns = Columns::new(settings.decoded, settings.dictionaries);
        Self { columns, accounts: strkey::Recent::new(strkey::ACCOUNT), refusal: None }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }

    fn row(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        envelope: &Envelope<'_>,
    ) -> Option<()> {
        let outcome = Outcome::read(transaction.result)?;
        let fee_charged = fee_charged(ledger, transaction, envelope, &outcome)?;
        let code = RESULT_CODES.get(usize::try_from(1i32.checked_sub(outcome.code)?).ok()?)?;
        let columns = &mut self.columns;
        let row = columns.rows;
        columns.rows += 1;
        columns.ledger_sequence.push(ledger.sequence);
        columns.closed_at.push(ledger.closed_at());
        columns.transaction_index.push(transaction.index);
        columns.transaction_hash.hex(transaction.hash);
        columns.fee_charged.push(fee_charged);
        columns.successful.push(transaction.successful);
        columns.result_code.word(code);
        columns.envelope(row, envelope, &mut self.accounts);
        if let Some(hash) = outcome.inner_hash {
            columns.inner_transaction_hash.set(row, &hex(hash));
        }
        Some(())
    }
}

/// As the result says; but in protocol 20 what a Soroban fee bump got back was not taken off there
/// (https://github.com/stellar/stellar-core/issues/4188).
fn fee_charged(
    ledger: &Ledger<'_>,
    transaction: &Transaction<'_, '_>,
    envelope: &Envelope<'_>,
    outcome: &Outcome<'_>,
) -> Option<i64> {
    if ledger.protocol >= 21 || !envelope.soroban || envelope.fee_bump.is_none() {
        return Some(outcome.fee_charged);
    }
    outcome.fee_charged.checked_sub(fee::rise(transaction.settled, envelope.fee_account().key)?)
}

impl Columns {
    fn envelope(&mut self, row: usize, envelope: &Envelope<'_>, accounts: &mut strkey::Recent) {
        let Muxed { key, id } = envelope.source;
        self.account.push(accounts.encode(key));
        if let Some(id) = id {
            self.account_muxed.set(row, strkey::muxed_account(key, id).as_bytes());
        }
        self.account_sequence.push(envelope.sequence);
        self.max_fee.push(envelope.fee);
        self.operation_count.push(envelope.operation_count());
        self.memo(row, envelope.memo);
        self.is_soroban.push(envelope.soroban);
        let Some(bump) = envelope.fee_bump else {
            return;
        };
        match bump.account {
            Muxed { key, id: None } => {
                self.fee_account.set(row, accounts.encode(key));
            }
            Muxed { key, id: Some(id) } => {
                self.fee_account.set(row, strkey::muxed_account(key, id).as_bytes());
            }
        }
        self.fee_bump_max_fee.set(row, bump.fee);
    }

    fn memo(&mut self, row: usize, memo: Memo<'_>) {
        self.memo_type.push(match memo {
            Memo::None => b"none",
            Memo::Text(_) => b"text",
            Memo::Id(_) => b"id",
            Memo::Hash(_) => b"hash",
            Memo::Return(_) => b"return",
        });
        match memo {
            Memo::None => {}
            Memo::Text(text) => self.memo.set(row, escape::text(text).as_bytes()),
            Memo::Id(id) => self.memo.set(row, id.to_string().as_bytes()),
            Memo::Hash(hash) | Memo::Return(hash) => self.memo.set_base64(row, hash),
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { envelopes: true, fees: true, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        // Where there is no envelope the walk has refused the ledger.
        if let Some(envelope) = transaction.envelope
            && self.row(ledger, transaction, envelope).is_none()
        {
            let reason = "its result and the fees it was charged and paid back do not fit together";
            let (transaction, left) = (transaction.index, transaction.left);
            let refusal = Refusal { transaction, left, reason: reason.into() };
            self.refusal.get_or_insert(refusal);
        }
    }

    fn refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    forward_to_columns!(columns);
}
