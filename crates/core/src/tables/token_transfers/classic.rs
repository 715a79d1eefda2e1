//! Movements of the classic operations, out of what they ask for, their results and, where these
//! do not tell, the entries they changed (CAP-67).

use super::pools;
use super::step::{Meant, Step};
use crate::ledger::change::Kind as Changed;
use crate::ledger::entry::{self, ClaimableBalance, Pairs};
use crate::ledger::token_event::{Kind, Memo};
use crate::values::address::Address;
use crate::values::asset::RawAsset;
use crate::values::muxed::Muxed;
use crate::xdr::discriminants::{
    ClaimAtomType, ClaimableBalanceIDType, OperationType as Type, PublicKeyType,
};
use crate::xdr::{self, Input};

/// An operation and what came of it.
pub struct Done<'a> {
    /// OperationType
    pub kind: u32,
    /// OperationBody behind its type.
    pub body: Input<'a>,
    /// The operation's own result behind its code.
    pub result: Input<'a>,
    /// LedgerEntryChanges
    pub changes: Input<'a>,
}

/// Whether operations of this type can move what somebody holds; contract calls aside.
pub fn moves(kind: u32) -> bool {
    matches!(
        kind,
        Type::CREATE_ACCOUNT..=Type::CREATE_PASSIVE_SELL_OFFER
            | Type::ALLOW_TRUST..=Type::INFLATION
            | Type::MANAGE_BUY_OFFER..=Type::CLAIM_CLAIMABLE_BALANCE
            | Type::CLAWBACK..=Type::LIQUIDITY_POOL_WITHDRAW
    )
}

/// Follow an operation. `None` where it, its result and its changes contradict one another.
pub fn follow(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    match done.kind {
        Type::CREATE_ACCOUNT => create_account(step, done.body),
        Type::PAYMENT => payment(step, done.body),
        Type::PATH_PAYMENT_STRICT_RECEIVE | Type::PATH_PAYMENT_STRICT_SEND => {
            path_payment(step, done)
        }
        Type::MANAGE_SELL_OFFER | Type::CREATE_PASSIVE_SELL_OFFER | Type::MANAGE_BUY_OFFER => {
            trades(step, done.result).map(drop)
        }
        Type::ALLOW_TRUST | Type::SET_TRUST_LINE_FLAGS => pools::revoked(step, done.changes),
        Type::ACCOUNT_MERGE => merge(step, done),
        Type::INFLATION => inflation(step, done.result),
        Type::CREATE_CLAIMABLE_BALANCE => create_claimable_balance(step, done),
        Type::CLAIM_CLAIMABLE_BALANCE => claim(step, done),
        Type::CLAWBACK => clawback(step, done.body),
        Type::CLAWBACK_CLAIMABLE_BALANCE => clawback_claimable_balance(step, done),
        Type::LIQUIDITY_POOL_DEPOSIT => pools::deposit(step, done.changes),
        Type::LIQUIDITY_POOL_WITHDRAW => pools::withdraw(step, done.changes),
        _ => Some(()),
    }
}

/// AccountID, of the only type there is.
fn account_id(bytes: Input<'_>) -> Option<(Address, Input<'_>)> {
    let (key, rest) = xdr::array(xdr::arm(bytes, PublicKeyType::ED25519)?)?;
    Some((Address::account(key), rest))
}

fn claimable_balance_id(bytes: Input<'_>) -> Option<Address> {
    let (id, _) = xdr::array(xdr::arm(bytes, ClaimableBalanceIDType::V0)?)?;
    Some(Address::claimable_balance(id))
}

fn create_account(step: &mut Step<'_, '_>, body: Input<'_>) -> Option<()> {
    let (to, rest) = account_id(body)?;
    let (amount, _) = xdr::i64(rest)?;
    step.transfer(RawAsset::Native, step.account(), to, amount, Meant::Addressed);
    Some(())
}

fn payment(step: &mut Step<'_, '_>, body: Input<'_>) -> Option<()> {
    let (to, rest) = Muxed::read(body)?;
    let (asset, rest) = RawAsset::read(rest)?;
    let (amount, _) = xdr::i64(rest)?;
    step.transfer(asset, step.account(), to.into(), amount, Meant::Addressed);
    Some(())
}

/// PathPaymentStrictReceiveOp or PathPaymentStrictSendOp: the trades on the way, then the payment.
fn path_payment(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    let (_, rest) = RawAsset::read(done.body)?;
    let (to, rest) = Muxed::read(rest.get(8..)?)?;
    let (asset, rest) = RawAsset::read(rest)?;
    let last = trades(step, done.result)?;
    let (amount, _) = match done.kind {
        Type::PATH_PAYMENT_STRICT_RECEIVE => xdr::i64(rest)?,
        // What arrived only the result tells: SimplePaymentResult.
        _ => xdr::i64(RawAsset::read(account_id(last)?.1)?.1)?,
    };
    step.transfer(asset, step.account(), to.into(), amount, Meant::Addressed);
    Some(())
}

/// ClaimAtom<>: each a swap between the source and an offer's seller or a pool. Returns what
/// follows.
fn trades<'a>(step: &mut Step<'_, '_>, claims: Input<'a>) -> Option<Input<'a>> {
    let (count, mut bytes) = xdr::u32(claims)?;
    for _ in 0..count {
        let (arm, body) = xdr::u32(bytes)?;
        let (seller, rest) = match arm {
            ClaimAtomType::V0 => {
                xdr::array(body).map(|(key, rest)| (Address::account(key), rest))?
            }
            ClaimAtomType::ORDER_BOOK => account_id(body)?,
            ClaimAtomType::LIQUIDITY_POOL => {
                xdr::array(body).map(|(id, rest)| (Address::liquidity_pool(id), rest))?
            }
            _ => return None,
        };
        // An offer has an id, a pool none.
        let rest = if arm == ClaimAtomType::LIQUIDITY_POOL { rest } else { rest.get(8..)? };
        let (sold, rest) = RawAsset::read(rest)?;
        let (amount_sold, rest) = xdr::i64(rest)?;
        let (bought, rest) = RawAsset::read(rest)?;
        let (amount_bought, rest) = xdr::i64(rest)?;
        step.transfer(sold, seller, step.account(), amount_sold, Meant::Plain);
        step.transfer(bought, step.account(), seller, amount_bought, Meant::Plain);
        bytes = rest;
    }
    Some(bytes)
}

fn merge(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    let (to, _) = Muxed::read(done.body)?;
    let (amount, _) = xdr::i64(done.result)?;
    step.transfer(RawAsset::Native, step.account(), to.into(), amount, Meant::Addressed);
    Some(())
}

fn inflation(step: &mut Step<'_, '_>, payouts: Input<'_>) -> Option<()> {
    let (count, mut bytes) = xdr::u32(payouts)?;
    for _ in 0..count {
        let (to, rest) = account_id(bytes)?;
        let (amount, rest) = xdr::i64(rest)?;
        step.record(Kind::Mint, RawAsset::Native, (None, Some(to)), amount.into(), Memo::None);
        bytes = rest;
    }
    Some(())
}

fn create_claimable_balance(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    let (asset, rest) = RawAsset::read(done.body)?;
    let (amount, _) = xdr::i64(rest)?;
    let to = claimable_balance_id(done.result)?;
    step.transfer(asset, step.account(), to, amount, Meant::Plain);
    Some(())
}

/// The one claimable balance that an operation removed, as it was.
fn removed_balance(changes: Input<'_>) -> Option<ClaimableBalance<'_>> {
    let mut removed = Pairs::new(changes)
        .filter(|pair| pair.kind == Changed::Removed)
        .filter_map(|pair| entry::claimable_balance(pair.before?));
    let balance = removed.next()?;
    removed.next().is_none().then_some(balance)
}

fn claim(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    let from = claimable_balance_id(done.body)?;
    let balance = removed_balance(done.changes)?;
    let (asset, _) = RawAsset::read(balance.asset)?;
    step.transfer(asset, from, step.source.into(), balance.amount, Meant::Addressed);
    Some(())
}

fn clawback(step: &mut Step<'_, '_>, body: Input<'_>) -> Option<()> {
    let (asset, rest) = RawAsset::read(body)?;
    let (from, rest) = Muxed::read(rest)?;
    let (amount, _) = xdr::i64(rest)?;
    let from = Address::account(from.key);
    step.record(Kind::Clawback, asset, (Some(from), None), amount.into(), Memo::None);
    Some(())
}

fn clawback_claimable_balance(step: &mut Step<'_, '_>, done: &Done<'_>) -> Option<()> {
    let from = claimable_balance_id(done.body)?;
    let balance = removed_balance(done.changes)?;
    let (asset, _) = RawAsset::read(balance.asset)?;
    let sides = (Some(from), None);
    step.record(Kind::Clawback, asset, sides, balance.amount.into(), Memo::None);
    Some(())
}
