//! Ledgers full of what random bytes rarely make: changes that belong together, balances, instances
//! of asset contracts, TTLs, events with names.

pub mod code;
mod storage;

use stellar_xdr::{
    ContractEvent, ContractEventBody, DiagnosticEvent, LedgerCloseMeta, LedgerEntryChanges,
    OperationMeta, OperationMetaV2, ScSymbol, ScVal, SorobanTransactionMeta, TransactionEvent,
    TransactionMeta, TransactionMetaV1, TransactionMetaV2, TransactionMetaV3, TransactionMetaV4,
    TransactionResultMeta, TransactionResultMetaV1, TransactionResultPair, TransactionResultResult,
    VecM,
};

use crate::dice::Dice;
use crate::sealed::entry;
use storage::Slot;

/// A ledger whose transactions write to the same few slots of storage again and again.
pub fn ledger(dice: &mut Dice) -> LedgerCloseMeta {
    let mut meta: LedgerCloseMeta = dice.arbitrary(1024);
    let slots: Vec<Slot> = (0..6).map(|_| Slot::any(dice)).collect();
    match &mut meta {
        LedgerCloseMeta::V0(meta) => meta.tx_processing = list(dice, |dice| result(dice, &slots)),
        LedgerCloseMeta::V1(meta) => meta.tx_processing = list(dice, |dice| result(dice, &slots)),
        LedgerCloseMeta::V2(meta) => {
            meta.tx_processing = list(dice, |dice| result_v1(dice, &slots))
        }
    }
    if dice.one_in(3) {
        entry(&mut meta).header.ledger_version %= 13;
    }
    meta
}

/// None to three values.
fn list<T, const MAX: u32>(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> T) -> VecM<T, MAX> {
    let values: Vec<T> = (0..dice.below(4)).map(|_| one(dice)).collect();
    values.try_into().unwrap_or_else(|_| panic!("three are too many"))
}

fn result(dice: &mut Dice, slots: &[Slot]) -> TransactionResultMeta {
    let mut result: TransactionResultPair = dice.arbitrary(256);
    if dice.one_in(4) {
        result.result.result = TransactionResultResult::TxInternalError;
    }
    TransactionResultMeta {
        result,
        fee_processing: changes(dice, slots),
        tx_apply_processing: meta(dice, slots),
    }
}

fn result_v1(dice: &mut Dice, slots: &[Slot]) -> TransactionResultMetaV1 {
    let TransactionResultMeta { result, fee_processing, tx_apply_processing } = result(dice, slots);
    TransactionResultMetaV1 {
        ext: Default::default(),
        result,
        fee_processing,
        tx_apply_processing,
        post_tx_apply_fee_processing: changes(dice, slots),
    }
}

fn meta(dice: &mut Dice, slots: &[Slot]) -> TransactionMeta {
    match dice.below(7) {
        0 => TransactionMeta::V0(operations(dice, slots)),
        1 => TransactionMeta::V1(TransactionMetaV1 {
            tx_changes: changes(dice, slots),
            operations: operations(dice, slots),
        }),
        2 => TransactionMeta::V2(TransactionMetaV2 {
            tx_changes_before: changes(dice, slots),
            operations: operations(dice, slots),
            tx_changes_after: changes(dice, slots),
        }),
        3 | 4 => TransactionMeta::V3(TransactionMetaV3 {
            tx_changes_before: changes(dice, slots),
            operations: operations(dice, slots),
            tx_changes_after: changes(dice, slots),
            soroban_meta: (!dice.one_in(4)).then(|| soroban(dice)),
            ..Default::default()
        }),
        _ => TransactionMeta::V4(TransactionMetaV4 {
            tx_changes_before: changes(dice, slots),
            operations: list(dice, |dice| OperationMetaV2 {
                changes: changes(dice, slots),
                events: list(dice, event),
                ..Default::default()
            }),
            tx_changes_after: changes(dice, slots),
            soroban_meta: dice.arbitrary(128),
            events: list(dice, |dice| TransactionEvent {
                stage: dice.arbitrary(4),
                event: event(dice),
            }),
            diagnostic_events: list(dice, diagnostic),
            ..Default::default()
        }),
    }
}

fn operations(dice: &mut Dice, slots: &[Slot]) -> VecM<OperationMeta> {
    list(dice, |dice| OperationMeta { changes: changes(dice, slots) })
}

fn soroban(dice: &mut Dice) -> SorobanTransactionMeta {
    SorobanTransactionMeta {
        ext: dice.arbitrary(64),
        events: list(dice, event),
        return_value: dice.arbitrary(64),
        diagnostic_events: list(dice, diagnostic),
    }
}

fn diagnostic(dice: &mut Dice) -> DiagnosticEvent {
    DiagnosticEvent { in_successful_contract_call: dice.one_in(2), event: event(dice) }
}

/// An event, often one whose first topic is a symbol, sometimes of bytes that are no UTF-8.
fn event(dice: &mut Dice) -> ContractEvent {
    let mut event: ContractEvent = dice.arbitrary(256);
    let name: Vec<u8> = match dice.below(4) {
        0 => return event,
        1 => b"transfer".to_vec(),
        2 => "µ\t\\\0".into(),
        _ => (0..dice.below(33)).map(|_| *dice.pick(b"a\\\0\t\r\n\x7f\xff\xc3\"~ ")).collect(),
    };
    let ContractEventBody::V0(body) = &mut event.body;
    let mut topics = body.topics.to_vec();
    topics.insert(0, ScVal::Symbol(ScSymbol(name.try_into().unwrap())));
    body.topics = topics.try_into().unwrap();
    event
}

/// Changes of the slots and of anything else.
fn changes(dice: &mut Dice, slots: &[Slot]) -> LedgerEntryChanges {
    let mut changes = Vec::new();
    for _ in 0..dice.below(5) {
        match dice.below(8) {
            0 => changes.push(dice.arbitrary(512)),
            1 => code::changes(dice, &mut changes),
            _ => dice.pick(slots).clone().changes(dice, &mut changes),
        }
    }
    if dice.one_in(4) && changes.len() > 1 {
        let (one, other) = (dice.below(changes.len()), dice.below(changes.len()));
        changes.swap(one, other); // tears a state from what it belongs to
    }
    LedgerEntryChanges(changes.try_into().unwrap())
}
