//! Soroban ledger entries that live, and the LedgerEntryChanges that tell of them.

use super::scval::Address;
use super::writer::{Array, Hash, Writer};

/// The longest life of an entry on pubnet, in ledgers: 180 days.
pub(super) const LONGEST_LIFE: u32 = 3_110_400;

const CREATED: u32 = 0;
const UPDATED: u32 = 1;
const REMOVED: u32 = 2;
const STATE: u32 = 3;
const RESTORED: u32 = 4;

const TTL: u32 = 9;

/// An account's part of a change: classic entries are written whole each time.
pub(super) fn put_state(out: &mut Array, modified: u32, data: impl FnOnce(&mut Writer)) {
    put(out, STATE, modified, data);
}

pub(super) fn put_updated(out: &mut Array, modified: u32, data: impl FnOnce(&mut Writer)) {
    put(out, UPDATED, modified, data);
}

pub(super) fn put_created(out: &mut Array, modified: u32, data: impl FnOnce(&mut Writer)) {
    put(out, CREATED, modified, data);
}

/// Write a change that carries a LedgerEntry; `data` writes the LedgerEntryData.
fn put(out: &mut Array, kind: u32, modified: u32, data: impl FnOnce(&mut Writer)) {
    let w = out.item();
    w.u32(kind);
    w.u32(modified);
    data(w);
    w.u32(0);
}

/// What a token contract holds for one address.
#[derive(Clone, Copy)]
pub(super) struct Balance {
    pub holder: Address,
    pub amount: i128,
    pub clawback: bool,
}

/// A contract data or code entry with its TTL: what was last written of it.
pub(super) struct Entry {
    /// LedgerKey XDR.
    pub key: Vec<u8>,
    /// LedgerEntryData XDR; from `head` on the value, which an update replaces.
    data: Writer,
    head: usize,
    /// sha256 of the LedgerKey, by which a TTL names its entry.
    pub hash: Hash,
    modified: u32,
    ttl_modified: u32,
    pub until: u32,
    pub temporary: bool,
    /// In the hot archive: no longer in the live state, to be restored only.
    pub evicted: bool,
    pub balance: Option<Balance>,
}

impl Entry {
    /// Make a contract data entry; `key` writes its ScVal. The value comes with `create`.
    pub fn data(owner: &Address, temporary: bool, key: impl FnOnce(&mut Writer)) -> Self {
        let mut body = Writer::default();
        body.address(owner);
        key(&mut body);
        body.u32(u32::from(!temporary));
        let mut data = Writer::default();
        data.u32(6);
        data.u32(0);
        data.raw(&body.0);
        Self::new(6, &body.0, data, temporary)
    }

    /// Make the entry of a contract's code with that hash, its cost inputs (ContractCodeCostInputs) in ext 1.
    pub fn code(hash: &Hash, costs: &[u32; 10]) -> Self {
        let mut data = Writer::default();
        data.u32(7);
        data.u32(1);
        data.u32(0);
        data.u32(0);
        costs.iter().for_each(|cost| data.u32(*cost));
        data.raw(hash);
        Self::new(7, hash, data, false)
    }

    fn new(kind: u32, body: &[u8], data: Writer, temporary: bool) -> Self {
        let mut key = Writer(Vec::with_capacity(body.len() + 4));
        key.u32(kind);
        key.raw(body);
        Self {
            hash: key.sha256(),
            key: key.0,
            head: data.len(),
            data,
            modified: 0,
            ttl_modified: 0,
            until: 0,
            temporary,
            evicted: false,
            balance: None,
        }
    }

    pub fn expired(&self, seq: u32) -> bool {
        self.until < seq
    }

    pub fn expires_within(&self, seq: u32, ledgers: u32) -> bool {
        self.until < seq.saturating_add(ledgers)
    }

    pub fn create(
        &mut self,
        seq: u32,
        until: u32,
        value: impl FnOnce(&mut Writer),
        out: &mut Array,
    ) {
        self.set(seq, value);
        self.set_until(seq, until);
        self.put(CREATED, out);
        self.put_ttl(CREATED, out);
    }

    pub fn update(&mut self, seq: u32, value: impl FnOnce(&mut Writer), out: &mut Array) {
        self.put(STATE, out);
        self.set(seq, value);
        self.put(UPDATED, out);
    }

    pub fn extend(&mut self, seq: u32, until: u32, out: &mut Array) {
        self.put_ttl(STATE, out);
        self.set_until(seq, until);
        self.put_ttl(UPDATED, out);
    }

    pub fn remove(&self, out: &mut Array) {
        self.put(STATE, out);
        self.put_removed(out);
        self.put_ttl(STATE, out);
        self.put_ttl_removed(out);
    }

    /// Bring the entry back, and change it at once where a value is given: RESTORED is then the state before.
    pub fn restore(
        &mut self,
        seq: u32,
        until: u32,
        value: Option<impl FnOnce(&mut Writer)>,
        out: &mut Array,
    ) {
        self.evicted = false;
        self.modified = seq;
        self.put(RESTORED, out);
        let changed = value.is_some();
        if let Some(value) = value {
            self.set(seq, value);
            self.put(UPDATED, out);
        }
        self.set_until(seq, until);
        self.put_ttl(RESTORED, out);
        if changed {
            self.set_until(seq, until.saturating_add(100));
            self.put_ttl(UPDATED, out);
        }
    }

    /// Bring the entry back only to remove it in the same breath.
    pub fn restore_and_remove(&mut self, seq: u32, until: u32, out: &mut Array) {
        self.modified = seq;
        self.put(RESTORED, out);
        self.put_removed(out);
        self.set_until(seq, until);
        self.put_ttl(RESTORED, out);
        self.put_ttl_removed(out);
    }

    /// Write the LedgerKey of the entry's TTL.
    pub fn write_ttl_key(&self, w: &mut Writer) {
        w.u32(TTL);
        w.raw(&self.hash);
    }

    fn set(&mut self, seq: u32, value: impl FnOnce(&mut Writer)) {
        self.data.0.truncate(self.head);
        value(&mut self.data);
        self.modified = seq;
    }

    fn set_until(&mut self, seq: u32, until: u32) {
        self.until = until;
        self.ttl_modified = seq;
    }

    fn put(&self, kind: u32, out: &mut Array) {
        put(out, kind, self.modified, |w| w.raw(&self.data.0));
    }

    fn put_ttl(&self, kind: u32, out: &mut Array) {
        put(out, kind, self.ttl_modified, |w| {
            self.write_ttl_key(w);
            w.u32(self.until);
        });
    }

    fn put_removed(&self, out: &mut Array) {
        let w = out.item();
        w.u32(REMOVED);
        w.raw(&self.key);
    }

    fn put_ttl_removed(&self, out: &mut Array) {
        let w = out.item();
        w.u32(REMOVED);
        self.write_ttl_key(w);
    }
}
