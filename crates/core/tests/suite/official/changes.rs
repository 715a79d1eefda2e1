//! Changes of ledger entries in the order of rows.

use stellar_xdr::{
    LedgerCloseMeta, LedgerEntry, LedgerEntryChange, LedgerEntryChanges, LedgerKey,
    TransactionMeta, TransactionResultResult,
};

use super::{Transaction, cell, parts, place};
use crate::rows::Row;
use crate::sealed::{encode, header};

/// A change and the state it shows: the new one, for a removal the last one if it is told.
pub struct Change<'a> {
    pub kind: &'static str,
    pub operation: Option<u32>,
    pub key: LedgerKey,
    pub shown: Option<&'a LedgerEntry>,
}

/// The changes of a transaction that took effect.
pub fn changes<'a>(meta: &LedgerCloseMeta, transaction: &Transaction<'a>) -> Vec<Change<'a>> {
    groups(header(meta).ledger_version, transaction)
        .into_iter()
        .flat_map(|(operation, group)| ordered(operation, group))
        .collect()
}

/// The columns that tables of changes have in common, but for the transaction's hash.
pub fn common(
    meta: &LedgerCloseMeta,
    transaction: &Transaction<'_>,
    index: u32,
    change: &Change<'_>,
) -> Row {
    let mut row = place(meta, transaction);
    row.truncate(3);
    row.extend([
        cell("change_index", index),
        cell("change_type", change.kind),
        cell("deleted", change.kind == "removed"),
    ]);
    row
}

/// The ledger the shown state was written in; this one where no state is told.
pub fn last_modified(meta: &LedgerCloseMeta, change: &Change<'_>) -> u32 {
    change.shown.map_or(header(meta).ledger_seq, |entry| entry.last_modified_ledger_seq)
}

fn ordered(operation: Option<u32>, group: &LedgerEntryChanges) -> Vec<Change<'_>> {
    let (mut changes, mut before) = (Vec::new(), None::<&LedgerEntry>);
    for change in group.0.iter() {
        let (kind, key, shown) = match change {
            LedgerEntryChange::State(entry) => {
                before = Some(entry);
                continue;
            }
            LedgerEntryChange::Created(entry) => ("created", entry.to_key(), Some(entry)),
            LedgerEntryChange::Updated(entry) => ("updated", entry.to_key(), Some(entry)),
            LedgerEntryChange::Restored(entry) => ("restored", entry.to_key(), Some(entry)),
            LedgerEntryChange::Removed(key) => {
                let last = before.filter(|entry| entry.to_key() == *key);
                ("removed", key.clone(), last)
            }
        };
        before = shown;
        changes.push(Change { kind, operation, key, shown });
    }
    changes.sort_by_cached_key(|change| encode(&change.key));
    changes
}

type Group<'a> = (Option<u32>, &'a LedgerEntryChanges);

/// The groups of changes that took effect, with the operation each belongs to.
fn groups<'a>(protocol: u32, transaction: &Transaction<'a>) -> Vec<Group<'a>> {
    let (before, operations, after): (_, Vec<_>, _) = match transaction.meta {
        TransactionMeta::V0(operations) => (None, parts(operations, |op| &op.changes), None),
        TransactionMeta::V1(meta) => {
            (Some(&meta.tx_changes), parts(&meta.operations, |op| &op.changes), None)
        }
        TransactionMeta::V2(meta) => (
            Some(&meta.tx_changes_before),
            parts(&meta.operations, |op| &op.changes),
            Some(&meta.tx_changes_after),
        ),
        TransactionMeta::V3(meta) => (
            Some(&meta.tx_changes_before),
            parts(&meta.operations, |op| &op.changes),
            Some(&meta.tx_changes_after),
        ),
        TransactionMeta::V4(meta) => (
            Some(&meta.tx_changes_before),
            parts(&meta.operations, |op| &op.changes),
            Some(&meta.tx_changes_after),
        ),
    };
    let undone =
        protocol <= 12 && matches!(transaction.result, TransactionResultResult::TxInternalError);
    let mut groups: Vec<Group<'a>> = before.map(|group| (None, group)).into_iter().collect();
    if !undone {
        groups.extend((0..).map(Some).zip(operations));
        groups.extend(after.map(|group| (None, group)));
    }
    groups
}
