//! The columns that every typed table of storage has.

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, Field};
use sha2::{Digest, Sha256};

use super::event_rows::Found;
use super::fit::{Entries, elements};
use super::history::Executable;
use crate::fixed_text::{Word, hex};
use crate::ledger::change::{Change, ContractData, Kind};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::Transaction;
use crate::tables::column::{Boolean, NullableUInt32, Size, Timestamp, UInt32};
use crate::tables::columns::columns;
use crate::tables::text::{NullableText, Text};
use crate::values::{scval, strkey, xdr_json};
use crate::xdr::discriminants::{ContractDataDurability, LedgerEntryType, SCValType as Val};
use crate::xdr::layout::{ContractExecutable, SCVal};
use crate::xdr::{self, Input, skip};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Text = "Hash of the transaction, hex.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for changes of the whole transaction.",
    change_index: required UInt32 = "Place among the transaction's changes of contract data, from 0.",
    item_index: optional NullableUInt32 = "Place in the instance's storage, from 0; null for entries of their own.",
    change_type: required Text = "created, updated, removed or restored.",
    deleted: required Boolean = "Whether the entry was removed; the row then shows its last state.",
    contract_id: optional NullableText = "Contract the entry belongs to, strkey.",
    durability: required Text = "persistent, temporary or instance.",
    key_case: optional NullableText = "The union's case, or the symbol, that the key is.",
    ledger_key_hash: required Text = "sha256 of the entry's LedgerKey, hex.",
    wasm_hash: optional NullableText = "Hash of the code whose interface was looked at, hex; null for the Stellar Asset Contract, and where it is not known.",
    spec_status: required Text = "What became of the key under the contract's interface: decoded, ambiguous (it fits cases of several unions; the columns are of the first), mismatch (its values are not of the declared types), no_match (nothing is declared like it) or no_spec (no interface is known).",
    key_json: optional NullableText = "Key, an ScVal as XDR-JSON (SEP-51), where it is neither a union's case nor a symbol.",
    value_type: optional NullableText = "Type of the value; null where it has none that is known.",
    value_json: optional NullableText = "Value, an ScVal as XDR-JSON (SEP-51), where no column of its type holds it.",
    key_xdr: required Text = "Key, an ScVal as base64 XDR.",
    val_xdr: optional NullableText = "Value, an ScVal as base64 XDR.",
}

/// How many of the columns stand behind the contract's own.
pub const RAW: usize = 5;

/// The columns that make a row unique.
pub const KEY: &[&str] = &["ledger_sequence", "transaction_index", "change_index", "item_index"];

static DURABILITIES: [Word; 3] =
    [Word::new("temporary"), Word::new("persistent"), Word::new("instance")];

/// What a row is of.
pub struct Item<'r> {
    /// The change's place, as in contract_data.
    pub index: u32,
    /// Place in the instance's storage.
    pub item: Option<u32>,
    /// SCVal
    pub key: Input<'r>,
    /// SCVal
    pub val: Option<Input<'r>>,
    /// sha256 of the LedgerKey.
    pub key_hash: &'r [u8; 32],
}

/// What is known of the key and the value.
#[derive(Default)]
pub struct Told<'r> {
    /// The key's case or symbol.
    pub case: Option<&'r str>,
    /// The value's type.
    pub value_type: Option<&'r str>,
    /// Whether no column of its type holds the value.
    pub value_left: bool,
}

/// Rows in the making.
pub struct StorageRows(Columns);

impl StorageRows {
    /// None yet.
    pub fn new() -> Self {
        Self(Columns::new(false, false))
    }

    /// How much each column holds.
    pub fn sizes(&self) -> Vec<Size> {
        self.0.sizes()
    }

    /// Make room for so much in each column.
    pub fn reserve(&mut self, sizes: &[Size]) {
        self.0.reserve(sizes, 0);
    }

    /// The fields of the columns.
    pub fn fields() -> Vec<Field> {
        Columns::fields(false)
    }

    /// Add a row.
    pub fn push(
        &mut self,
        (ledger, transaction): (&Ledger<'_>, &Transaction<'_, '_>),
        (change, data): (&Change<'_>, &ContractData<'_>),
        item: &Item<'_>,
        (found, told): (&Found<'_>, &Told<'_>),
        contracts: &mut strkey::Recent,
    ) {
        let columns = &mut self.0;
        let row = columns.rows;
        columns.rows += 1;
        columns.ledger_sequence.push(ledger.sequence);
        columns.closed_at.push(ledger.closed_at());
        columns.transaction_index.push(transaction.index);
        columns.transaction_hash.hex(transaction.hash);
        if let Some(operation) = change.operation {
            columns.operation_index.set(row, operation);
        }
        columns.change_index.push(item.index);
        if let Some(item) = item.item {
            columns.item_index.set(row, item);
        }
        columns.change_type.word(change.kind.word());
        columns.deleted.push(change.kind == Kind::Removed);
        if let Some(contract) = scval::contract(data.contract) {
            columns.contract_id.set(row, contracts.encode(contract));
        }
        columns.durability.word(durability(data));
        columns.ledger_key_hash.hex(item.key_hash);
        if let Some(hash) = found.wasm {
            columns.wasm_hash.set(row, &hex(hash));
        }
        columns.spec_status.word(found.status.word());
        columns.key_xdr.base64(item.key);
        columns.tell(row, item, told);
    }

    /// Rows made so far.
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Forget the rows from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    /// A column that has outgrown Arrow's offsets.
    pub fn oversized(&self) -> Option<&'static str> {
        self.0.oversized()
    }

    /// Hand over the columns and begin anew.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.0.finish()
    }
}

impl Columns {
    fn tell(&mut self, row: usize, item: &Item<'_>, told: &Told<'_>) {
        match told.case {
            Some(case) => self.key_case.set(row, case.as_bytes()),
            None => self.key_json.set_with(row, |out| xdr_json::append(item.key, out)),
        }
        let Some(val) = item.val else { return };
        self.val_xdr.set_base64(row, val);
        if let Some(value_type) = told.value_type {
            self.value_type.set(row, value_type.as_bytes());
        }
        if told.value_left {
            self.value_json.set_with(row, |out| xdr_json::append(val, out));
        }
    }
}

fn durability(data: &ContractData<'_>) -> &'static Word {
    let [temporary, persistent, instance] = &DURABILITIES;
    match data.durability {
        _ if scval::is_instance_key(data.key) => instance,
        ContractDataDurability::PERSISTENT => persistent,
        _ => temporary,
    }
}

/// sha256 of the LedgerKey of an entry.
pub fn key_hash(ledger_key: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(LedgerEntryType::CONTRACT_DATA.to_be_bytes())
        .chain_update(ledger_key)
        .finalize()
        .into()
}

/// Keys and values of an instance's storage.
pub fn instance_items<'a>(instance: Input<'a>) -> Vec<(Input<'a>, Input<'a>)> {
    let items = || {
        let storage = skip::<ContractExecutable>(xdr::arm(instance, Val::CONTRACT_INSTANCE)?)?;
        let (present, body) = xdr::present(storage)?;
        let mut entries = Entries::of_body(body).filter(|_| present)?;
        let mut items = Vec::with_capacity(entries.count());
        while let Some(item) = entries.advance() {
            items.push(item);
        }
        Some(items)
    };
    items().unwrap_or_default()
}

/// The executable a topic of `executable_update` names: `["Wasm", hash]`, `["StellarAsset"]` or
/// `["ExternalRef", {owner, tag}]` (CAP-85).
pub fn executable_of_topic(topic: Input<'_>) -> Option<Executable> {
    let (_, first) = elements(topic)?;
    match scval::symbol(first)? {
        b"StellarAsset" => Some(Executable::StellarAsset),
        b"ExternalRef" => {
            let mut entries = Entries::of(skip::<SCVal>(first)?)?;
            let (_, owner) = entries.advance()?;
            let (_, tag) = entries.advance()?;
            let owner = scval::contract(xdr::arm(owner, Val::ADDRESS)?)?;
            Some(Executable::external(owner, scval::string(tag).or(scval::executable_tag(tag))?))
        }
        _ => {
            let hash = skip::<SCVal>(first)?;
            let (bytes, _) = xdr::opaque(xdr::arm(hash, Val::BYTES)?)?;
            Some(Executable::Wasm(bytes.try_into().ok()?))
        }
    }
}
