//! A Soroban transaction's operation while it is put together.

use super::entry::Entry;
use super::transaction::{Operation, Soroban};
use super::writer::{Hash, Writer, sha256};

pub(super) const INVOKE: u32 = 24;

/// A Soroban transaction's one operation while its effects come together.
#[derive(Default)]
pub(super) struct Call {
    pub operation: Operation,
    pub soroban: Soroban,
    /// Keys already in the footprint: nothing is touched twice.
    touched: Vec<Hash>,
    /// Bytes of changes that are still to be written.
    pub pending: usize,
}

impl Call {
    pub fn new(kind: u32) -> Self {
        let mut call = Self::default();
        call.operation.body.u32(kind);
        call
    }

    pub fn bytes(&self) -> usize {
        let (operation, soroban) = (&self.operation, &self.soroban);
        self.pending
            + operation.body.len()
            + operation.changes.bytes()
            + operation.events.bytes()
            + soroban.read_only.bytes()
            + soroban.read_write.bytes()
            + soroban.diagnostics.bytes()
    }

    /// Take the entry into the footprint to be read, unless it is there already.
    pub fn read(&mut self, entry: &Entry) {
        if !self.touched.contains(&entry.hash) {
            self.touched.push(entry.hash);
            self.soroban.read_only.item().raw(&entry.key);
        }
    }

    /// Reserve the entry for what will be written of it later.
    pub fn mark(&mut self, entry: &Entry) {
        self.touched.push(entry.hash);
    }

    pub fn has_touched(&self, hash: &Hash) -> bool {
        self.touched.contains(hash)
    }

    /// Take the entry into the footprint; return its place among those written.
    pub fn touch(&mut self, entry: &Entry) -> u32 {
        self.touched.push(entry.hash);
        let place = self.soroban.read_write.len() as u32;
        self.soroban.read_write.item().raw(&entry.key);
        place
    }

    /// Write the result: for a call, the hash of what it returned and emitted.
    pub fn settle(&mut self, kind: u32, successful: bool) {
        let result = &mut self.operation.result;
        result.u32(0);
        result.u32(kind);
        // INVOKE_HOST_FUNCTION_TRAPPED is -2.
        result.i32(if successful { 0 } else { -2 });
        if kind == INVOKE && successful {
            let mut events = Writer::default();
            events.array(&self.operation.events);
            result.raw(&sha256(&[&self.soroban.returned.0, &events.0]));
        }
    }
}
