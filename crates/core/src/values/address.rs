//! Who can hold a token: accounts, contracts, claimable balances and liquidity pools.

use crate::values::muxed::Muxed;
use crate::values::strkey;
use crate::xdr;
use crate::xdr::discriminants::{SCAddressType, SCValType};

/// What an address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// G… or M…
    Account,
    /// C…, or multiplexed
    Contract,
    /// B…
    ClaimableBalance,
    /// L…
    LiquidityPool,
}

/// An address (SEP-23) by its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// What it stands for.
    pub kind: Kind,
    /// Its key, id or hash.
    pub key: [u8; 32],
    /// The id of a multiplexed account or contract.
    pub muxed: Option<u64>,
}

impl Address {
    /// An account, without the id it may be multiplexed by.
    pub fn account(key: &[u8; 32]) -> Self {
        Self { kind: Kind::Account, key: *key, muxed: None }
    }

    /// A claimable balance.
    pub fn claimable_balance(id: &[u8; 32]) -> Self {
        Self { kind: Kind::ClaimableBalance, key: *id, muxed: None }
    }

    /// A liquidity pool.
    pub fn liquidity_pool(id: &[u8; 32]) -> Self {
        Self { kind: Kind::LiquidityPool, key: *id, muxed: None }
    }

    /// Read an SCVal that is an address.
    pub fn of_value(value: &[u8]) -> Option<Self> {
        let (kind, body) = xdr::u32(xdr::arm(value, SCValType::ADDRESS)?)?;
        let (kind, muxed, body) = match kind {
            SCAddressType::ACCOUNT => (Kind::Account, None, body.get(4..)?),
            SCAddressType::CONTRACT => (Kind::Contract, None, body),
            SCAddressType::MUXED_ACCOUNT => {
                xdr::u64(body).map(|(id, key)| (Kind::Account, Some(id), key))?
            }
            SCAddressType::MUXED_CONTRACT => {
                xdr::u64(body).map(|(id, key)| (Kind::Contract, Some(id), key))?
            }
            SCAddressType::CLAIMABLE_BALANCE => (Kind::ClaimableBalance, None, body.get(4..)?),
            SCAddressType::LIQUIDITY_POOL => (Kind::LiquidityPool, None, body),
            _ => return None,
        };
        Some(Self { kind, key: *xdr::array(body)?.0, muxed })
    }

    /// Read a strkey: G…, M…, C…, B… or L….
    pub fn parse(text: &str) -> Option<Self> {
        let plain =
            |kind, version| Some(Self { kind, key: strkey::decode(version, text)?, muxed: None });
        match text.as_bytes().first()? {
            b'G' => plain(Kind::Account, strkey::ACCOUNT),
            b'C' => plain(Kind::Contract, strkey::CONTRACT),
            b'L' => plain(Kind::LiquidityPool, strkey::LIQUIDITY_POOL),
            b'M' => {
                let (key, id) = strkey::decode_muxed_account(text)?;
                Some(Self { kind: Kind::Account, key, muxed: Some(id) })
            }
            b'B' => Some(Self::claimable_balance(&strkey::decode_claimable_balance(text)?)),
            _ => None,
        }
    }

    /// Whether this is the account.
    pub fn is_account(&self, key: &[u8; 32]) -> bool {
        self.kind == Kind::Account && self.key == *key
    }

    /// The address without the id it may be multiplexed by.
    pub fn plain(self) -> Self {
        Self { muxed: None, ..self }
    }
}

impl From<Muxed<'_>> for Address {
    fn from(account: Muxed<'_>) -> Self {
        Self { kind: Kind::Account, key: *account.key, muxed: account.id }
    }
}
