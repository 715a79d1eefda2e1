//! Table `token_transfers`: a row a movement of a token, as SEP-41 and CAP-67 tell them.

mod classic;
mod contract;
mod fees;
mod journal;
mod pools;
mod rows;
mod step;
mod token;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use super::builder::{Settings, Transfers};
use super::column::Size;
use super::table::Table;
use crate::ledger::envelope::Envelope;
use crate::ledger::header::Ledger;
use crate::ledger::operation::{OPERATION_NAMES, Operation, Operations, Outcome, Results};
use crate::ledger::visitor::{Needs, Refusal, Totals, Transaction};
use crate::xdr;
use crate::xdr::discriminants::OperationType;
use classic::Done;
use journal::{Journal, Seen};
use rows::Writer;
use step::Step;
use token::Tokens;

pub(super) const TOKEN_TRANSFERS: Table = Table {
    name: "token_transfers",
    version: "1.0",
    description: "A movement of a token: transfer, mint, burn, clawback or fee.",
    key: &["ledger_sequence", "event_index"],
};

/// The code of every operation's own result in a successful transaction.
const SUCCESS: u32 = 0;

pub(super) struct Builder {
    transfers: Transfers,
    journal: Journal,
    writer: Writer,
    refusal: Option<Refusal>,
}

impl Builder {
    pub(super) fn new(settings: &Settings) -> Self {
        let filter = settings.filter.clone();
        let tokens = Tokens::new(settings.network_id, filter.clone());
        let journal = Journal::new(tokens, filter);
        let (transfers, writer) = (settings.transfers, Writer::new(settings));
        Self { transfers, journal, writer, refusal: None }
    }

    pub(super) fn fields(decoded: bool) -> Vec<arrow_schema::Field> {
        Writer::fields(decoded)
    }

    fn derive(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        envelope: &Envelope<'_>,
        outcome: &Outcome<'_>,
    ) -> Result<(), String> {
        let of_fees = || {
            "what it was charged and paid back does not fit the changes of its account".to_owned()
        };
        fees::charge(&mut self.journal, transaction, envelope, outcome).ok_or_else(of_fees)?;
        if transaction.successful {
            self.operations(ledger, transaction, envelope, outcome)?;
        }
        fees::refund(&mut self.journal, ledger, transaction, envelope).ok_or_else(of_fees)
    }

    fn operations(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        envelope: &Envelope<'_>,
        outcome: &Outcome<'_>,
    ) -> Result<(), String> {
        let mut results = Results::new(outcome.results);
        for (index, operation) in (0..).zip(Operations::new(envelope.operations)) {
            let result = results.next().flatten();
            self.operation(ledger, transaction, envelope, (index, &operation), result).ok_or_else(
                || {
                    let name = OPERATION_NAMES.get(operation.kind as usize).unwrap_or(&"operation");
                    format!("the result or the changes of operation {index} ({name}) do not fit it")
                },
            )?;
        }
        Ok(())
    }

    fn operation<'a>(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, 'a>,
        envelope: &Envelope<'a>,
        (index, operation): (u32, &Operation<'a>),
        result: Option<(u32, &'a [u8])>,
    ) -> Option<()> {
        let (kind, (told, result)) = (operation.kind, result?);
        // stellar-core says of a passive offer what became of it as of any other offer.
        let passive = (OperationType::MANAGE_SELL_OFFER, OperationType::CREATE_PASSIVE_SELL_OFFER);
        if told != kind && (told, kind) != passive {
            return None;
        }
        if kind == OperationType::INVOKE_HOST_FUNCTION {
            contract::operation(&mut self.journal, transaction.events, (index, Some(kind)));
            return Some(());
        }
        if !classic::moves(kind) {
            return Some(());
        }
        let result = xdr::arm(result, SUCCESS)?;
        let changes = transaction.meta.changes(index);
        let mut step = Step::new(&mut self.journal, envelope, index, operation);
        classic::follow(&mut step, &Done { kind, body: operation.body, result, changes })?;
        // Since protocol 8 operations move no lumens but those they tell of.
        if ledger.protocol < 8 { step.reconcile(changes) } else { Some(()) }
    }

    fn unified(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        outcome: &Outcome<'_>,
    ) -> Result<(), String> {
        let of_fees = |reason| format!("its fee events are not as CAP-67 has them: {reason}");
        let refund = contract::fees(&mut self.journal, transaction).map_err(of_fees)?;
        if transaction.successful {
            let mut asked =
                transaction.envelope.map(|envelope| Operations::new(envelope.operations));
            let mut results = Results::new(outcome.results);
            for (index, _) in (0..).zip(&transaction.meta.operations) {
                // The walk has the envelope where the result alone does not tell the type.
                let told = results.next().flatten().map(|(kind, _)| kind);
                let kind = asked.as_mut().and_then(Iterator::next).map(|operation| operation.kind);
                let operation = (index, kind.or(told));
                contract::operation(&mut self.journal, transaction.events, operation);
            }
        }
        if let Some(refund) = refund {
            self.journal.record(fees::refund_part(ledger), refund);
        }
        Ok(())
    }

    fn told(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
    ) -> Result<(), String> {
        let outcome = Outcome::read(transaction.result)
            .ok_or_else(|| "its result is malformed".to_owned())?;
        match (self.transfers, transaction.envelope) {
            (Transfers::Unified, _) => self.unified(ledger, transaction, &outcome),
            (Transfers::Derive, Some(envelope)) => {
                self.derive(ledger, transaction, envelope, &outcome)
            }
            // The walk has refused the ledger already.
            (Transfers::Derive, None) => Ok(()),
        }
    }
}

impl super::builder::Builder for Builder {
    fn needs(&self) -> Needs {
        let unified = self.transfers == Transfers::Unified;
        let (envelopes, fees) = (!unified, !unified);
        Needs { envelopes, events: true, meta: true, fees, unified, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        let Transaction { index, hash, successful, .. } = *transaction;
        self.journal.transactions.push(Seen { index, hash: *hash, successful });
        if let Err(reason) = self.told(ledger, transaction) {
            let refusal = Refusal { transaction: index, left: transaction.left, reason };
            self.refusal.get_or_insert(refusal);
        }
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, _totals: &Totals) {
        self.writer.write(ledger, &self.journal);
        self.journal.clear();
    }

    fn refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    fn rows(&self) -> usize {
        self.writer.rows()
    }

    fn truncate(&mut self, rows: usize) {
        self.journal.clear();
        self.refusal = None;
        self.writer.truncate(rows);
    }

    fn sizes(&self) -> Vec<Size> {
        self.writer.sizes()
    }

    fn reserve(&mut self, sizes: &[Size], first: usize) {
        self.writer.reserve(sizes, first);
    }

    fn oversized(&self) -> Option<&'static str> {
        self.writer.oversized()
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.writer.finish()
    }
}
