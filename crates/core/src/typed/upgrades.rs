//! Tests of contracts whose code is replaced inside a ledger.

use super::Builder;
use super::history::Executable;
use super::knowledge::{Hash, Knowledge, Learner, Targets};
use super::loose::{Loose, ledger};
use super::plan::Plan;
use crate::contract::model::{Event, Field, Format, Model, Param, Type};
use crate::ledger::change::{Change, ContractData, Entry, Kind};
use crate::ledger::event::Events;
use crate::xdr::discriminants::{ContractEventType, SCSpecType};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, UInt64Type};

const CONTRACT: Hash = [7; 32];
const OLD: Hash = [1; 32];
const NEW: Hash = [2; 32];

fn symbol(text: &str) -> Vec<u8> {
    let mut value = [15u32.to_be_bytes(), (text.len() as u32).to_be_bytes()].concat();
    value.extend_from_slice(text.as_bytes());
    value.resize(value.len().next_multiple_of(4), 0);
    value
}

fn executable(hash: &Hash) -> Vec<u8> {
    let mut value = [16u32, 1, 2].map(u32::to_be_bytes).concat();
    value.extend(symbol("Wasm"));
    value.extend([13u32, 32].map(u32::to_be_bytes).concat());
    value.extend_from_slice(hash);
    value
}

fn instance(hash: &Hash) -> Vec<u8> {
    let mut value = [19u32, 0].map(u32::to_be_bytes).concat();
    value.extend_from_slice(hash);
    value.extend_from_slice(&[0; 4]);
    value
}

/// An event `moved` whose data is one value of a type.
fn model(arm: u32) -> Model {
    let field = Field { name: b"amount".to_vec(), kind: Type::Plain(arm) };
    let params = vec![Param { field, topic: false }];
    let prefix = vec![b"moved".to_vec()];
    let event = Event { name: b"Moved".to_vec(), prefix, params, format: Format::Single };
    Model { events: vec![event], ..Model::default() }
}

fn known(knowledge: &mut Knowledge) {
    knowledge.models.insert(OLD, Ok(model(SCSpecType::U64)));
    knowledge.models.insert(NEW, Ok(model(SCSpecType::I128)));
}

fn change<'a>(address: &'a [u8], key: &'a [u8], val: &'a [u8]) -> Change<'a> {
    let data =
        ContractData { ledger_key: key, contract: address, key, durability: 1, val: Some(val) };
    let entry = Entry::ContractData(data);
    Change { kind: Kind::Updated, operation: Some(0), last_modified: Some(1), entry }
}

#[test]
fn an_event_is_read_with_the_code_of_its_time_and_a_changed_type_gets_a_column_of_its_own() {
    let mut targets = Targets::default();
    targets.contracts.insert(CONTRACT);
    let mut knowledge = Knowledge::new(targets);
    known(&mut knowledge);
    let (moved, update) = (symbol("moved"), symbol("executable_update"));
    let (old, new, instance) = (executable(&OLD), executable(&NEW), instance(&NEW));
    let small = [&5u32.to_be_bytes()[..], &5u64.to_be_bytes()].concat();
    let large = [&10u32.to_be_bytes()[..], &9i128.to_be_bytes()].concat();
    let void = 1u32.to_be_bytes();
    let address = [&1u32.to_be_bytes()[..], &CONTRACT].concat();
    let key = 20u32.to_be_bytes();
    let changes = [change(&address, &key, &instance)];
    let mut events = Events::default();
    events.push(ContractEventType::CONTRACT, &CONTRACT, &[&moved], &small);
    events.push(ContractEventType::SYSTEM, &CONTRACT, &[&update, &old, &new], &void);
    events.push(ContractEventType::CONTRACT, &CONTRACT, &[&moved], &large);
    let upgrade = Loose { index: 2, changes: &changes, events: &events };
    let at = ledger(22, 100);
    upgrade.show(&at, &mut Learner::new(&mut knowledge, [0; 32]));

    let ran = knowledge.history(&CONTRACT).map(|history| history.at((100, 1)).after);
    assert_eq!(ran, Some(Some(Executable::Wasm(OLD))));
    let plan = Plan::of(&knowledge);
    let wanted: Vec<bool> =
        plan.tables.iter().map(|table| table.name.ends_with("/events/Moved")).collect();
    let mut builder = Builder::new(&plan, &wanted);
    upgrade.show(&at, &mut builder);
    let none: [Change<'_>; 0] = [];
    let mut late = Events::default();
    late.push(ContractEventType::CONTRACT, &CONTRACT, &[&moved], &small);
    Loose { index: 3, changes: &none, events: &late }.show(&at, &mut builder);
    let batches = builder.finish().expect("columns are sound");
    let [Some(rows)] = &batches[..] else { panic!("one table was wanted") };
    checked(rows);
}

fn checked(rows: &RecordBatch) {
    let text = |name: &str| -> Vec<String> {
        let column = rows.column_by_name(name).expect(name).as_string::<i32>();
        column.iter().map(|one| one.unwrap_or_default().chars().take(8).collect()).collect()
    };
    assert_eq!(text("wasm_hash"), ["01010101", "02020202", "02020202"]);
    assert_eq!(text("spec_status"), ["decoded", "decoded", "mismatch"]);
    let before =
        rows.column_by_name("amount").expect("of the old code").as_primitive::<UInt64Type>();
    assert_eq!(before.iter().collect::<Vec<_>>(), [Some(5), None, None]);
    let after = rows.column_by_name("amount_02020202").expect("of the new code");
    let after = after.as_primitive::<Decimal128Type>();
    assert_eq!(after.iter().collect::<Vec<_>>(), [None, Some(9), None]);
}
