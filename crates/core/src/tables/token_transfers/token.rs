//! The tokens that a run of ledgers moves, each looked at once: its contract, its asset's names,
//! and whether the filter wants it.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::filter::Filter;
use crate::values::asset::{Asset, RawAsset};
use crate::values::strkey;

/// A token by its place among the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenId(u32);

/// Tokens known at once; more than any ledger moves, so that memory stays bounded.
const MOST: usize = 16_384;

/// What there is to say of a token.
pub struct Token {
    /// Its contract's id, as strkey.
    pub contract: [u8; strkey::LENGTH],
    /// The classic asset it is, if any.
    pub asset: Option<RawAsset>,
    /// The issuer, as strkey, where there is one.
    pub issuer: Option<[u8; strkey::LENGTH]>,
    /// Whether rows of it are wanted.
    pub wanted: bool,
    id: [u8; 32],
    name: Vec<u8>,
}

/// All tokens seen.
pub struct Tokens {
    network_id: [u8; 32],
    filter: Arc<Filter>,
    known: Vec<Token>,
    by_asset: HashMap<RawAsset, TokenId, RandomState>,
    by_contract: HashMap<([u8; 32], bool), TokenId, RandomState>,
    native: TokenId,
}

impl Tokens {
    /// No token but the native one.
    pub fn new(network_id: [u8; 32], filter: Arc<Filter>) -> Self {
        let mut tokens = Self {
            network_id,
            filter,
            known: Vec::new(),
            by_asset: HashMap::default(),
            by_contract: HashMap::default(),
            native: TokenId(0),
        };
        tokens.native = tokens.of_asset(RawAsset::Native);
        tokens
    }

    /// Forget tokens where there are many; ids given out before mean nothing any more.
    pub fn tidy(&mut self) {
        if self.known.len() > MOST {
            *self = Self::new(self.network_id, self.filter.clone());
        }
    }

    /// The native token.
    pub fn native(&self) -> TokenId {
        self.native
    }

    /// The id of the native token's contract.
    pub fn native_contract(&self) -> [u8; 32] {
        self.get(self.native).map_or([0; 32], |token| token.id)
    }

    /// A token by its id.
    pub fn get(&self, id: TokenId) -> Option<&Token> {
        self.known.get(id.0 as usize)
    }

    /// The token of a classic asset.
    pub fn of_asset(&mut self, asset: RawAsset) -> TokenId {
        if let Some(id) = self.by_asset.get(&asset) {
            return *id;
        }
        let contract = asset.contract_id(&self.network_id);
        let id = self.add(contract, Some(asset));
        self.by_asset.insert(asset, id);
        self.by_contract.insert((contract, true), id);
        id
    }

    /// The token of a contract, as an asset if the name it claims is that of the asset whose
    /// contract it is.
    pub fn of_contract(&mut self, contract: &[u8; 32], claim: Option<&[u8]>) -> TokenId {
        if let Some(name) = claim.filter(|name| !name.is_empty()) {
            let known = self.by_contract.get(&(*contract, true)).copied();
            if let Some(id) = known
                && self.get(id).is_some_and(|token| token.name == name)
            {
                return id;
            }
            if let Some(asset) = claimed(name)
                && asset.contract_id(&self.network_id) == *contract
            {
                return self.of_asset(asset);
            }
        }
        if let Some(id) = self.by_contract.get(&(*contract, false)) {
            return *id;
        }
        let id = self.add(*contract, None);
        self.by_contract.insert((*contract, false), id);
        id
    }

    fn add(&mut self, contract: [u8; 32], raw: Option<RawAsset>) -> TokenId {
        let asset = raw.and_then(|asset| asset.named());
        let filter = &self.filter;
        let wanted = filter.contract(Some(&contract))
            && (!filter.has_assets() || filter.asset(&contract, || raw));
        let issuer = raw.and_then(|asset| asset.issuer());
        self.known.push(Token {
            contract: strkey::encode(strkey::CONTRACT, &contract),
            asset: raw,
            issuer: issuer.map(|issuer| strkey::encode(strkey::ACCOUNT, &issuer)),
            wanted,
            id: contract,
            name: asset.map_or_else(Vec::new, |asset| asset.to_string().into_bytes()),
        });
        TokenId((self.known.len() - 1) as u32)
    }
}

/// The asset of a SEP-11 name.
fn claimed(name: &[u8]) -> Option<RawAsset> {
    let name = std::str::from_utf8(name).ok()?;
    if name.eq_ignore_ascii_case("native") {
        return Some(RawAsset::Native);
    }
    Asset::parse(name).map(RawAsset::from)
}
