//! Fees and refunds, out of results and the changes of the account that pays.

use super::journal::{Journal, Movement, Part};
use crate::ledger::envelope::Envelope;
use crate::ledger::fee;
use crate::ledger::header::Ledger;
use crate::ledger::operation::Outcome;
use crate::ledger::token_event::{Kind, Memo};
use crate::ledger::visitor::Transaction;
use crate::values::address::Address;

/// The part a refund belongs to: since protocol 23 they are paid after all transactions (CAP-62).
pub fn refund_part(ledger: &Ledger<'_>) -> Part {
    if ledger.protocol >= 23 { Part::Refunds } else { Part::Operations }
}

/// Write down what a transaction was charged before it was applied. `None` where that cannot be.
pub fn charge(
    journal: &mut Journal,
    transaction: &Transaction<'_, '_>,
    envelope: &Envelope<'_>,
    outcome: &Outcome<'_>,
) -> Option<()> {
    let account = envelope.fee_account().key;
    let charged = match envelope.soroban {
        false => outcome.fee_charged,
        // The result's fee is the one after the refund.
        true => fee::rise(transaction.charged, account)?.checked_neg()?,
    };
    if envelope.soroban && charged < 0 {
        return None;
    }
    journal.record(Part::Fees, movement(journal, account, charged));
    Some(())
}

/// Write down what a Soroban transaction got back. `None` where that cannot be.
pub fn refund(
    journal: &mut Journal,
    ledger: &Ledger<'_>,
    transaction: &Transaction<'_, '_>,
    envelope: &Envelope<'_>,
) -> Option<()> {
    if !envelope.soroban {
        return Some(());
    }
    let account = envelope.fee_account().key;
    let refunded = fee::rise(transaction.settled, account)?;
    if refunded > 0 {
        let movement = movement(journal, account, refunded.checked_neg()?);
        journal.record(refund_part(ledger), movement);
    }
    (refunded >= 0).then_some(())
}

fn movement(journal: &Journal, account: &[u8; 32], amount: i64) -> Movement<'static> {
    Movement {
        kind: Kind::Fee,
        token: journal.tokens.native(),
        from: Some(Address::account(account)),
        to: None,
        amount: amount.into(),
        memo: Memo::None,
        operation: None,
    }
}
