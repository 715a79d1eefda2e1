//! What a Soroban transaction paid and got back: its result has only the difference, the changes
//! of the paying account have both.

use crate::ledger::change::Kind;
use crate::ledger::entry::{self, Pairs};
use crate::xdr::Input;

/// How much an account's balance rose over some LedgerEntryChanges; `None` where the sum cannot be.
pub fn rise(changes: &[Input<'_>], account: &[u8; 32]) -> Option<i64> {
    let (mut start, mut end) = (0i64, 0i64);
    for pair in changes.iter().flat_map(|changes| Pairs::new(changes)) {
        if pair.kind != Kind::Updated {
            continue;
        }
        if let Some(balance) = balance(pair.before, account) {
            start = balance;
        }
        if let Some(balance) = balance(pair.after, account) {
            end = balance;
        }
    }
    end.checked_sub(start)
}

fn balance(side: Option<Input<'_>>, account: &[u8; 32]) -> Option<i64> {
    let (key, balance) = entry::account(side?)?;
    (key == account).then_some(balance)
}
