//! Writes one transaction: its envelope, its result and its meta.

use super::event::{Memo, put_fee};
use super::now::{Era, Now};
use super::writer::{Array, Hash, Writer, sha256};

/// Stages of a transaction-level event.
const BEFORE_ALL_TXS: u32 = 0;
const AFTER_TX: u32 = 1;
const AFTER_ALL_TXS: u32 = 2;

/// One operation, its result and its effects.
#[derive(Default)]
pub(super) struct Operation {
    pub source: Option<Hash>,
    /// OperationBody XDR.
    pub body: Writer,
    /// OperationResult XDR.
    pub result: Writer,
    pub changes: Array,
    pub events: Array,
}

/// What only a Soroban transaction has.
#[derive(Default)]
pub(super) struct Soroban {
    pub read_only: Array,
    pub read_write: Array,
    /// Places in `read_write` of archived entries that the transaction restores by itself.
    pub restored: Vec<u32>,
    /// ScVal XDR; empty where nothing is returned.
    pub returned: Writer,
    pub diagnostics: Array,
    pub non_refundable: i64,
    pub refundable: i64,
    pub rent: i64,
    pub refund: i64,
}

impl Soroban {
    pub fn resource_fee(&self) -> i64 {
        self.non_refundable + self.refundable
    }

    fn write_data(&self, w: &mut Writer) {
        w.u32(u32::from(!self.restored.is_empty()));
        if !self.restored.is_empty() {
            w.u32(self.restored.len() as u32);
            self.restored.iter().for_each(|place| w.u32(*place));
        }
        w.array(&self.read_only);
        w.array(&self.read_write);
        // Instructions, bytes read, bytes written.
        [2_500_000, 12_000, 8_000].iter().for_each(|limit| w.u32(*limit));
        w.i64(self.resource_fee());
    }

    /// Write SorobanTransactionMetaExtV1.
    fn write_fees(&self, w: &mut Writer) {
        w.u32(1);
        w.u32(0);
        w.i64(self.non_refundable);
        w.i64(self.refundable - self.refund);
        w.i64(self.rent);
    }
}

/// Who pays for a transaction beside its source.
pub(super) struct FeeBump {
    pub payer: Hash,
    pub fee: i64,
}

pub(super) struct Transaction {
    pub source: Hash,
    pub muxed_id: Option<u64>,
    pub seq: i64,
    /// Most the source offers: u32 as in the envelope.
    pub max_fee: u32,
    pub bump: Option<FeeBump>,
    pub memo: Memo,
    /// Preconditions XDR.
    pub conditions: Writer,
    pub operations: Vec<Operation>,
    pub soroban: Option<Soroban>,
    pub successful: bool,
    pub charged: i64,
    /// Of the fee bump, the source and the sources of operations, as far as there are any.
    pub signatures: Vec<[u8; 64]>,
    pub fee_changes: Array,
    pub before: Array,
    /// Changes of the refund, empty where there is none.
    pub refund_changes: Array,
}

/// The bytes of a transaction where they belong in the ledger.
pub(super) struct Written {
    pub envelope: Writer,
    /// TransactionResultPair.
    pub result: Writer,
    /// TransactionResultMeta or TransactionResultMetaV1.
    pub processing: Writer,
}

/// Write a MuxedAccount.
pub(super) fn put_muxed(w: &mut Writer, key: &Hash, id: Option<u64>) {
    w.u32(if id.is_some() { 0x100 } else { 0 });
    if let Some(id) = id {
        w.u64(id);
    }
    w.raw(key);
}

impl Transaction {
    fn refund(&self) -> i64 {
        self.soroban.as_ref().map_or(0, |soroban| soroban.refund)
    }

    fn payer(&self) -> &Hash {
        self.bump.as_ref().map_or(&self.source, |bump| &bump.payer)
    }

    pub fn write(&self, now: Now, network: &Hash, native: &Hash) -> Written {
        let mut envelope = Writer(Vec::with_capacity(1024));
        let mut inner_hash = self.write_envelope(&mut envelope, network);
        let mut hash = inner_hash;
        if let Some(bump) = &self.bump {
            (envelope, hash) = self.write_bump(bump, &envelope, network);
        } else {
            inner_hash = [0; 32];
        }
        let result = self.write_result(&hash, &inner_hash);
        let mut processing = Writer(Vec::with_capacity(8192));
        if now.era == Era::V2 {
            processing.u32(0);
        }
        processing.raw(&result.0);
        processing.array(&self.fee_changes);
        self.write_meta(&mut processing, now, native);
        if now.era == Era::V2 {
            processing.array(&self.refund_changes);
        }
        Written { envelope, result, processing }
    }

    /// Write the envelope and return the transaction's hash: sha256 of network id, envelope type and transaction.
    fn write_envelope(&self, w: &mut Writer, network: &Hash) -> Hash {
        w.u32(2);
        put_muxed(w, &self.source, self.muxed_id);
        w.u32(self.max_fee);
        w.i64(self.seq);
        w.raw(&self.conditions.0);
        self.memo.write(w);
        w.u32(self.operations.len() as u32);
        for operation in &self.operations {
            w.bool(operation.source.is_some());
            if let Some(source) = &operation.source {
                put_muxed(w, source, None);
            }
            w.raw(&operation.body.0);
        }
        w.bool(self.soroban.is_some());
        if let Some(soroban) = &self.soroban {
            soroban.write_data(w);
        }
        let hash = sha256(&[network, &w.0]);
        let mut keys = vec![&self.source];
        for key in self.operations.iter().filter_map(|operation| operation.source.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        self.sign(w, &keys, 1);
        hash
    }

    fn write_bump(&self, bump: &FeeBump, inner: &Writer, network: &Hash) -> (Writer, Hash) {
        let mut w = Writer(Vec::with_capacity(inner.len() + 200));
        w.u32(5);
        put_muxed(&mut w, &bump.payer, None);
        w.i64(bump.fee);
        w.raw(&inner.0);
        w.u32(0);
        let hash = sha256(&[network, &w.0]);
        self.sign(&mut w, &[&bump.payer], 0);
        (w, hash)
    }

    /// Append decorated signatures: the hint is the key's last four bytes.
    fn sign(&self, w: &mut Writer, keys: &[&Hash], first: usize) {
        w.u32(keys.len() as u32);
        for (key, signature) in keys.iter().zip(&self.signatures[first..]) {
            w.raw(&key[28..]);
            w.var(signature);
        }
    }

    fn write_result(&self, hash: &Hash, inner_hash: &Hash) -> Writer {
        let mut w = Writer(Vec::with_capacity(200));
        w.raw(hash);
        w.i64(self.charged);
        if self.bump.is_some() {
            // txFEE_BUMP_INNER_SUCCESS, txFEE_BUMP_INNER_FAILED; the inner result charges nothing itself.
            w.i32(if self.successful { 1 } else { -13 });
            w.raw(inner_hash);
            w.i64(0);
        }
        w.i32(if self.successful { 0 } else { -1 });
        w.u32(self.operations.len() as u32);
        self.operations.iter().for_each(|operation| w.raw(&operation.result.0));
        w.u32(0);
        if self.bump.is_some() {
            w.u32(0);
        }
        w
    }

    fn write_meta(&self, w: &mut Writer, now: Now, native: &Hash) {
        let unified = now.era.unified();
        w.u32(if unified { 4 } else { 3 });
        w.u32(0);
        w.array(&self.before);
        self.write_operations(w, unified);
        if now.era == Era::V2 {
            w.u32(0);
        } else {
            w.array(&self.refund_changes);
        }
        if unified {
            self.write_soroban_v4(w);
            w.array(&self.fee_events(now, native));
            match &self.soroban {
                Some(soroban) => w.array(&soroban.diagnostics),
                None => w.u32(0),
            }
        } else {
            self.write_soroban_v3(w);
        }
    }

    /// A failed transaction leaves no operation meta.
    fn write_operations(&self, w: &mut Writer, unified: bool) {
        let done = if self.successful { self.operations.as_slice() } else { &[] };
        w.u32(done.len() as u32);
        for operation in done {
            if unified {
                w.u32(0);
            }
            w.array(&operation.changes);
            if unified {
                w.array(&operation.events);
            }
        }
    }

    fn write_soroban_v3(&self, w: &mut Writer) {
        let Some(soroban) = self.soroban.as_ref().filter(|_| self.successful) else {
            return w.u32(0);
        };
        w.u32(1);
        soroban.write_fees(w);
        let mut events = Array::default();
        self.operations.iter().for_each(|operation| events.append(&operation.events));
        w.array(&events);
        if soroban.returned.len() == 0 {
            w.sc_void();
        }
        w.raw(&soroban.returned.0);
        w.array(&soroban.diagnostics);
    }

    fn write_soroban_v4(&self, w: &mut Writer) {
        w.bool(self.soroban.is_some());
        if let Some(soroban) = &self.soroban {
            soroban.write_fees(w);
            w.bool(self.successful && soroban.returned.len() > 0);
            if self.successful {
                w.raw(&soroban.returned.0);
            }
        }
    }

    fn fee_events(&self, now: Now, native: &Hash) -> Array {
        let mut events = Array::default();
        let refund = self.refund();
        put_fee(&mut events, BEFORE_ALL_TXS, native, self.payer(), self.charged + refund);
        if refund > 0 {
            let stage = if now.era == Era::V2 { AFTER_ALL_TXS } else { AFTER_TX };
            put_fee(&mut events, stage, native, self.payer(), -refund);
        }
        events
    }
}
