//! Contract events, as a transaction's meta tells them.

use std::ops::Range;

use crate::xdr::discriminants::ContractEventType;
use crate::xdr::layout::{ExtensionPoint, SCVal};
use crate::xdr::{self, Input, between, skip};

/// The tables' names of TransactionEventStage, by value.
pub const STAGES: [&str; 3] = ["before_all_txs", "after_tx", "after_all_txs"];

/// One event.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// The operation's index; `None` for what belongs to the whole transaction.
    pub operation: Option<u32>,
    /// TransactionEventStage, for events of the whole transaction.
    pub stage: Option<u32>,
    /// Position among the events of its operation, of the transaction, or of its diagnostics.
    pub index: u32,
    /// ContractEventType; every one out of the diagnostics is DIAGNOSTIC.
    pub event_type: u32,
    /// The contract's id.
    pub contract: Option<&'a [u8; 32]>,
    /// SCVal
    pub data: &'a [u8],
    topics: Range<usize>,
}

/// The events of one transaction, kept for reuse.
#[derive(Debug, Default)]
pub struct Events<'a> {
    /// Of the whole transaction, in wire order.
    pub transaction: Vec<Event<'a>>,
    /// Of its operations, in order.
    pub operations: Vec<Event<'a>>,
    /// Diagnostics, in order; filled only where they are wanted.
    pub diagnostics: Vec<Event<'a>>,
    topics: Vec<&'a [u8]>,
}

impl<'a> Events<'a> {
    /// Forget all.
    pub fn clear(&mut self) {
        self.transaction.clear();
        self.operations.clear();
        self.diagnostics.clear();
        self.topics.clear();
    }

    /// All events in the order of rows: the transaction's own, its operations', diagnostics.
    pub fn iter(&self) -> impl Iterator<Item = &Event<'a>> {
        self.transaction.iter().chain(&self.operations).chain(&self.diagnostics)
    }

    /// The events of an operation, in order.
    pub fn of_operation(&self, operation: u32) -> &[Event<'a>] {
        let from = self.operations.partition_point(|event| event.operation < Some(operation));
        let rest = self.operations.get(from..).unwrap_or_default();
        let count = rest.partition_point(|event| event.operation == Some(operation));
        rest.get(..count).unwrap_or_default()
    }

    /// An event's topics, each an SCVal.
    pub fn topics(&self, event: &Event<'a>) -> &[&'a [u8]] {
        self.topics.get(event.topics.clone()).unwrap_or_default()
    }

    /// Add an event of an operation that does not come out of a ledger.
    pub fn push(
        &mut self,
        event_type: u32,
        contract: &'a [u8; 32],
        topics: &[&'a [u8]],
        data: &'a [u8],
    ) {
        let first = self.topics.len();
        self.topics.extend_from_slice(topics);
        let (index, topics) = (self.operations.len() as u32, first..self.topics.len());
        let (operation, contract) = (Some(0), Some(contract));
        self.operations.push(Event {
            operation,
            stage: None,
            index,
            event_type,
            contract,
            data,
            topics,
        });
    }

    /// Read an array of ContractEvent, those of an operation.
    pub fn read_operation(&mut self, bytes: Input<'a>, operation: u32) -> Option<Input<'a>> {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            let (event, rest) = self.event(bytes, index)?;
            self.operations.push(Event { operation: Some(operation), ..event });
            bytes = rest;
        }
        Some(bytes)
    }

    /// Read an array of TransactionEvent.
    pub fn read_transaction(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            let (stage, body) = xdr::u32(bytes)?;
            if stage as usize >= STAGES.len() {
                return None;
            }
            let (event, rest) = self.event(body, index)?;
            self.transaction.push(Event { stage: Some(stage), ..event });
            bytes = rest;
        }
        Some(bytes)
    }

    /// Read an array of DiagnosticEvent.
    pub fn read_diagnostics(&mut self, bytes: Input<'a>) -> Option<Input<'a>> {
        let (count, mut bytes) = xdr::u32(bytes)?;
        for index in 0..count {
            let body = skip::<xdr::schema::Bool>(bytes)?;
            let (event, rest) = self.event(body, index)?;
            // Diagnostics repeat the contract's own events; as another type nobody counts them twice.
            self.diagnostics.push(Event { event_type: ContractEventType::DIAGNOSTIC, ..event });
            bytes = rest;
        }
        Some(bytes)
    }

    #[inline]
    fn event(&mut self, bytes: Input<'a>, index: u32) -> Option<(Event<'a>, Input<'a>)> {
        let bytes = skip::<ExtensionPoint>(bytes)?;
        let (contract, bytes) = match xdr::present(bytes)? {
            (false, rest) => (None, rest),
            (true, rest) => xdr::array(rest).map(|(id, rest)| (Some(id), rest))?,
        };
        let (event_type, bytes) = xdr::u32(bytes)?;
        let (version, bytes) = xdr::u32(bytes)?;
        if event_type > ContractEventType::DIAGNOSTIC || version != 0 {
            return None;
        }
        let (count, mut bytes) = xdr::u32(bytes)?;
        let first = self.topics.len();
        for _ in 0..count {
            let rest = skip::<SCVal>(bytes)?;
            self.topics.push(between(bytes, rest));
            bytes = rest;
        }
        let rest = skip::<SCVal>(bytes)?;
        let (data, topics) = (between(bytes, rest), first..self.topics.len());
        let event =
            Event { operation: None, stage: None, index, event_type, contract, data, topics };
        Some((event, rest))
    }
}
