//! Movements that contract events tell.

use super::journal::{Journal, Movement, Part};
use super::step;
use crate::ledger::event::Events;
use crate::ledger::token_event::{Kind, Memo, Reading, TokenEvent};
use crate::ledger::visitor::Transaction;
use crate::values::asset::RawAsset;

const NO_FEE: &str = "there is none; a node that emits no events for classic operations wrote the \
                      ledger, ask for derived transfers";

/// Write down what the events of an operation tell; those not of a token are passed over, those
/// that deviate are the rows of `token_transfer_anomalies`.
pub fn operation(journal: &mut Journal, events: &Events<'_>, operation: (u32, Option<u32>)) {
    for event in events.of_operation(operation.0) {
        let reading = Reading::of_operation(event, events.topics(event));
        let (Reading::Token(token), Some(contract)) = (reading, event.contract) else { continue };
        let id = journal.tokens.of_contract(contract, token.asset);
        let token = match journal.tokens.get(id).and_then(|known| known.asset) {
            Some(asset) => as_unified(token, asset),
            None => token,
        };
        let TokenEvent { kind, from, to, amount, memo, .. } = token;
        let operation = Some(operation);
        let movement = Movement { kind, token: id, from, to, amount, memo, operation };
        journal.record(Part::Operations, movement);
    }
}

/// Up to protocol 22 the Stellar Asset Contract called it a transfer where an issuer paid out or
/// took in; CAP-67 calls it a mint or a burn.
fn as_unified(event: TokenEvent<'_>, asset: RawAsset) -> TokenEvent<'_> {
    let (Kind::Transfer, Some(from), Some(to)) = (event.kind, event.from, event.to) else {
        return event;
    };
    match step::sides(asset, from.plain(), to.plain()) {
        (Kind::Transfer, ..) => event,
        (Kind::Burn, from, to) => {
            TokenEvent { kind: Kind::Burn, from, to, memo: Memo::None, ..event }
        }
        (kind, from, to) => TokenEvent { kind, from, to, ..event },
    }
}

/// Write down the fee a transaction's own events tell (CAP-67), and return the refund if there is
/// one.
pub fn fees(
    journal: &mut Journal,
    transaction: &Transaction<'_, '_>,
) -> Result<Option<Movement<'static>>, &'static str> {
    let native = journal.tokens.native_contract();
    let events = transaction.events;
    let mut found: [Option<Movement<'static>>; 2] = [None, None];
    for event in &events.transaction {
        let event = match Reading::of_transaction(event, events.topics(event), &native) {
            Reading::Token(event) => event,
            Reading::Deviant(reason) => return Err(reason),
            Reading::Other => continue,
        };
        let free = found.iter_mut().find(|movement| movement.is_none());
        *free.ok_or("there are more than two")? = Some(Movement {
            kind: Kind::Fee,
            token: journal.tokens.native(),
            from: event.from,
            to: None,
            amount: event.amount,
            memo: Memo::None,
            operation: None,
        });
    }
    let [fee, refund] = found;
    journal.record(Part::Fees, fee.ok_or(NO_FEE)?);
    Ok(refund)
}
