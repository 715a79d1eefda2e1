//! Entries of the classic ledger before and after a change, looked at where they lie.

use crate::ledger::change::Kind;
use crate::xdr::discriminants::{
    ClaimableBalanceIDType, LedgerEntryChangeType, LedgerEntryType, LiquidityPoolType,
    PublicKeyType,
};
use crate::xdr::layout::{Asset, Claimant, LedgerEntryData, LedgerEntryExt, LedgerKey};
use crate::xdr::schema::Array;
use crate::xdr::{self, Input, between, skip};

/// A change with both its sides, each LedgerEntryData.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What happened.
    pub kind: Kind,
    /// The entry before; `None` where there was none.
    pub before: Option<Input<'a>>,
    /// The entry after; `None` where there is none.
    pub after: Option<Input<'a>>,
}

/// The changes of LedgerEntryChanges in wire order.
pub struct Pairs<'a> {
    left: u32,
    bytes: Input<'a>,
    before: Option<Input<'a>>,
}

impl<'a> Pairs<'a> {
    /// Go over LedgerEntryChanges, or nothing where they are empty.
    pub fn new(changes: Input<'a>) -> Self {
        let (left, bytes) = xdr::u32(changes).unwrap_or_default();
        Self { left, bytes, before: None }
    }

    fn entry(&mut self, body: Input<'a>) -> Option<Input<'a>> {
        let data = body.get(4..)?;
        let end = skip::<LedgerEntryData>(data)?;
        self.bytes = skip::<LedgerEntryExt>(end)?;
        Some(between(data, end))
    }

    /// Read one change; a STATE is the side before the change that follows it.
    fn read(&mut self) -> Option<Option<Pair<'a>>> {
        let (arm, body) = xdr::u32(self.bytes)?;
        let before = self.before.take();
        let pair = |kind, before, after| Some(Some(Pair { kind, before, after }));
        match arm {
            LedgerEntryChangeType::CREATED => pair(Kind::Created, None, Some(self.entry(body)?)),
            LedgerEntryChangeType::UPDATED => pair(Kind::Updated, before, Some(self.entry(body)?)),
            LedgerEntryChangeType::REMOVED => {
                self.bytes = skip::<LedgerKey>(body)?;
                pair(Kind::Removed, before, None)
            }
            LedgerEntryChangeType::STATE => {
                self.before = Some(self.entry(body)?);
                Some(None)
            }
            LedgerEntryChangeType::RESTORED => {
                self.before = Some(self.entry(body)?);
                pair(Kind::Restored, None, self.before)
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.left = self.left.checked_sub(1)?;
            if let Some(pair) = self.read()? {
                return Some(pair);
            }
        }
    }
}

/// The key and balance of an account; `None` for other entries.
pub fn account(data: Input<'_>) -> Option<(&[u8; 32], i64)> {
    let key = xdr::arm(data, LedgerEntryType::ACCOUNT)?;
    let (key, rest) = xdr::array(xdr::arm(key, PublicKeyType::ED25519)?)?;
    Some((key, xdr::i64(rest)?.0))
}

/// A ClaimableBalanceEntry.
#[derive(Debug, Clone, Copy)]
pub struct ClaimableBalance<'a> {
    /// Its id.
    pub id: &'a [u8; 32],
    /// Asset
    pub asset: &'a [u8],
    /// Stroops.
    pub amount: i64,
}

/// A claimable balance; `None` for other entries.
pub fn claimable_balance(data: Input<'_>) -> Option<ClaimableBalance<'_>> {
    let id = xdr::arm(data, LedgerEntryType::CLAIMABLE_BALANCE)?;
    let (id, claimants) = xdr::array(xdr::arm(id, ClaimableBalanceIDType::V0)?)?;
    let asset = skip::<Array<Claimant, 10>>(claimants)?;
    let rest = skip::<Asset>(asset)?;
    Some(ClaimableBalance { id, asset: between(asset, rest), amount: xdr::i64(rest)?.0 })
}

/// A LiquidityPoolEntry.
#[derive(Debug, Clone, Copy)]
pub struct LiquidityPool<'a> {
    /// Its id.
    pub id: &'a [u8; 32],
    /// Both its Asset.
    pub assets: [&'a [u8]; 2],
    /// What it holds of each.
    pub reserves: [i64; 2],
}

/// A liquidity pool; `None` for other entries.
pub fn liquidity_pool(data: Input<'_>) -> Option<LiquidityPool<'_>> {
    let (id, body) = xdr::array(xdr::arm(data, LedgerEntryType::LIQUIDITY_POOL)?)?;
    let first = xdr::arm(body, LiquidityPoolType::CONSTANT_PRODUCT)?;
    let second = skip::<Asset>(first)?;
    let rest = skip::<Asset>(second)?;
    let (reserve_a, bytes) = xdr::i64(rest.get(4..)?)?;
    let (reserve_b, _) = xdr::i64(bytes)?;
    let assets = [between(first, second), between(second, rest)];
    Some(LiquidityPool { id, assets, reserves: [reserve_a, reserve_b] })
}
