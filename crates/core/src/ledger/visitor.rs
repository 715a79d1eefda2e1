//! What the walk shows, and to whom.

use super::change::{Change, EntryTypes};
use super::envelope::Envelope;
use super::event::Events;
use super::fee::Update;
use super::header::Ledger;
use super::meta::Meta;

/// Is shown a ledger as the walk goes over it: its transactions as they were applied, then the whole.
pub trait Visitor {
    /// What it has to be shown; the walk passes over the rest.
    fn needs(&self) -> Needs;
    /// See a transaction.
    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>);
    /// See what a ledger held in all; comes after its transactions.
    fn ledger(&mut self, ledger: &Ledger<'_>, totals: &Totals<'_, '_>);
}

/// What a ledger held in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals<'w, 'a> {
    /// Transactions, failed ones too.
    pub transactions: u32,
    /// Transactions that succeeded.
    pub successful: u32,
    /// Bytes of its LedgerCloseMeta.
    pub size: usize,
    /// LedgerKeys of the entries that were evicted, where the visitor wants them.
    pub evicted: &'w [&'a [u8]],
}

/// One transaction as it was applied.
#[derive(Debug)]
pub struct Transaction<'w, 'a> {
    /// Place in the order of application, from 1.
    pub index: u32,
    /// Bytes from where it stands to the end of what the walk was given.
    pub left: usize,
    /// The transaction's hash.
    pub hash: &'a [u8; 32],
    /// Whether it took effect.
    pub successful: bool,
    /// Changes of the entries that the visitor wants.
    pub changes: &'w [Change<'a>],
    /// Events, where the visitor wants them.
    pub events: &'w Events<'a>,
    /// Its envelope, where the visitor wants it or cannot do without.
    pub envelope: Option<&'w Envelope<'a>>,
    /// TransactionResult
    pub result: &'a [u8],
    /// Entries that charging the fee wrote again, where the visitor wants that.
    pub charged: &'w [Update<'a>],
    /// Those written again after the operations, and, since protocol 23, by paying fees back after all
    /// transactions; where the visitor wants that.
    pub settled: &'w [Update<'a>],
    /// Where the parts of its meta lie, where the visitor wants that.
    pub meta: &'w Meta<'a>,
}

/// What a visitor needs to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Changes of these entries.
    pub entries: EntryTypes,
    /// Contract events.
    pub events: bool,
    /// Diagnostic events too.
    pub diagnostics: bool,
    /// Envelopes, which takes the hash of every one.
    pub envelopes: bool,
    /// Where the parts of the meta lie.
    pub meta: bool,
    /// What fees and refunds wrote again.
    pub fees: bool,
    /// Transactions with events of all they do: meta of version 4 (CAP-67), or an error.
    pub unified: bool,
    /// Keys of evicted entries.
    pub evictions: bool,
}

/// Why a ledger whose layout is sound is refused all the same.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The transaction's place, from 1.
    pub transaction: u32,
    /// As in `Transaction`.
    pub left: usize,
    /// What is wrong and what to do.
    pub reason: String,
}
