//! Table `contract_data`: a row a change of a contract's storage. Version 1.0 is what the older
//! components served; 2.0 adds where the change happened and the exact balance.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};

use super::builder::{Settings, forward_to_columns};
use super::column::{Boolean, NullableDecimal, NullableUInt32, Timestamp, UInt32};
use super::columns::{columns, field};
use super::repeated::Repeated;
use super::table::{Older, Table};
use super::text::{NullableText, Text};
use crate::fixed_text::{Word, hex};
use crate::ledger::balance;
use crate::ledger::change::{self, CONTRACT_DATA, Change, ContractData, Entry, Kind, TTL};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction};
use crate::values::asset::{Asset, RawAsset};
use crate::values::{scval, sha256, strkey, xdr_json};
use crate::xdr::discriminants::{ContractDataDurability, LedgerEntryType};

const DESCRIPTION: &str = "A change of an entry in a contract's storage.";

pub(super) const CONTRACT_DATA_1: Table =
    Table { name: "contract_data", version: "1.0", description: DESCRIPTION, key: &[] };

pub(super) const CONTRACT_DATA_2: Table = Table {
    name: "contract_data",
    version: "2.0",
    description: DESCRIPTION,
    key: &["ledger_sequence", "transaction_index", "change_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    transaction_index: required UInt32 = "Place of the transaction in the order of application, from 1.",
    transaction_hash: required Repeated<Text> = "Hash of the transaction, hex.",
    operation_index: optional NullableUInt32 = "Index of the operation, from 0; null for changes of the whole transaction.",
    change_index: required UInt32 = "Place among the transaction's changes of contract data, from 0.",
    change_type: required Text = "created, updated, removed or restored.",
    contract_id: required Repeated<Text> = "Contract the entry belongs to, strkey.",
    contract_key_type: required Repeated<Text> = "Type of the key's ScVal, such as ScValTypeScvVec.",
    contract_durability: required Repeated<Text> = "ContractDataDurabilityPersistent or ContractDataDurabilityTemporary.",
    asset_code: optional NullableText = "Code of the asset, in the instance entry of its genuine contract.",
    asset_issuer: optional Repeated<NullableText> = "Issuer of the asset, in the instance entry of its genuine contract.",
    asset_type: optional Repeated<NullableText> = "Type of the asset, such as AssetTypeAssetTypeNative, in the instance entry of its genuine contract.",
    balance_holder: optional Repeated<NullableText> = "Contract that holds the balance, strkey.",
    balance: optional NullableDecimal = "Balance; null where it needs a 39th digit.",
    balance_text: optional NullableText = "Balance, exact.",
    last_modified_ledger: required UInt32 = "Ledger the shown state was written in.",
    deleted: required Boolean = "Whether the entry was removed; the row then shows its last state.",
    ledger_key_hash: optional Text = "sha256 of the entry's LedgerKey, hex.",
    key_xdr: optional Text = "Key, an ScVal as base64 XDR.",
    val_xdr: optional NullableText = "Value, an ScVal as base64 XDR.",
    contract_instance_type: optional NullableText = "wasm or stellar_asset, in instance entries.",
    contract_instance_wasm_hash: optional NullableText = "Hash of the instance's code, hex.",
    expiration_ledger_seq: optional NullableUInt32 = "Last ledger the entry lives in, if the same transaction wrote that; what it wrote last stands, even where it then removed the entry.",
    key_json: on_request NullableText = "Key, an ScVal as XDR-JSON (SEP-51).",
    val_json: on_request NullableText = "Value, an ScVal as XDR-JSON (SEP-51).",
}

/// The columns of version 1.0, in its order.
const OLDER_COLUMNS: [&str; 18] = [
    "contract_id",
    "contract_key_type",
    "contract_durability",
    "asset_code",
    "asset_issuer",
    "asset_type",
    "balance_holder",
    "balance",
    "last_modified_ledger",
    "deleted",
    "ledger_sequence",
    "closed_at",
    "ledger_key_hash",
    "key_xdr",
    "val_xdr",
    "contract_instance_type",
    "contract_instance_wasm_hash",
    "expiration_ledger_seq",
];

static TEMPORARY: Word = Word::new("ContractDataDurabilityTemporary");
static PERSISTENT: Word = Word::new("ContractDataDurabilityPersistent");

/// Builds version 2.0, of which 1.0 is a part.
pub(super) struct Builder {
    columns: Columns,
    settings: Settings,
    contracts: strkey::Recent,
    holders: strkey::Recent,
    /// (key hash, live until) the transaction at hand wrote, ordered by hash, the last one last.
    ttls: Vec<([u8; 32], u32)>,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        let columns = Columns::new(settings.decoded, settings.dictionaries);
        let recent = || strkey::Recent::new(strkey::CONTRACT);
        let (contracts, holders) = (recent(), recent());
        Self { columns, settings: settings.clone(), contracts, holders, ttls: Vec::new() }
    }

    pub(super) fn fields(decoded: bool) -> Vec<Field> {
        Columns::fields(decoded)
    }

    fn collect_ttls(&mut self, changes: &[Change<'_>]) {
        self.ttls.clear();
        self.ttls.extend(changes.iter().filter_map(|change| match change.entry {
            Entry::Ttl(ttl) if change.kind != Kind::Removed => {
                Some((*ttl.key_hash, ttl.live_until?))
            }
            _ => None,
        }));
        self.ttls.sort_by_key(|(hash, _)| *hash);
    }

    fn live_until(&self, key_hash: &[u8; 32]) -> Option<u32> {
        let after = self.ttls.partition_point(|(hash, _)| hash <= key_hash);
        let (hash, live_until) = self.ttls.get(after.checked_sub(1)?)?;
        (hash == key_hash).then_some(*live_until)
    }

    /// The asset whose genuine contract this instance entry is.
    fn asset(&self, data: &ContractData<'_>) -> Option<Asset> {
        if !scval::is_instance_key(data.key) {
            return None;
        }
        let asset = Asset::of_instance(data.val?)?;
        let derived = asset.contract_id(&self.settings.network_id);
        (scval::contract(data.contract) == Some(&derived)).then_some(asset)
    }

    fn wants(&self, change: &Change<'_>, data: &ContractData<'_>) -> bool {
        let filter = &self.settings.filter;
        let contract = scval::contract(data.contract);
        filter.change(change.kind)
            && filter.contract(contract)
            && (!filter.has_assets()
                || contract.is_some_and(|contract| {
                    filter.asset(contract, || self.asset(data).map(RawAsset::from))
                }))
    }

    fn row(
        &mut self,
        ledger: &Ledger<'_>,
        index: u32,
        change: &Change<'_>,
        data: &ContractData<'_>,
    ) {
        // A LedgerKey: its type, then the entry's contract, key and durability as they lie.
        let hash = sha256::of_tagged(LedgerEntryType::CONTRACT_DATA, data.ledger_key);
        let live_until = self.live_until(&hash);
        let asset = self.asset(data);
        let columns = &mut self.columns;
        let row = columns.rows;
        columns.rows += 1;
        if let Some(operation) = change.operation {
            columns.operation_index.set(row, operation);
        }
        columns.change_index.push(index);
        columns.change_type.word(change.kind.word());
        columns.contract(row, data, &mut self.contracts);
        columns.contract_key_type.word(row, scval::type_name(data.key));
        columns.contract_durability.word(row, durability(data));
        columns.last_modified_ledger.push(change.last_modified.unwrap_or(ledger.sequence));
        columns.deleted.push(change.kind == Kind::Removed);
        columns.ledger_key_hash.hex(&hash);
        columns.key_xdr.base64(data.key);
        if columns.decoded {
            columns.key_json.set_with(row, |out| xdr_json::append(data.key, out));
        }
        if let Some(live_until) = live_until {
            columns.expiration_ledger_seq.set(row, live_until);
        }
        if let Some(val) = data.val {
            columns.val_xdr.set_base64(row, val);
            columns.value(row, (data, val), asset, &mut self.holders);
        }
    }
}

impl Columns {
    fn contract(&mut self, row: usize, data: &ContractData<'_>, contracts: &mut strkey::Recent) {
        match scval::contract(data.contract) {
            Some(id) => self.contract_id.strkey(row, id, contracts),
            None => {
                let address = strkey::address(data.contract).unwrap_or_default();
                self.contract_id.set(row, address.as_bytes());
            }
        }
    }

    /// What the value says beyond its bytes.
    fn value(
        &mut self,
        row: usize,
        (data, val): (&ContractData<'_>, &[u8]),
        asset: Option<Asset>,
        holders: &mut strkey::Recent,
    ) {
        if self.decoded {
            self.val_json.set_with(row, |out| xdr_json::append(val, out));
        }
        if let Some((holder, amount)) = balance::read(data, val) {
            self.balance_holder.strkey(row, holder, holders);
            if amount < 10i128.pow(38) {
                self.balance.set(row, amount);
            }
            self.balance_text.set(row, amount.to_string().as_bytes());
        }
        if scval::is_instance_key(data.key) {
            match scval::executable(val) {
                Some(scval::Executable::Wasm(hash)) => {
                    self.contract_instance_type.set(row, b"wasm");
                    self.contract_instance_wasm_hash.set(row, &hex(hash));
                }
                Some(scval::Executable::StellarAsset) => {
                    self.contract_instance_type.set(row, b"stellar_asset");
                }
                None => {}
            }
        }
        if let Some(asset) = asset {
            self.asset_type.set(row, long_name(RawAsset::from(asset)).as_bytes());
            if let Asset::Credit { code, issuer } = asset {
                self.asset_code.set(row, code.as_str().as_bytes());
                self.asset_issuer.set(row, &strkey::encode(strkey::ACCOUNT, &issuer));
            }
        }
    }
}

/// Contract data that has rows; nonces have none.
#[inline]
fn told<'c, 'a>(entry: &'c Entry<'a>) -> Option<&'c ContractData<'a>> {
    match entry {
        Entry::ContractData(data) if !scval::is_nonce_key(data.key) => Some(data),
        _ => None,
    }
}

fn durability(data: &ContractData<'_>) -> &'static Word {
    match data.durability {
        ContractDataDurability::PERSISTENT => &PERSISTENT,
        _ => &TEMPORARY,
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { entries: CONTRACT_DATA | TTL, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        if transaction.changes.is_empty() {
            return;
        }
        self.collect_ttls(transaction.changes);
        let first = self.columns.rows;
        for (index, change, data) in change::numbered(transaction.changes, told) {
            if self.wants(change, data) {
                self.row(ledger, index, change, data);
            }
        }
        let columns = &mut self.columns;
        let rows = columns.rows;
        if rows > first {
            columns.transaction_index.fill(rows, transaction.index);
            columns.transaction_hash.fill_hex(rows, transaction.hash);
        }
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, _totals: &Totals<'_, '_>) {
        let columns = &mut self.columns;
        columns.ledger_sequence.fill(columns.rows, ledger.sequence);
        columns.closed_at.fill(columns.rows, ledger.closed_at());
    }

    forward_to_columns!(columns);
}

/// Version 1.0 out of version 2.0.
pub(super) const VERSION_1: Older = Older { fields: older_fields, columns: older_columns };

fn older_fields(newest: &[Field]) -> Vec<Field> {
    let find = |name: &&str| newest.iter().find(|field| field.name() == name).cloned();
    let older = |column: Field| match column.name().as_str() {
        "balance" => {
            let description = "Balance; null where it does not fit an int64.";
            field("balance", DataType::Int64, true, description)
        }
        _ => column,
    };
    OLDER_COLUMNS.iter().filter_map(find).map(older).collect()
}

fn older_columns(fields: &[Field], newest: &[ArrayRef]) -> Vec<ArrayRef> {
    let find = |name: &&str| {
        let at = fields.iter().position(|field| field.name() == name)?;
        let column = newest.get(at)?;
        Some(match *name {
            "balance" => narrow(column),
            _ => column.clone(),
        })
    };
    OLDER_COLUMNS.iter().filter_map(find).collect()
}

/// An asset's type as the Go SDK names it.
fn long_name(asset: RawAsset) -> &'static str {
    match asset {
        RawAsset::Native => "AssetTypeAssetTypeNative",
        RawAsset::Credit { long: false, .. } => "AssetTypeAssetTypeCreditAlphanum4",
        RawAsset::Credit { long: true, .. } => "AssetTypeAssetTypeCreditAlphanum12",
    }
}

/// Decimals as int64, null where they do not fit.
fn narrow(balance: &ArrayRef) -> ArrayRef {
    let exact = balance.as_primitive::<Decimal128Type>();
    let narrow: Int64Array = exact.iter().map(|value| i64::try_from(value?).ok()).collect();
    Arc::new(narrow)
}
