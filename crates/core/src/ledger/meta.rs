//! The parts of a transaction's meta as they lie, for those who look into few of them.

/// Where the parts of a TransactionMeta lie; what its version does not have is empty.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    /// The arm of TransactionMeta: 0 to 4.
    pub version: u32,
    /// Of its operations, in order.
    pub operations: Vec<OperationMeta<'a>>,
    /// LedgerEntryChanges after the operations.
    pub changes_after: &'a [u8],
    /// ContractEvent<> of SorobanTransactionMeta, in version 3.
    pub soroban_events: &'a [u8],
    /// TransactionEvent<>, in version 4.
    pub events: &'a [u8],
}

/// Where the parts of an OperationMeta or OperationMetaV2 lie.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationMeta<'a> {
    /// LedgerEntryChanges
    pub changes: &'a [u8],
    /// ContractEvent<>, in version 4.
    pub events: &'a [u8],
}

impl<'a> Meta<'a> {
    /// Forget all.
    pub fn clear(&mut self) {
        let mut operations = std::mem::take(&mut self.operations);
        operations.clear();
        *self = Self { operations, ..Self::default() };
    }

    /// LedgerEntryChanges of an operation.
    pub fn changes(&self, operation: u32) -> &'a [u8] {
        self.operations.get(operation as usize).map_or(&[], |operation| operation.changes)
    }

    /// ContractEvent<> of an operation; in version 3 a Soroban transaction has but one.
    pub fn events(&self, operation: u32) -> &'a [u8] {
        match (self.version, operation) {
            (3, 0) => self.soroban_events,
            (4, _) => self.operations.get(operation as usize).map_or(&[], |one| one.events),
            _ => &[],
        }
    }
}
