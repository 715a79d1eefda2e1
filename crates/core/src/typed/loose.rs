//! Rows of events and storage items that do not come out of ledgers, such as out of tables or an RPC.

use arrow_array::RecordBatch;

use super::builder::Builder;
use super::knowledge::Hash;
use super::plan::Plan;
use crate::error::{Error, Result, invalid};
use crate::ledger::change::{Change, ContractData, Entry, Kind};
use crate::ledger::event::Events;
use crate::ledger::header::Ledger;
use crate::ledger::meta::Meta;
use crate::ledger::visitor::{Transaction, Visitor};
use crate::xdr::discriminants::{ContractDataDurability, ContractEventType, SCAddressType};
use crate::xdr::layout::SCVal;
use crate::xdr::skip;

static NO_HASH: [u8; 32] = [0; 32];

/// Topics and data, each an SCVal.
pub type LooseEvent<'a> = (Vec<&'a [u8]>, &'a [u8]);

/// Key and value, each an SCVal.
pub type LooseItem<'a> = (&'a [u8], Option<&'a [u8]>);

/// Rows of events, by event_index, and of storage items, by change_index, of a contract: a batch for
/// each table of the plan that is wanted, `None` where it has no rows.
pub fn rows(
    plan: &Plan,
    wanted: &[bool],
    contract: &Hash,
    protocol: u32,
    events: &[LooseEvent<'_>],
    items: &[LooseItem<'_>],
) -> Result<Vec<Option<RecordBatch>>> {
    let values = events.iter().flat_map(|(topics, data)| topics.iter().chain([data]));
    let sound = |value: &&[u8]| skip::<SCVal>(value).is_some_and(<[u8]>::is_empty);
    let of_items = items.iter().flat_map(|(key, val)| [Some(key), val.as_ref()]);
    if let Some(bad) = values.chain(of_items.flatten()).find(|value| !sound(value)) {
        let reason = format!("{} bytes are not one ScVal", bad.len());
        return Err(Error::data(0, reason));
    }
    let mut read = Events::default();
    for (topics, data) in events {
        read.push(ContractEventType::CONTRACT, contract, topics, data);
    }
    let address = [&SCAddressType::CONTRACT.to_be_bytes(), contract.as_slice()].concat();
    let changes: Vec<_> = items.iter().map(|item| change(&address, item)).collect();
    let transaction = Loose { index: 0, changes: &changes, events: &read };
    let mut builder = Builder::new(plan, wanted);
    transaction.show(&ledger(protocol, 0), &mut builder);
    builder.finish().map_err(invalid)
}

/// A transaction of which only this is known.
pub(super) struct Loose<'w, 'a> {
    pub index: u32,
    pub changes: &'w [Change<'a>],
    pub events: &'w Events<'a>,
}

impl Loose<'_, '_> {
    /// Show it to a visitor.
    pub fn show(&self, ledger: &Ledger<'_>, visitor: &mut impl Visitor) {
        let transaction = Transaction {
            index: self.index,
            left: 0,
            hash: &NO_HASH,
            successful: true,
            changes: self.changes,
            events: self.events,
            envelope: None,
            result: &[],
            charged: &[],
            settled: &[],
            meta: &Meta::default(),
        };
        visitor.transaction(ledger, &transaction);
    }
}

fn change<'a>(address: &'a [u8], (key, val): &LooseItem<'a>) -> Change<'a> {
    let durability = ContractDataDurability::PERSISTENT;
    let data = ContractData { ledger_key: key, contract: address, key, durability, val: *val };
    Change {
        kind: Kind::Updated,
        operation: None,
        last_modified: None,
        entry: Entry::ContractData(data),
    }
}

/// A ledger of which only this is known.
pub(super) fn ledger(protocol: u32, sequence: u32) -> Ledger<'static> {
    Ledger {
        meta_version: 0,
        hash: &NO_HASH,
        header: &[],
        header_at: 0,
        protocol,
        previous_hash: &NO_HASH,
        tx_set_hash: &NO_HASH,
        results_hash: &NO_HASH,
        value_kind: 0,
        close_time: 0,
        sequence,
        sequence_at: 0,
        total_coins: 0,
        fee_pool: 0,
        base_fee: 0,
        base_reserve: 0,
        max_tx_set_size: 0,
    }
}
