//! Ledgers taken apart and put together wrongly, by what they are made of and not by their bytes.

use stellar_xdr::{
    LedgerCloseMeta, LedgerEntryChange, LedgerEntryChanges, TransactionMeta, TransactionResultMeta,
    VecM,
};

use crate::dice::Dice;

/// Ledgers of one transaction each, out of one of many.
pub fn small(meta: LedgerCloseMeta) -> Vec<LedgerCloseMeta> {
    let each = |at| {
        let mut meta = meta.clone();
        match &mut meta {
            LedgerCloseMeta::V0(meta) => {
                meta.tx_set = Default::default();
                meta.tx_processing = keep(&meta.tx_processing, at);
            }
            LedgerCloseMeta::V1(meta) => {
                meta.tx_set = Default::default();
                meta.tx_processing = keep(&meta.tx_processing, at);
            }
            LedgerCloseMeta::V2(meta) => {
                meta.tx_set = Default::default();
                meta.tx_processing = keep(&meta.tx_processing, at);
            }
        }
        meta
    };
    match transactions(&meta) {
        0..=3 => vec![meta],
        count => (0..count).step_by(count.div_ceil(40)).map(each).collect(),
    }
}

fn keep<T: Clone>(values: &VecM<T>, at: usize) -> VecM<T> {
    vec![values[at].clone()].try_into().unwrap_or_default()
}

fn transactions(meta: &LedgerCloseMeta) -> usize {
    match meta {
        LedgerCloseMeta::V0(meta) => meta.tx_processing.len(),
        LedgerCloseMeta::V1(meta) => meta.tx_processing.len(),
        LedgerCloseMeta::V2(meta) => meta.tx_processing.len(),
    }
}

/// One of the seeds, with parts of another and parts of its own in other places.
pub fn any(dice: &mut Dice, seeds: &[LedgerCloseMeta]) -> LedgerCloseMeta {
    let (mut meta, other) = (dice.pick(seeds).clone(), dice.pick(seeds));
    let mut foreign: Vec<_> =
        metas(&mut other.clone()).into_iter().map(|meta| meta.clone()).collect();
    for meta in metas(&mut meta) {
        match dice.below(4) {
            0 => {
                if let Some(more) = foreign.pop() {
                    *meta = more;
                }
            }
            1 => *meta = dice.arbitrary(2048),
            _ => groups(meta).into_iter().for_each(|group| shuffle(dice, group)),
        }
    }
    meta
}

fn metas(meta: &mut LedgerCloseMeta) -> Vec<&mut TransactionMeta> {
    match meta {
        LedgerCloseMeta::V0(meta) => applied(&mut meta.tx_processing),
        LedgerCloseMeta::V1(meta) => applied(&mut meta.tx_processing),
        LedgerCloseMeta::V2(meta) => {
            meta.tx_processing.iter_mut().map(|tx| &mut tx.tx_apply_processing).collect()
        }
    }
}

fn applied(processing: &mut VecM<TransactionResultMeta>) -> Vec<&mut TransactionMeta> {
    processing.iter_mut().map(|tx| &mut tx.tx_apply_processing).collect()
}

/// The groups of changes of a transaction.
fn groups(meta: &mut TransactionMeta) -> Vec<&mut LedgerEntryChanges> {
    match meta {
        TransactionMeta::V0(operations) => {
            operations.iter_mut().map(|op| &mut op.changes).collect()
        }
        TransactionMeta::V1(meta) => {
            let operations = meta.operations.iter_mut().map(|op| &mut op.changes);
            operations.chain([&mut meta.tx_changes]).collect()
        }
        TransactionMeta::V2(meta) => {
            let operations = meta.operations.iter_mut().map(|op| &mut op.changes);
            operations.chain([&mut meta.tx_changes_before, &mut meta.tx_changes_after]).collect()
        }
        TransactionMeta::V3(meta) => {
            let operations = meta.operations.iter_mut().map(|op| &mut op.changes);
            operations.chain([&mut meta.tx_changes_before, &mut meta.tx_changes_after]).collect()
        }
        TransactionMeta::V4(meta) => {
            let operations = meta.operations.iter_mut().map(|op| &mut op.changes);
            operations.chain([&mut meta.tx_changes_before, &mut meta.tx_changes_after]).collect()
        }
    }
}

/// Repeat, lose, swap and turn changes into others.
fn shuffle(dice: &mut Dice, group: &mut LedgerEntryChanges) {
    let mut changes = group.0.to_vec();
    for _ in 0..dice.below(4) {
        if changes.is_empty() {
            break;
        }
        let (one, other) = (dice.below(changes.len()), dice.below(changes.len()));
        match dice.below(4) {
            0 => changes.swap(one, other),
            1 => drop(changes.remove(one)),
            2 => changes.insert(other, changes[one].clone()),
            _ => changes[one] = turned(dice, &changes[one]),
        }
    }
    group.0 = changes.try_into().unwrap_or_default();
}

/// The same entry, with something else happening to it.
fn turned(dice: &mut Dice, change: &LedgerEntryChange) -> LedgerEntryChange {
    use LedgerEntryChange::{Created, Removed, Restored, State, Updated};
    match change {
        Removed(_) => dice.arbitrary(512),
        Created(entry) | Updated(entry) | State(entry) | Restored(entry) => match dice.below(5) {
            0 => Created(entry.clone()),
            1 => Updated(entry.clone()),
            2 => State(entry.clone()),
            3 => Restored(entry.clone()),
            _ => Removed(entry.to_key()),
        },
    }
}
