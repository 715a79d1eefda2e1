//! The one walk over a ledger: header, transactions, changes and events, handed to the tables.

use crate::change::{self, Change, EntryTypes};
use crate::event::Events;
use crate::tables::Tables;
use crate::xdr::layout::{
    ContractEvent, DiagnosticEvent, ExtensionPoint, GeneralizedTransactionSet, LedgerCloseMetaExt,
    LedgerEntry, LedgerHeaderExt, LedgerHeaderHistoryEntryExt, LedgerKey, SCPHistoryEntry, SCVal,
    SorobanTransactionMetaExt, SorobanTransactionMetaV2, StellarValueExt, TransactionEvent,
    TransactionMeta, TransactionResult, TransactionSet, UpgradeEntryMeta, UpgradeType,
};
use crate::xdr::schema::{Array, Opaque, Optional};
use crate::xdr::{self, Input, between, skip};

/// The newest protocol whose ledgers this version knows how to read.
pub const NEWEST_PROTOCOL: u32 = 30;

/// What the ledger's header says.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// The arm of LedgerCloseMeta: 0, 1 or 2.
    pub meta_version: u32,
    /// The hash that stands beside the header.
    pub hash: &'a [u8; 32],
    /// LedgerHeader as XDR.
    pub header: &'a [u8],
    /// Where the header begins in the LedgerCloseMeta.
    pub header_at: usize,
    /// Protocol version.
    pub protocol: u32,
    /// Hash of the ledger before.
    pub previous_hash: &'a [u8; 32],
    /// Unix time in seconds.
    pub close_time: u64,
    /// Sequence number.
    pub sequence: u32,
    /// Where the sequence number stands in the LedgerCloseMeta.
    pub sequence_at: usize,
    /// Stroops in existence.
    pub total_coins: i64,
    /// Stroops in the fee pool.
    pub fee_pool: i64,
    /// Stroops.
    pub base_fee: u32,
    /// Stroops.
    pub base_reserve: u32,
    /// Transactions, up to protocol 10; operations since.
    pub max_tx_set_size: u32,
}

impl Ledger<'_> {
    /// When it closed, in microseconds since the epoch; that this fits, `integrity::check` has seen.
    pub fn closed_at(&self) -> i64 {
        (self.close_time as i64).wrapping_mul(1_000_000)
    }

    /// The path of what stands there in its LedgerHeaderHistoryEntry.
    pub fn path(&self, field: &str) -> String {
        format!("v{}.ledger_header.{field}", self.meta_version)
    }
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
    /// LedgerKeys of the entries that were evicted, where the tables want them.
    pub evicted: &'w [&'a [u8]],
}

/// One transaction as it was applied.
#[derive(Debug)]
pub struct Transaction<'w, 'a> {
    /// Place in the order of application, from 1.
    pub index: u32,
    /// The transaction's hash.
    pub hash: &'a [u8; 32],
    /// Whether it took effect.
    pub successful: bool,
    /// Changes of the entries that the tables want.
    pub changes: &'w [Change<'a>],
    /// Events, where the tables want them.
    pub events: &'w Events<'a>,
}

/// What the tables need to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Changes of these entries.
    pub entries: EntryTypes,
    /// Contract events.
    pub events: bool,
    /// Diagnostic events too.
    pub diagnostics: bool,
    /// Keys of evicted entries.
    pub evictions: bool,
}

/// The walk, with what it keeps from one ledger to the next only to reuse its memory.
#[derive(Debug, Default)]
pub struct Walk<'a> {
    needs: Needs,
    changes: Vec<Change<'a>>,
    events: Events<'a>,
    evicted: Vec<&'a [u8]>,
    /// A transaction hash that must turn up: the proof of the network.
    awaited: Option<[u8; 32]>,
}

/// Read a LedgerCloseMeta as far as its transaction set.
pub fn header(bytes: Input<'_>) -> Option<(Ledger<'_>, Input<'_>)> {
    let whole = bytes;
    let (meta_version, bytes) = xdr::u32(bytes)?;
    let bytes = match meta_version {
        0 => bytes,
        1 | 2 => skip::<LedgerCloseMetaExt>(bytes)?,
        _ => return None,
    };
    let (hash, start) = xdr::array(bytes)?;
    let (protocol, bytes) = xdr::u32(start)?;
    let (previous_hash, bytes) = xdr::array(bytes)?;
    let (close_time, bytes) = xdr::u64(skip::<Opaque<32>>(bytes)?)?;
    let bytes = skip::<StellarValueExt>(skip::<Array<UpgradeType, 6>>(bytes)?)?;
    let bytes = skip::<Opaque<64>>(bytes)?;
    let sequence_at = between(whole, bytes).len();
    let (sequence, bytes) = xdr::u32(bytes)?;
    let (total_coins, bytes) = xdr::i64(bytes)?;
    let (fee_pool, bytes) = xdr::i64(bytes)?;
    let (base_fee, bytes) = xdr::u32(skip::<Opaque<12>>(bytes)?)?;
    let (base_reserve, bytes) = xdr::u32(bytes)?;
    let (max_tx_set_size, bytes) = xdr::u32(bytes)?;
    let end = skip::<LedgerHeaderExt>(skip::<Opaque<128>>(bytes)?)?;
    let (header, header_at) = (between(start, end), between(whole, start).len());
    let rest = skip::<LedgerHeaderHistoryEntryExt>(end)?;
    let ledger = Ledger {
        meta_version,
        hash,
        header,
        header_at,
        protocol,
        previous_hash,
        close_time,
        sequence,
        sequence_at,
        total_coins,
        fee_pool,
        base_fee,
        base_reserve,
        max_tx_set_size,
    };
    Some((ledger, rest))
}

impl<'a> Walk<'a> {
    /// A walk that shows what is needed and passes over the rest.
    pub fn new(needs: Needs) -> Self {
        Self { needs, ..Self::default() }
    }

    /// Await a transaction with this hash; `None` awaits nothing and so proves nothing.
    pub fn expect(&mut self, hash: Option<[u8; 32]>) {
        self.awaited = hash;
    }

    /// Whether a transaction is awaited that has not turned up.
    pub fn still_expects(&self) -> bool {
        self.awaited.is_some()
    }

    /// LedgerKeys that the ledger last walked over evicted, where the tables want them.
    pub fn evicted(&self) -> &[&'a [u8]] {
        &self.evicted
    }

    /// Walk over what follows the header and show the transactions to the tables; how many there
    /// are and how many succeeded comes back with what follows the ledger.
    pub fn body(
        &mut self,
        ledger: &Ledger<'a>,
        bytes: Input<'a>,
        tables: &mut Tables,
    ) -> Option<(u32, u32, Input<'a>)> {
        let bytes = match ledger.meta_version {
            0 => skip::<TransactionSet>(bytes)?,
            _ => skip::<GeneralizedTransactionSet>(bytes)?,
        };
        let (count, mut bytes) = xdr::u32(bytes)?;
        let mut successes = 0;
        for index in 1..=count {
            let (successful, rest) = self.transaction(ledger, index, bytes, tables)?;
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

    fn transaction(
        &mut self,
        ledger: &Ledger<'a>,
        index: u32,
        bytes: Input<'a>,
        tables: &mut Tables,
    ) -> Option<(bool, Input<'a>)> {
        let bytes = match ledger.meta_version {
            2 => skip::<ExtensionPoint>(bytes)?,
            _ => bytes,
        };
        let (hash, result) = xdr::array(bytes)?;
        if self.awaited.as_ref() == Some(hash) {
            self.awaited = None;
        }
        let code = xdr::i32(result.get(8..)?)?.0;
        let successful = matches!(code, 0 | 1);
        let meta = change::pass(skip::<TransactionResult>(result)?)?;
        // Up to protocol 12, what a transaction did before it met txINTERNAL_ERROR was left in its
        // meta although it was undone.
        let undone = ledger.protocol <= 12 && code == -11;
        let rest = self.meta(meta, undone)?;
        let rest = match ledger.meta_version {
            2 => change::pass(rest)?,
            _ => rest,
        };
        let (changes, events) = (&self.changes, &self.events);
        tables.transaction(ledger, &Transaction { index, hash, successful, changes, events });
        Some((successful, rest))
    }

    fn meta(&mut self, bytes: Input<'a>, undone: bool) -> Option<Input<'a>> {
        if self.needs.entries == 0 && !self.needs.events {
            return skip::<TransactionMeta>(bytes);
        }
        self.changes.clear();
        self.events.clear();
        let (version, bytes) = xdr::u32(bytes)?;
        let bytes = match version {
            0 => bytes,
            1 | 2 => self.changes(bytes, None)?,
            3 | 4 => self.changes(skip::<ExtensionPoint>(bytes)?, None)?,
            _ => return None,
        };
        let kept = self.changes.len();
        let bytes = self.operations(bytes, version == 4)?;
        let bytes = if version >= 2 { self.changes(bytes, None)? } else { bytes };
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
        match self.needs.entries {
            0 => change::pass(bytes),
            wanted => change::read(bytes, wanted, operation, &mut self.changes),
        }
    }

    /// OperationMeta, or OperationMetaV2 where `with_events`.
    fn operations(&mut self, bytes: Input<'a>, with_events: bool) -> Option<Input<'a>> {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            if with_events {
                bytes = skip::<ExtensionPoint>(bytes)?;
            }
            bytes = self.changes(bytes, Some(index))?;
            if with_events {
                bytes = self.operation_events(bytes, index)?;
            }
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
        let bytes = match xdr::u32(bytes)? {
            (0, rest) => return Some(rest),
            (1, rest) => skip::<SorobanTransactionMetaExt>(rest)?,
            _ => return None,
        };
        let bytes = self.operation_events(bytes, 0)?;
        self.diagnostics(skip::<SCVal>(bytes)?)
    }

    fn transaction_events(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        let bytes = match self.needs.events {
            true => self.events.read_transaction(bytes)?,
            false => skip::<Array<TransactionEvent>>(bytes)?,
        };
        self.diagnostics(bytes)
    }

    fn diagnostics(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        match self.needs.diagnostics {
            true => self.events.read_diagnostics(bytes),
            false => skip::<Array<DiagnosticEvent>>(bytes),
        }
    }
}
