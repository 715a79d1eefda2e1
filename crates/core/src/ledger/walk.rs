//! The one walk over a ledger behind its header: transactions, changes and events, shown to a visitor.

use super::visitor::{Needs, Refusal, Transaction, Visitor};
use crate::fixed_text::hex;
use crate::ledger::change::{self, Change};
use crate::ledger::contents::Contents;
use crate::ledger::envelope::Envelopes;
use crate::ledger::event::Events;
use crate::ledger::fee::{self, Update};
use crate::ledger::header::Ledger;
use crate::ledger::meta::Meta;
use crate::ledger::operation;
use crate::xdr::discriminants::TransactionResultCode;
use crate::xdr::layout::{
    ContractEvent, DiagnosticEvent, ExtensionPoint, GeneralizedTransactionSet, LedgerEntry,
    LedgerKey, SCPHistoryEntry, SCVal, SorobanTransactionMetaExt, SorobanTransactionMetaV2,
    TransactionEvent, TransactionMeta, TransactionResult, TransactionSet, UpgradeEntryMeta,
};
use crate::xdr::schema::{Array, Opaque, Optional};
use crate::xdr::{self, Input, between, skip};

/// The walk, with what it keeps from one ledger to the next only to reuse its memory.
#[derive(Debug, Default)]
pub struct Walk<'a> {
    needs: Needs,
    changes: Vec<Change<'a>>,
    events: Events<'a>,
    meta: Meta<'a>,
    /// Of charging the fee.
    charged: Vec<Update<'a>>,
    /// After the operations, and of paying fees back after all transactions.
    settled: Vec<Update<'a>>,
    envelopes: Envelopes<'a>,
    /// The transaction set as it lies, until its envelopes are read.
    unread: Option<Input<'a>>,
    network_id: [u8; 32],
    refusal: Option<Refusal>,
    evicted: Vec<&'a [u8]>,
    /// A transaction hash that must turn up: the proof of the network.
    awaited: Option<[u8; 32]>,
    /// Whether `contents` are to be kept.
    keeps_contents: bool,
    contents: Option<Contents<'a>>,
}

/// What a transaction's TransactionResultMeta holds beside its meta.
struct Parts<'a> {
    hash: &'a [u8; 32],
    /// TransactionResult
    result: &'a [u8],
    successful: bool,
    /// What follows.
    rest: Input<'a>,
}

impl<'a> Walk<'a> {
    /// A walk that shows what is needed and passes over the rest; it keeps, if asked, what the header
    /// commits to.
    pub fn new(needs: Needs, network_id: [u8; 32], keeps_contents: bool) -> Self {
        Self { needs, network_id, keeps_contents, ..Self::default() }
    }

    /// What the header of the ledger walked last commits to, where that is kept.
    pub fn contents(&mut self) -> Option<Contents<'a>> {
        self.contents.take()
    }

    /// Await a transaction with this hash; `None` awaits nothing and so proves nothing.
    pub fn expect(&mut self, hash: Option<[u8; 32]>) {
        self.awaited = hash;
    }

    /// Whether a transaction is awaited that has not turned up.
    pub fn still_expects(&self) -> bool {
        self.awaited.is_some()
    }

    /// Why the ledger walked last is to be refused, if it is.
    pub fn refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// LedgerKeys that the ledger last walked over evicted, where the visitor wants them.
    pub fn evicted(&self) -> &[&'a [u8]] {
        &self.evicted
    }

    /// Walk over what follows the header and show the transactions to the visitor; how many there
    /// are and how many succeeded comes back with what follows the ledger.
    pub fn body(
        &mut self,
        ledger: &Ledger<'a>,
        bytes: Input<'a>,
        visitor: &mut impl Visitor,
    ) -> Option<(u32, u32, Input<'a>)> {
        self.refusal = None;
        self.unread = Some(bytes);
        let set = bytes;
        let bytes = match ledger.meta_version {
            version if self.needs.envelopes => self.read_envelopes(version)?,
            0 => skip::<TransactionSet>(bytes)?,
            _ => skip::<GeneralizedTransactionSet>(bytes)?,
        };
        let tx_set = between(set, bytes);
        let (count, mut bytes) = xdr::u32(bytes)?;
        self.contents = self.keeps_contents.then(|| Contents::new(tx_set, count));
        let mut successes = 0;
        for index in 1..=count {
            let (successful, rest) = self.transaction(ledger, index, bytes, visitor)?;
            successes += u32::from(successful);
            bytes = rest;
        }
        Some((count, successes, self.tail(ledger.meta_version, bytes)?))
    }

    /// What follows the transactions.
    fn tail(&mut self, meta_version: u32, bytes: Input<'a>) -> Option<Input<'a>> {
        self.evicted.clear();
        let bytes = skip::<Array<UpgradeEntryMeta>>(bytes)?;
        let bytes = skip::<Array<SCPHistoryEntry>>(bytes)?;
        if meta_version == 0 {
            return Some(bytes);
        }
        let bytes = self.evictions(skip::<Opaque<8>>(bytes)?)?;
        match meta_version {
            1 => skip::<Array<LedgerEntry>>(bytes),
            _ => Some(bytes),
        }
    }

    fn evictions(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        if !self.needs.evictions {
            return skip::<Array<LedgerKey>>(bytes);
        }
        let (count, mut bytes) = xdr::u32(bytes)?;
        for _ in 0..count {
            let rest = skip::<LedgerKey>(bytes)?;
            self.evicted.push(between(bytes, rest));
            bytes = rest;
        }
        Some(bytes)
    }

    /// Read the envelopes of the ledger's transaction set.
    fn read_envelopes(&mut self, meta_version: u32) -> Option<Input<'a>> {
        self.envelopes.read(&self.network_id, meta_version, self.unread.take()?)
    }

    fn transaction(
        &mut self,
        ledger: &Ledger<'a>,
        index: u32,
        bytes: Input<'a>,
        visitor: &mut impl Visitor,
    ) -> Option<(bool, Input<'a>)> {
        let left = bytes.len();
        let Parts { hash, result, successful, rest } = self.parts(ledger, bytes)?;
        let demand = self.needs.envelopes
            || self.needs.unified && successful && operation::is_ambiguous(result);
        if demand && self.unread.is_some() {
            self.read_envelopes(ledger.meta_version)?;
        }
        let transaction = Transaction {
            index,
            left,
            hash,
            successful,
            changes: &self.changes,
            events: &self.events,
            envelope: if demand { self.envelopes.find(hash) } else { None },
            result,
            charged: &self.charged,
            settled: &self.settled,
            meta: &self.meta,
        };
        if let Some(reason) = lack(self.needs.unified, demand, &transaction) {
            let refusal = Refusal { transaction: index, left, reason };
            self.refusal.get_or_insert(refusal);
        }
        visitor.transaction(ledger, &transaction);
        Some((successful, rest))
    }

    /// Read a TransactionResultMeta, its meta as far as it is needed.
    fn parts(&mut self, ledger: &Ledger<'a>, bytes: Input<'a>) -> Option<Parts<'a>> {
        let bytes = match ledger.meta_version {
            2 => skip::<ExtensionPoint>(bytes)?,
            _ => bytes,
        };
        let (hash, result) = xdr::array(bytes)?;
        if self.awaited.as_ref() == Some(hash) {
            self.awaited = None;
        }
        let code = xdr::i32(result.get(8..)?)?.0;
        let successful = matches!(
            code,
            TransactionResultCode::SUCCESS | TransactionResultCode::FEE_BUMP_INNER_SUCCESS
        );
        let fees = skip::<TransactionResult>(result)?;
        if let Some(contents) = &mut self.contents {
            contents.add(between(bytes, fees));
        }
        self.charged.clear();
        self.settled.clear();
        let meta = updates(self.needs.fees, fees, &mut self.charged)?;
        // Up to protocol 12, what a transaction did before it met txINTERNAL_ERROR was left in its
        // meta although it was undone.
        let undone = ledger.protocol <= 12 && code == TransactionResultCode::INTERNAL_ERROR;
        let refunds = self.meta(meta, undone)?;
        let rest = match ledger.meta_version {
            2 => updates(self.needs.fees, refunds, &mut self.settled)?,
            _ => refunds,
        };
        let result = between(result, fees);
        Some(Parts { hash, result, successful, rest })
    }

    fn meta(&mut self, bytes: Input<'a>, undone: bool) -> Option<Input<'a>> {
        let Needs { entries, events, meta, fees, .. } = self.needs;
        if entries == 0 && !events && !meta && !fees {
            return skip::<TransactionMeta>(bytes);
        }
        self.changes.clear();
        self.events.clear();
        self.meta.clear();
        let (version, bytes) = xdr::u32(bytes)?;
        self.meta.version = version;
        let bytes = match version {
            0 => bytes,
            1 | 2 => self.changes(bytes, None)?,
            3 | 4 => self.changes(skip::<ExtensionPoint>(bytes)?, None)?,
            _ => return None,
        };
        let kept = self.changes.len();
        let after = self.operations(bytes, version == 4)?;
        let bytes = if version >= 2 { self.changes_after(after)? } else { after };
        if undone {
            self.changes.truncate(kept);
        }
        match version {
            3 => self.soroban(bytes),
            4 => self.transaction_events(skip::<Optional<SorobanTransactionMetaV2>>(bytes)?),
            _ => Some(bytes),
        }
    }

    #[inline]
    fn changes(&mut self, bytes: Input<'a>, operation: Option<u32>) -> Option<Input<'a>> {
        if self.needs.entries == 0 {
            return change::pass(bytes);
        }
        change::read(bytes, self.needs.entries, operation, &mut self.changes)
    }

    /// Changes after the operations, with fees that are paid back up to protocol 22.
    fn changes_after(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        if self.needs.entries > 0 {
            self.changes(bytes, None)?;
        }
        updates(self.needs.fees, bytes, &mut self.settled)
    }

    /// OperationMeta, or OperationMetaV2 where `with_events`.
    fn operations(&mut self, bytes: Input<'a>, with_events: bool) -> Option<Input<'a>> {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            if with_events {
                bytes = skip::<ExtensionPoint>(bytes)?;
            }
            let events = self.changes(bytes, Some(index))?;
            let rest = if with_events { self.operation_events(events, index)? } else { events };
            if self.needs.meta {
                self.meta.operations.push(between(bytes, events));
            }
            bytes = rest;
        }
        Some(bytes)
    }

    #[inline]
    fn operation_events(&mut self, bytes: Input<'a>, index: u32) -> Option<Input<'a>> {
        match self.needs.events {
            true => self.events.read_operation(bytes, index),
            false => skip::<Array<ContractEvent>>(bytes),
        }
    }

    /// SorobanTransactionMeta of TransactionMetaV3: a Soroban transaction has one operation.
    fn soroban(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        let bytes = match xdr::present(bytes)? {
            (false, rest) => return Some(rest),
            (true, rest) => skip::<SorobanTransactionMetaExt>(rest)?,
        };
        let rest = self.operation_events(bytes, 0)?;
        self.diagnostics(skip::<SCVal>(rest)?)
    }

    fn transaction_events(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        let rest = match self.needs.events {
            true => self.events.read_transaction(bytes)?,
            false => skip::<Array<TransactionEvent>>(bytes)?,
        };
        self.diagnostics(rest)
    }

    fn diagnostics(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        match self.needs.diagnostics {
            true => self.events.read_diagnostics(bytes),
            false => skip::<Array<DiagnosticEvent>>(bytes),
        }
    }
}

/// Pass over a group of changes, and note what was written again where fees are asked for.
#[inline]
fn updates<'a>(fees: bool, bytes: Input<'a>, updates: &mut Vec<Update<'a>>) -> Option<Input<'a>> {
    if fees { fee::read(bytes, updates) } else { change::pass(bytes) }
}

/// What a transaction lacks of what the tables cannot do without.
fn lack(unified: bool, envelope: bool, transaction: &Transaction<'_, '_>) -> Option<String> {
    if unified && transaction.meta.version != 4 {
        return Some(format!(
            "has meta of version {}, but unified transfers are read from the events in version 4; \
             ask for derived transfers",
            transaction.meta.version
        ));
    }
    (envelope && transaction.envelope.is_none()).then(|| {
        let hash = hex(transaction.hash);
        let hash = String::from_utf8_lossy(&hash);
        format!("has hash {hash}, but the ledger's transaction set holds no such transaction")
    })
}
