//! Makes the rows of typed tables as the walk shows events and changes.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::event_rows::Found;
use super::fit::elements;
use super::history::{Executable, Write};
use super::interface::Key;
use super::interface::words_of;
use super::plan::Plan;
use super::routes::{StorageRoute, Version};
use super::status::Status;
use super::storage_rows::{Item, Told, instance_items, key_hash};
use super::table_rows::{Fixed, Table};
use super::typed_table::{Rows as Kind, Spec, Target};
use crate::ledger::change::{self, CONTRACT_DATA, Change, ContractData, Entry};
use crate::ledger::event::{Event, Events};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction, Visitor};
use crate::tables::{Rows, Size};
use crate::values::{escape, scval, strkey};
use crate::xdr::discriminants::ContractEventType;
use crate::xdr::layout::SCVal;
use crate::xdr::{Input, between, skip};

/// The first protocol whose Stellar Asset Contract leaves the admin out of its events (CAP-67).
const UNIFIED: u32 = 23;

type At<'t, 'l, 'w, 'a> = (&'t Ledger<'l>, &'t Transaction<'w, 'a>);

/// The rows in the making.
pub struct Builder<'p> {
    plan: &'p Plan,
    wanted: &'p [bool],
    /// Made when the first row comes: of thousands of tables few may have any.
    tables: Vec<Option<Table>>,
    contracts: strkey::Recent,
}

impl<'p> Builder<'p> {
    /// Rows of the tables of a plan that are wanted.
    pub fn new(plan: &'p Plan, wanted: &'p [bool]) -> Self {
        let tables = plan.tables.iter().map(|_| None).collect();
        Self { plan, wanted, tables, contracts: strkey::Recent::new(strkey::CONTRACT) }
    }

    /// Hand over a batch of each wanted table, in their order, and begin anew; `None` where it has no
    /// rows: thousands of empty columns take more room than the rows of others.
    pub fn finish(&mut self) -> Result<Vec<Option<RecordBatch>>, ArrowError> {
        let tables = self.tables.iter_mut().zip(&self.plan.tables).zip(self.wanted);
        let wanted = tables.filter(|(_, wanted)| **wanted);
        wanted
            .map(|((table, known), _)| {
                let Some(made) = table.as_mut().filter(|table| table.rows() > 0) else {
                    return Ok(None);
                };
                RecordBatch::try_new(known.schema.clone(), made.finish()?).map(Some)
            })
            .collect()
    }

    fn wants(&self, table: usize) -> bool {
        self.wanted.get(table).is_some_and(|wanted| *wanted)
    }

    fn wants_any(&self, rows: Kind) -> bool {
        let mut tables = self.plan.tables.iter().zip(self.wanted);
        tables.any(|(table, wanted)| *wanted && table.rows == rows)
    }

    /// The targets that want a contract's rows, and what it ran.
    fn targets(
        &self,
        contract: &[u8; 32],
        at: At<'_, '_, '_, '_>,
    ) -> Option<(Write, [Option<&'p Target>; 2])> {
        let plan = self.plan;
        let direct = plan.contracts.get(contract).and_then(|place| plan.targets.get(*place));
        if direct.is_none() && plan.wasms.is_empty() {
            return None;
        }
        let history = plan.histories.get(contract);
        let ran = history.map_or(Write { before: None, after: None }, |history| {
            history.at((at.0.sequence, at.1.index))
        });
        let of_wasm = [ran.after, ran.before].into_iter().flatten().find_map(|one| match one {
            Executable::Wasm(hash) => plan.targets.get(*plan.wasms.get(&hash)?),
            Executable::StellarAsset | Executable::External(_) => None,
        });
        (direct.is_some() || of_wasm.is_some()).then_some((ran, [direct, of_wasm]))
    }

    fn version(
        &self,
        target: &Target,
        ran: Option<Executable>,
        protocol: u32,
    ) -> Option<&'p Version> {
        let spec = match ran? {
            Executable::Wasm(hash) => Spec::Wasm(hash),
            Executable::StellarAsset => Spec::Asset(protocol >= UNIFIED),
            Executable::External(_) => return None,
        };
        self.plan.versions.get(*target.versions.get(&spec)?)
    }

    fn events<'a>(&mut self, at: At<'_, '_, '_, 'a>, events: &Events<'a>) {
        let mut values = Vec::new();
        for event in events.iter() {
            let Some(contract) = event.contract else { continue };
            if event.event_type == ContractEventType::DIAGNOSTIC {
                continue;
            }
            let Some((ran, targets)) = self.targets(contract, at) else { continue };
            for target in targets.into_iter().flatten() {
                self.event(at, (event, events.topics(event)), (target, ran), &mut values);
            }
        }
    }

    fn event<'a>(
        &mut self,
        at: At<'_, '_, '_, 'a>,
        (event, topics): (&Event<'a>, &[&'a [u8]]),
        (target, ran): (&'p Target, Write),
        values: &mut Vec<Option<Input<'a>>>,
    ) {
        let protocol = at.0.protocol;
        let before = self.version(target, ran.before.filter(|_| ran.before != ran.after), protocol);
        let after = self.version(target, ran.after.or(ran.before), protocol);
        let mut told = (Status::NoSpec, None, None);
        for version in before.into_iter().chain(after) {
            let (status, place) = version.interface.event(topics, event.data, values);
            let route = place.and_then(|place| version.events.get(place));
            told = (status, route, Some(version));
            if status.is_filled() {
                break;
            }
        }
        let (status, route, version) = told;
        let table = route.map_or(target.other_events, |route| route.table);
        if !self.wants(table) {
            return;
        }
        let Some(made) = slot(&mut self.tables, self.plan, table) else { return };
        let found = Found { wasm: version.and_then(|one| one.wasm.as_ref()), status };
        if let Fixed::Events(rows) = &mut made.fixed {
            rows.push(at, (event, topics), &found, &mut self.contracts);
        }
        if let Some(route) = route.filter(|_| status.is_filled()) {
            for (placed, value) in route.params.iter().zip(values) {
                made.set(placed, *value);
            }
        }
    }

    fn storage(&mut self, at: At<'_, '_, '_, '_>) {
        let changes = at.1.changes;
        for (index, change, data) in change::numbered(changes, told) {
            let Some(contract) = scval::contract(data.contract) else { continue };
            let Some((ran, targets)) = self.targets(contract, at) else { continue };
            let hash = key_hash(data.ledger_key);
            let items = match scval::is_instance_key(data.key) {
                true => data.val.map(instance_items).unwrap_or_default(),
                false => Vec::new(),
            };
            for target in targets.into_iter().flatten() {
                let whole =
                    Item { index, item: None, key: data.key, val: data.val, key_hash: &hash };
                self.item(at, (change, data), &whole, (target, ran));
                for (place, (key, val)) in (0..).zip(&items) {
                    let item = Item { item: Some(place), key, val: Some(val), ..whole };
                    self.item(at, (change, data), &item, (target, ran));
                }
            }
        }
    }

    fn item(
        &mut self,
        at: At<'_, '_, '_, '_>,
        (change, data): (&Change<'_>, &ContractData<'_>),
        item: &Item<'_>,
        (target, ran): (&'p Target, Write),
    ) {
        let before = ran.before.filter(|_| ran.before != ran.after);
        let candidates = [ran.after.or(ran.before), before];
        let mut found = (Status::NoSpec, Key::Other, None);
        for executable in candidates {
            if let Some(version) = self.version(target, executable, at.0.protocol) {
                let (status, key) = version.interface.key(item.key);
                if found.2.is_none() || status.is_filled() {
                    found = (status, key, Some(version));
                }
                if status.is_filled() {
                    break;
                }
            }
        }
        let (status, key, version) = found;
        let route = version
            .map_or(&target.other_storage, |version| version.storage(key, scval::symbol(item.key)));
        if !self.wants(route.table) {
            return;
        }
        self.storage_row(at, (change, data), item, (status, version, route));
    }

    fn storage_row(
        &mut self,
        at: At<'_, '_, '_, '_>,
        of: (&Change<'_>, &ContractData<'_>),
        item: &Item<'_>,
        (status, version, route): (Status, Option<&'p Version>, &'p StorageRoute),
    ) {
        let kind =
            version.zip(item.val).map(|(version, val)| (version, version.interface.value(val)));
        let placed = kind.and_then(|(_, kind)| route.values.get(&kind));
        let symbol = scval::symbol(item.key).map(escape::text);
        let told = Told {
            case: route.name.as_deref().or(symbol.as_deref()),
            value_type: kind.and_then(|(version, kind)| words_of(&version.interface, kind)),
            value_left: placed.is_none(),
        };
        let found = Found { wasm: version.and_then(|one| one.wasm.as_ref()), status };
        let Some(made) = slot(&mut self.tables, self.plan, route.table) else { return };
        if let Fixed::Storage(rows) = &mut made.fixed {
            rows.push(at, of, item, (&found, &told), &mut self.contracts);
        }
        if let Some(placed) = placed {
            made.set(placed, item.val);
        }
        if let Some(version) = version
            && let Some(placed) = route.keys.get(&version.interface.value(item.key))
        {
            made.set(placed, Some(item.key));
        }
        if status.is_filled() && !route.arguments.is_empty() {
            arguments(made, route, item.key);
        }
    }
}

/// A table to add a row to.
fn slot<'t>(tables: &'t mut [Option<Table>], plan: &Plan, place: usize) -> Option<&'t mut Table> {
    let known = plan.tables.get(place)?;
    Some(tables.get_mut(place)?.get_or_insert_with(|| Table::new(known)))
}

/// Write the values of a key that is a union's case.
fn arguments(table: &mut Table, route: &StorageRoute, key: Input<'_>) {
    let Some(mut bytes) = elements(key).and_then(|(_, first)| skip::<SCVal>(first)) else { return };
    for placed in &route.arguments {
        let Some(rest) = skip::<SCVal>(bytes) else { return };
        table.set(placed, Some(between(bytes, rest)));
        bytes = rest;
    }
}

/// Contract data that has rows; nonces have none.
fn told<'c, 'a>(entry: &'c Entry<'a>) -> Option<&'c ContractData<'a>> {
    match entry {
        Entry::ContractData(data) if !scval::is_nonce_key(data.key) => Some(data),
        _ => None,
    }
}

impl Visitor for Builder<'_> {
    fn needs(&self) -> Needs {
        let entries = if self.wants_any(Kind::Storage) { CONTRACT_DATA } else { 0 };
        Needs { entries, events: self.wants_any(Kind::Events), ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        self.events((ledger, transaction), transaction.events);
        self.storage((ledger, transaction));
    }

    fn ledger(&mut self, _: &Ledger<'_>, _: &Totals<'_, '_>) {}
}

impl Rows for Builder<'_> {
    fn rows(&self) -> Vec<usize> {
        self.tables.iter().map(|table| table.as_ref().map_or(0, Table::rows)).collect()
    }

    fn truncate(&mut self, rows: &[usize]) {
        for (table, rows) in self.tables.iter_mut().zip(rows) {
            if let Some(table) = table {
                table.truncate(*rows);
            }
        }
    }

    fn sizes(&self) -> Vec<Vec<Size>> {
        let sizes = |table: &Option<Table>| table.as_ref().map(Table::sizes).unwrap_or_default();
        self.tables.iter().map(sizes).collect()
    }

    fn reserve(&mut self, sizes: &[Vec<Size>], times: f64) {
        for (place, sizes) in sizes.iter().enumerate().filter(|(_, sizes)| !sizes.is_empty()) {
            let sizes: Vec<_> = sizes.iter().map(|size| size.times(times)).collect();
            if let Some(table) = slot(&mut self.tables, self.plan, place) {
                table.reserve(&sizes);
            }
        }
    }

    fn oversized(&self) -> Option<String> {
        self.tables.iter().flatten().find_map(Table::oversized).map(str::to_owned)
    }
}
