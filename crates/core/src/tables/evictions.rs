//! Table `evictions`: a row an entry that left the ledger because its time to live had passed.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::builder::{Settings, forward_to_columns};
use super::column::{Timestamp, UInt32};
use super::columns::columns;
use super::table::Table;
use super::text::Text;
use crate::filter::Filter;
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals};
use crate::values::scval;
use crate::xdr;
use crate::xdr::discriminants::LedgerEntryType;

pub(super) const EVICTIONS: Table = Table {
    name: "evictions",
    version: "1.0",
    description: "An entry that left the ledger because its time to live had passed.",
    key: &["ledger_sequence", "eviction_index"],
};

columns! {
    ledger_sequence: required UInt32 = "Sequence number of the ledger.",
    closed_at: required Timestamp = "When the ledger closed.",
    eviction_index: required UInt32 = "Place among the ledger's evictions, from 0.",
    ledger_key_hash: required Text = "sha256 of the LedgerKey, hex.",
    key_type: required Text = "Type of the entry, such as LedgerEntryTypeContractData.",
    ledger_key_xdr: required Text = "LedgerKey as base64 XDR.",
}

/// The Go SDK's names of LedgerEntryType, by value.
const TYPES: [&str; 10] = [
    "LedgerEntryTypeAccount",
    "LedgerEntryTypeTrustline",
    "LedgerEntryTypeOffer",
    "LedgerEntryTypeData",
    "LedgerEntryTypeClaimableBalance",
    "LedgerEntryTypeLiquidityPool",
    "LedgerEntryTypeContractData",
    "LedgerEntryTypeContractCode",
    "LedgerEntryTypeConfigSetting",
    "LedgerEntryTypeTtl",
];

pub(super) struct Builder {
    columns: Columns,
    filter: Arc<Filter>,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            columns: Columns::new(settings.decoded, settings.dictionaries),
            filter: settings.filter.clone(),
        }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Columns::fields(decoded)
    }
}

/// Of evicted entries only contract data tells its contract.
fn wants(filter: &Filter, key: &[u8]) -> bool {
    let contract = xdr::arm(key, LedgerEntryType::CONTRACT_DATA)
        .and_then(|data| scval::contract(data.get(..36)?));
    filter.contract(contract)
        && (!filter.has_assets()
            || contract.is_some_and(|contract| filter.asset(contract, || None)))
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        Needs { evictions: true, ..Needs::default() }
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, totals: &Totals<'_, '_>) {
        let columns = &mut self.columns;
        for (index, key) in (0..).zip(totals.evicted) {
            if !wants(&self.filter, key) {
                continue;
            }
            columns.rows += 1;
            columns.eviction_index.push(index);
            columns.ledger_key_hash.hex(&Sha256::digest(key).into());
            let name = xdr::u32(key).and_then(|(kind, _)| TYPES.get(kind as usize));
            columns.key_type.push(name.unwrap_or(&"").as_bytes());
            columns.ledger_key_xdr.base64(key);
        }
        columns.ledger_sequence.fill(columns.rows, ledger.sequence);
        columns.closed_at.fill(columns.rows, ledger.closed_at());
    }

    forward_to_columns!(columns);
}
