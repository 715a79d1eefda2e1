//! Table `ledgers`: a row a ledger, out of its header.

use super::builder::{Settings, forward_to_columns};
use super::column::{Int64, Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::Text;
use crate::fixed_text::hex;
use crate::ledger::header::Ledger;
use crate::ledger::visitor::Totals;

pub(super) const LEDGERS: Table = Table {
    name: "ledgers",
    version: "1.0",
    description: "A ledger: what its header says.",
    key: &["ledger_sequence"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    ledger_hash: required Text = "Hash of the ledger's header, hex.",
    previous_ledger_hash: required Text = "Hash of the header of the ledger before, hex.",
    closed_at: required Timestamp = "When the ledger closed.",
    protocol_version: required UInt32 = "Protocol the ledger was closed under.",
    total_coins: required Int64 = "Stroops in existence.",
    fee_pool: required Int64 = "Stroops in the fee pool.",
    base_fee: required UInt32 = "Least fee of an operation in stroops.",
    base_reserve: required UInt32 = "Reserve of an entry in stroops.",
    max_tx_set_size: required UInt32 = "Most operations (before protocol 11 transactions) of a ledger.",
    transaction_count: required UInt32 = "Transactions, failed ones too.",
    successful_transaction_count: required UInt32 = "Transactions that succeeded.",
    meta_version: required UInt32 = "Version of LedgerCloseMeta: 0, 1 or 2.",
    size_bytes: required UInt32 = "Bytes of the ledger's LedgerCloseMeta XDR.",
}

pub(super) struct Builder(Columns);

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(Columns::new(settings.decoded, settings.dictionaries))
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }
}

impl super::builder::Builder for Builder {
    fn ledger(&mut self, ledger: &Ledger<'_>, totals: &Totals<'_, '_>) {
        let columns = &mut self.0;
        columns.rows += 1;
        columns.ledger_sequence.push(ledger.sequence);
        columns.ledger_hash.push(&hex(ledger.hash));
        columns.previous_ledger_hash.push(&hex(ledger.previous_hash));
        columns.closed_at.push(ledger.closed_at());
        columns.protocol_version.push(ledger.protocol);
        columns.total_coins.push(ledger.total_coins);
        columns.fee_pool.push(ledger.fee_pool);
        columns.base_fee.push(ledger.base_fee);
        columns.base_reserve.push(ledger.base_reserve);
        columns.max_tx_set_size.push(ledger.max_tx_set_size);
        columns.transaction_count.push(totals.transactions);
        columns.successful_transaction_count.push(totals.successful);
        columns.meta_version.push(ledger.meta_version);
        columns.size_bytes.push(u32::try_from(totals.size).unwrap_or(u32::MAX));
    }

    forward_to_columns!(0);
}
