//! The movements of one ledger, gathered in the order they are told and kept in the order they
//! happened: fees, operations, refunds.

use std::cell::Cell;
use std::sync::Arc;

use super::token::{TokenId, Tokens};
use crate::filter::Filter;
use crate::ledger::token_event::{Kind, Memo};
use crate::values::address::Address;

/// A movement as it is told.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// What happened.
    pub kind: Kind,
    /// To which token.
    pub token: TokenId,
    /// Whose it was.
    pub from: Option<Address>,
    /// Whose it is.
    pub to: Option<Address>,
    /// How much.
    pub amount: i128,
    /// Who it was meant for beyond the address.
    pub memo: Memo<'a>,
    /// Index and OperationType of the operation; `None` for fees.
    pub operation: Option<(u32, Option<u32>)>,
}

/// A memo kept past its ledger's bytes; ranges are of `Journal::text`.
#[derive(Debug, Clone, Copy)]
pub enum HeldMemo {
    /// There is none.
    None,
    /// A text.
    Text(usize, usize),
    /// A number.
    Id(u64),
    /// Bytes.
    Hash(usize, usize),
}

/// A movement that becomes a row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Place among the movements of its section.
    pub position: u32,
    /// Place in `Journal::transactions`.
    pub transaction: usize,
    /// As in `Movement`.
    pub kind: Kind,
    /// As in `Movement`.
    pub token: TokenId,
    /// As in `Movement`.
    pub from: Option<Address>,
    /// As in `Movement`.
    pub to: Option<Address>,
    /// As in `Movement`.
    pub amount: i128,
    /// As in `Movement`.
    pub memo: HeldMemo,
    /// As in `Movement`.
    pub operation: Option<(u32, Option<u32>)>,
}

/// Part of a ledger's movements: rows, and how many movements there were with those no row was
/// wanted of.
#[derive(Debug, Default)]
pub struct Section {
    /// Those wanted.
    pub rows: Vec<Row>,
    /// All there were.
    pub count: u32,
}

/// A place between the movements of a section.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    rows: usize,
    count: u32,
}

impl Section {
    /// The place after all there is by now.
    pub fn mark(&self) -> Mark {
        Mark { rows: self.rows.len(), count: self.count }
    }

    /// Move the movement told last to a place before.
    pub fn move_last_to(&mut self, mark: Mark) {
        let last = self.count.wrapping_sub(1);
        let wanted = self.rows.last().is_some_and(|row| row.position == last);
        let Some(rows) = self.rows.get_mut(mark.rows..) else { return };
        rows.iter_mut().for_each(|row| row.position += 1);
        if wanted {
            rows.rotate_right(1);
            if let Some(first) = rows.first_mut() {
                first.position = mark.count;
            }
        }
    }
}

/// A transaction that movements belong to.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Place in the order of application, from 1.
    pub index: u32,
    /// Its hash.
    pub hash: [u8; 32],
    /// Whether it took effect.
    pub successful: bool,
}

/// Where a movement belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Fees, which all transactions pay before the first is applied.
    Fees,
    /// What transactions do.
    Operations,
    /// What is paid back after all transactions.
    Refunds,
}

/// The most rows that a thread keeps the room of for its next call.
const KEPT: usize = 1 << 16;

thread_local! {
    /// The room that operations last took: pages made anew by the system for every call cost about as much as to fill
    /// them.
    static SPARE: Cell<Vec<Row>> = const { Cell::new(Vec::new()) };
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut rows = std::mem::take(&mut self.operations.rows);
        rows.clear();
        if rows.capacity() <= KEPT {
            let _ = SPARE.try_with(|spare| spare.set(rows)); // a thread that ends has none any more
        }
    }
}

/// The movements of the ledger at hand.
pub struct Journal {
    /// The tokens they are of.
    pub tokens: Tokens,
    /// The ledger's transactions.
    pub transactions: Vec<Seen>,
    /// First.
    pub fees: Section,
    /// Second.
    pub operations: Section,
    /// Third.
    pub refunds: Section,
    text: Vec<u8>,
    filter: Arc<Filter>,
}

impl Journal {
    /// An empty journal.
    pub fn new(tokens: Tokens, filter: Arc<Filter>) -> Self {
        let (fees, refunds) = Default::default();
        let operations = Section { rows: SPARE.take(), count: 0 };
        let (transactions, text) = (Vec::new(), Vec::new());
        Self { tokens, transactions, fees, operations, refunds, text, filter }
    }

    /// Forget the ledger.
    pub fn clear(&mut self) {
        for section in [&mut self.fees, &mut self.operations, &mut self.refunds] {
            section.rows.clear();
            section.count = 0;
        }
        self.transactions.clear();
        self.text.clear();
        self.tokens.tidy();
    }

    /// Write down a movement of the last transaction.
    pub fn record(&mut self, part: Part, movement: Movement<'_>) {
        let wanted = self.wants(&movement);
        let section = match part {
            Part::Fees => &mut self.fees,
            Part::Operations => &mut self.operations,
            Part::Refunds => &mut self.refunds,
        };
        let position = section.count;
        section.count += 1;
        if !wanted {
            return;
        }
        let Movement { kind, token, from, to, amount, memo, operation } = movement;
        let transaction = self.transactions.len().wrapping_sub(1);
        let memo = hold(&mut self.text, memo);
        let row = Row { position, transaction, kind, token, from, to, amount, memo, operation };
        section.rows.push(row);
    }

    /// The bytes of a held memo.
    pub fn text(&self, start: usize, end: usize) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    fn wants(&self, movement: &Movement<'_>) -> bool {
        let operation = movement.operation.and_then(|(_, kind)| kind);
        self.tokens.get(movement.token).is_some_and(|token| token.wanted)
            && self.filter.transfer(movement.kind, operation)
            && (!self.filter.has_accounts() || self.concerns_account(movement))
    }

    fn concerns_account(&self, movement: &Movement<'_>) -> bool {
        let meant = match (movement.to, movement.memo) {
            (Some(to), Memo::Id(id)) => Some(Address { muxed: Some(id), ..to }),
            _ => movement.to,
        };
        [movement.from, meant].iter().flatten().any(|address| self.filter.account(address))
    }
}

fn hold(text: &mut Vec<u8>, memo: Memo<'_>) -> HeldMemo {
    let start = text.len();
    match memo {
        Memo::None => HeldMemo::None,
        Memo::Id(id) => HeldMemo::Id(id),
        Memo::Text(bytes) => {
            text.extend_from_slice(bytes);
            HeldMemo::Text(start, text.len())
        }
        Memo::Hash(bytes) => {
            text.extend_from_slice(bytes);
            HeldMemo::Hash(start, text.len())
        }
    }
}
