//! One classic operation at hand: whose it is, and what it has moved so far.

use super::journal::{Journal, Mark, Movement, Part};
use crate::ledger::entry::{self, Pairs};
use crate::ledger::envelope::{self, Envelope};
use crate::ledger::operation::Operation;
use crate::ledger::token_event::{Kind, Memo};
use crate::values::address::{Address, Kind as Holder};
use crate::values::asset::RawAsset;
use crate::values::muxed::Muxed;
use crate::xdr::Input;

/// An operation that is being followed.
pub struct Step<'j, 'a> {
    /// Where its movements go.
    pub journal: &'j mut Journal,
    /// Who carries it out.
    pub source: Muxed<'a>,
    envelope: &'j Envelope<'a>,
    operation: (u32, Option<u32>),
    start: Mark,
    /// What it has moved of the source's lumens.
    lumens: i128,
}

/// Who a movement is meant for: an account it is addressed to by a person, or just whoever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// The id of the address, or else the transaction's memo, goes with it.
    Addressed,
    /// Neither does.
    Plain,
}

/// What a movement is, by whether the asset's issuer is one of its sides (CAP-67).
pub fn sides(
    asset: RawAsset,
    from: Address,
    to: Address,
) -> (Kind, Option<Address>, Option<Address>) {
    let issued = |side: &Address| asset.issuer().is_some_and(|issuer| side.is_account(&issuer));
    match (issued(&from), issued(&to)) {
        (true, false) => (Kind::Mint, None, Some(to)),
        (false, true) => (Kind::Burn, Some(from), None),
        _ => (Kind::Transfer, Some(from), Some(to)),
    }
}

impl<'j, 'a> Step<'j, 'a> {
    /// Begin to follow an operation, given with its index.
    pub fn new(
        journal: &'j mut Journal,
        envelope: &'j Envelope<'a>,
        index: u32,
        operation: &Operation<'a>,
    ) -> Self {
        let start = journal.operations.mark();
        let source = operation.source.unwrap_or(envelope.source);
        let operation = (index, Some(operation.kind));
        Self { journal, source, envelope, operation, start, lumens: 0 }
    }

    /// What a claimable balance the operation makes is named by: the transaction's account and
    /// sequence number, and the operation's index.
    pub fn identity(&self) -> (&'a [u8; 32], i64, u32) {
        (self.envelope.source.key, self.envelope.sequence, self.operation.0)
    }

    /// The operation's source account without its id.
    pub fn account(&self) -> Address {
        Address::account(self.source.key)
    }

    /// Move an amount of an asset, as a mint or burn where the issuer is one side.
    pub fn transfer(
        &mut self,
        asset: RawAsset,
        from: Address,
        to: Address,
        amount: i64,
        meant: Meant,
    ) {
        let memo = match meant {
            Meant::Addressed if to.kind == Holder::Account => self.memo_for(to),
            _ => Memo::None,
        };
        let (kind, from, to) = sides(asset, from.plain(), to.plain());
        let memo = if kind == Kind::Burn { Memo::None } else { memo };
        self.record(kind, asset, (from, to), amount.into(), memo);
    }

    /// Write down a movement of which the sides are clear.
    pub fn record(
        &mut self,
        kind: Kind,
        asset: RawAsset,
        (from, to): (Option<Address>, Option<Address>),
        amount: i128,
        memo: Memo<'_>,
    ) {
        let token = match asset {
            RawAsset::Native => {
                let source = |side: Option<Address>| side == Some(self.account());
                let (paid, got) = (source(from), source(to));
                self.lumens += amount * (i128::from(got) - i128::from(paid));
                self.journal.tokens.native()
            }
            _ => self.journal.tokens.of_asset(asset),
        };
        let operation = Some(self.operation);
        let movement = Movement { kind, token, from, to, amount, memo, operation };
        self.journal.record(Part::Operations, movement);
    }

    /// Before protocol 8 operations could move lumens that neither they nor their results tell of
    /// (CAP-67, retroactively emitting events): mint before or burn after them what is missing.
    pub fn reconcile(&mut self, changes: Input<'_>) -> Option<()> {
        let mut actual = 0i128;
        for pair in Pairs::new(changes) {
            let balance = |side: Option<Input<'_>>| {
                side.and_then(entry::account)
                    .filter(|(key, _)| *key == self.source.key)
                    .map_or(0, |(_, balance)| i128::from(balance))
            };
            actual = actual.checked_add(balance(pair.after) - balance(pair.before))?;
        }
        let missing = actual.checked_sub(self.lumens)?;
        let account = Some(self.account());
        if missing > 0 {
            self.record(Kind::Mint, RawAsset::Native, (None, account), missing, Memo::None);
            self.journal.operations.move_last_to(self.start);
        } else if missing < 0 {
            self.record(Kind::Burn, RawAsset::Native, (account, None), -missing, Memo::None);
        }
        Some(())
    }

    fn memo_for(&self, to: Address) -> Memo<'a> {
        match (to.muxed, self.envelope.memo) {
            (Some(id), _) | (None, envelope::Memo::Id(id)) => Memo::Id(id),
            (None, envelope::Memo::None) => Memo::None,
            (None, envelope::Memo::Text(text)) => Memo::Text(text),
            (None, envelope::Memo::Hash(hash) | envelope::Memo::Return(hash)) => Memo::Hash(hash),
        }
    }
}
