//! The parts of a transaction's meta as they lie, for those who look into few of them.

/// Where the parts of a TransactionMeta lie; what its version does not have is empty.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    /// The arm of TransactionMeta: 0 to 4.
    pub version: u32,
    /// LedgerEntryChanges of each of its operations, in order.
    pub operations: Vec<&'a [u8]>,
}

impl<'a> Meta<'a> {
    /// Forget all.
    pub fn clear(&mut self) {
        self.version = 0;
        self.operations.clear();
    }

    /// LedgerEntryChanges of an operation.
    pub fn changes(&self, operation: u32) -> &'a [u8] {
        self.operations.get(operation as usize).copied().unwrap_or_default()
    }
}
