//! What a Soroban transaction paid and got back: its result has only the difference, the changes
//! of the paying account have both.

use crate::ledger::entry;
use crate::xdr::discriminants::LedgerEntryChangeType;
use crate::xdr::layout::{LedgerEntry, LedgerEntryChange};
use crate::xdr::{self, Input, skip};

/// An entry that was written again, each side a LedgerEntry.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    before: Option<Input<'a>>,
    after: Input<'a>,
}

/// Pass over LedgerEntryChanges and note what was written again.
pub fn read<'a>(changes: Input<'a>, updates: &mut Vec<Update<'a>>) -> Option<Input<'a>> {
    let (count, mut bytes) = xdr::u32(changes)?;
    let mut before = None;
    for _ in 0..count {
        let (arm, body) = xdr::u32(bytes)?;
        let last = before.take();
        bytes = match arm {
            LedgerEntryChangeType::STATE | LedgerEntryChangeType::RESTORED => {
                before = Some(body);
                skip::<LedgerEntry>(body)?
            }
            LedgerEntryChangeType::UPDATED => {
                updates.push(Update { before: last, after: body });
                skip::<LedgerEntry>(body)?
            }
            _ => skip::<LedgerEntryChange>(bytes)?,
        };
    }
    Some(bytes)
}

/// How much an account's balance rose over some updates; `None` where the sum cannot be.
pub fn rise(updates: &[Update<'_>], account: &[u8; 32]) -> Option<i64> {
    let (mut start, mut end) = (0i64, 0i64);
    for update in updates {
        if let Some(balance) = balance(update.before, account) {
            start = balance;
        }
        if let Some(balance) = balance(Some(update.after), account) {
            end = balance;
        }
    }
    end.checked_sub(start)
}

fn balance(side: Option<Input<'_>>, account: &[u8; 32]) -> Option<i64> {
    // The ledger of its last change stands before the entry's data.
    let (key, balance) = entry::account(side?.get(4..)?)?;
    (key == account).then_some(balance)
}
