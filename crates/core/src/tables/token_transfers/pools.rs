//! Movements between accounts and liquidity pools (CAP-38), out of the pools' changed reserves.

use sha2::{Digest, Sha256};

use super::step::{Meant, Step};
use crate::ledger::change::Kind as Changed;
use crate::ledger::entry::{self, ClaimableBalance, LiquidityPool, Pairs};
use crate::ledger::token_event::{Kind, Memo};
use crate::values::address::Address;
use crate::values::asset::RawAsset;
use crate::xdr::Input;
use crate::xdr::discriminants::{EnvelopeType, PublicKeyType};

/// A pool and how much of each of its assets came or went.
struct Flow<'a> {
    id: &'a [u8; 32],
    assets: [&'a [u8]; 2],
    amounts: [i64; 2],
}

impl<'a> Flow<'a> {
    fn new(before: Option<LiquidityPool<'a>>, after: Option<LiquidityPool<'a>>) -> Option<Self> {
        let LiquidityPool { id, assets, .. } = after.or(before)?;
        let [before_a, before_b] = before.map_or([0; 2], |pool| pool.reserves);
        let [after_a, after_b] = after.map_or([0; 2], |pool| pool.reserves);
        let amount = |before: i64, after: i64| after.checked_sub(before)?.checked_abs();
        let amounts = [amount(before_a, after_a)?, amount(before_b, after_b)?];
        Some(Self { id, assets, amounts })
    }

    fn sides(&self) -> impl Iterator<Item = (&'a [u8], i64)> {
        self.assets.into_iter().zip(self.amounts)
    }
}

/// The pools that an operation changed, ordered by id as the Go SDK orders changes.
fn flows(changes: Input<'_>) -> Option<Vec<Flow<'_>>> {
    let mut flows = Vec::new();
    for pair in Pairs::new(changes) {
        let before = pair.before.and_then(entry::liquidity_pool);
        let after = pair.after.and_then(entry::liquidity_pool);
        if before.is_some() || after.is_some() {
            flows.push(Flow::new(before, after)?);
        }
    }
    flows.sort_by_key(|flow| flow.id);
    Some(flows)
}

fn only(changes: Input<'_>) -> Option<Flow<'_>> {
    let mut flows = flows(changes)?.into_iter();
    flows.next().filter(|_| flows.next().is_none())
}

/// Follow a LiquidityPoolDepositOp.
pub fn deposit(step: &mut Step<'_, '_>, changes: Input<'_>) -> Option<()> {
    let flow = only(changes)?;
    let pool = Address::liquidity_pool(flow.id);
    for (asset, amount) in flow.sides() {
        let (asset, _) = RawAsset::read(asset).filter(|_| amount > 0)?;
        step.transfer(asset, step.account(), pool, amount, Meant::Plain);
    }
    Some(())
}

/// Follow a LiquidityPoolWithdrawOp; rounding may leave nothing of an asset.
pub fn withdraw(step: &mut Step<'_, '_>, changes: Input<'_>) -> Option<()> {
    let flow = only(changes)?;
    let pool = Address::liquidity_pool(flow.id);
    for (asset, amount) in flow.sides() {
        let (asset, _) = RawAsset::read(asset)?;
        step.transfer(asset, pool, step.source.into(), amount, Meant::Addressed);
    }
    Some(())
}

/// Follow an AllowTrustOp or SetTrustLineFlagsOp: a trustor who loses authorization loses the
/// shares in pools of the asset, too. What they were worth becomes claimable balances of the
/// trustor's, but for an asset the trustor issues, which is burned.
pub fn revoked(step: &mut Step<'_, '_>, changes: Input<'_>) -> Option<()> {
    let flows = flows(changes)?;
    if flows.is_empty() {
        return Some(());
    }
    let mut created: Vec<_> = Pairs::new(changes)
        .filter(|pair| pair.kind == Changed::Created)
        .filter_map(|pair| entry::claimable_balance(pair.after?))
        .collect();
    created.sort_by_key(|balance| balance.id);
    for flow in &flows {
        let balances = flow.assets.map(|asset| {
            let id = balance_id(step, flow.id, asset);
            let at = created.binary_search_by_key(&&id, |balance| balance.id).ok()?;
            created.get(at)
        });
        redeem(step, flow, balances)?;
    }
    Some(())
}

fn redeem(
    step: &mut Step<'_, '_>,
    flow: &Flow<'_>,
    balances: [Option<&ClaimableBalance<'_>>; 2],
) -> Option<()> {
    let pool = Address::liquidity_pool(flow.id);
    for balance in balances.into_iter().flatten() {
        let (asset, _) = RawAsset::read(balance.asset)?;
        let to = Address::claimable_balance(balance.id);
        step.transfer(asset, pool, to, balance.amount, Meant::Plain);
    }
    let burned = match balances {
        [Some(_), None] => flow.sides().nth(1),
        [None, Some(_)] => flow.sides().next(),
        _ => None,
    };
    if let Some((asset, amount)) = burned {
        let (asset, _) = RawAsset::read(asset)?;
        step.record(Kind::Burn, asset, (Some(pool), None), amount.into(), Memo::None);
    }
    Some(())
}

/// The id of the claimable balance that a revocation makes of an asset in a pool: sha256 of the
/// HashIDPreimage (CAP-38).
fn balance_id(step: &Step<'_, '_>, pool: &[u8; 32], asset: &[u8]) -> [u8; 32] {
    let (account, sequence, operation) = step.identity();
    Sha256::new_with_prefix(EnvelopeType::POOL_REVOKE_OP_ID.to_be_bytes())
        .chain_update(PublicKeyType::ED25519.to_be_bytes())
        .chain_update(account)
        .chain_update(sequence.to_be_bytes())
        .chain_update(operation.to_be_bytes())
        .chain_update(pool)
        .chain_update(asset)
        .finalize()
        .into()
}
