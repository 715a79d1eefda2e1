//! Which rows are wanted: lists within one field are OR, fields are AND, an empty list is no filter.

use crate::error::{Error, Result};
use crate::ledger::change;
use crate::ledger::operation::OPERATION_NAMES;
use crate::ledger::token_event::{KIND_NAMES, Kind};
use crate::values::address::Address;
use crate::values::asset::RawAsset;
use crate::values::{escape, strkey};

/// A filter as the caller writes it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Contracts, as strkeys.
    pub contract_ids: Vec<String>,
    /// `CODE`, `CODE:ISSUER`, `native` or a token's contract as strkey; odd codes as the tables write
    /// them (`escape::text`).
    pub asset_codes: Vec<String>,
    /// Issuing accounts, as strkeys.
    pub asset_issuers: Vec<String>,
    /// Topic 0 of contract events, as the tables write it (`escape::text`).
    pub event_names: Vec<String>,
    /// `contract`, `system` or `diagnostic` for contract events; `transfer`, `mint` …, or the name
    /// of an operation, for token transfers. Where none of a table's own words is among them, they
    /// do not filter that table.
    pub event_types: Vec<String>,
    /// Accounts, contracts, claimable balances or pools on either side of a transfer, as strkeys.
    pub accounts: Vec<String>,
    /// Leave out rows of deleted entries.
    pub exclude_deleted: bool,
}

/// A filter made ready for the walk: ids as bytes, assets with the contracts derived from them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    contracts: Vec<[u8; 32]>,
    codes: Vec<AssetCode>,
    /// Tokens named by their contracts.
    tokens: Vec<[u8; 32]>,
    issuers: Vec<[u8; 32]>,
    derived: Vec<([u8; 32], RawAsset)>,
    names: Vec<Box<[u8]>>,
    event_types: [bool; 3],
    any_event_type: bool,
    /// Bit N for the N-th of `KIND_NAMES`.
    transfer_kinds: u8,
    /// Bit N for OperationType N.
    operations: u32,
    accounts: Vec<Address>,
    exclude_deleted: bool,
}

#[derive(Debug, Clone, Copy)]
enum AssetCode {
    /// A code, padded with zeros.
    Bare([u8; 12]),
    Full(RawAsset),
}

/// The names of XDR's ContractEventType, by value.
pub const EVENT_TYPES: [&str; 3] = ["system", "contract", "diagnostic"];

impl Filter {
    /// Check a filter and make it ready; the error names the value that is wrong.
    pub fn new(wanted: &Wanted, network_id: &[u8; 32]) -> Result<Self> {
        let contracts = keys(&wanted.contract_ids, strkey::CONTRACT, "contract_ids", "C…")?;
        let issuers = keys(&wanted.asset_issuers, strkey::ACCOUNT, "asset_issuers", "G…")?;
        let (tokens, codes) = assets(&wanted.asset_codes)?;
        let mut derived: Vec<_> = codes
            .iter()
            .filter_map(|code| match code {
                AssetCode::Full(asset) => Some((asset.contract_id(network_id), *asset)),
                AssetCode::Bare(_) => None,
            })
            .collect();
        derived.sort_unstable_by_key(|(contract, _)| *contract);
        let words = EventWords::new(&wanted.event_types)?;
        Ok(Self {
            contracts,
            codes,
            tokens,
            issuers,
            derived,
            names: wanted.event_names.iter().map(|name| event_name(name)).collect::<Result<_>>()?,
            event_types: words.event_types,
            any_event_type: words.event_types == [false; 3],
            transfer_kinds: words.transfer_kinds,
            operations: words.operations,
            accounts: accounts(&wanted.accounts)?,
            exclude_deleted: wanted.exclude_deleted,
        })
    }

    /// Whether rows of this contract are wanted; `None` is what has no contract.
    #[inline]
    pub fn contract(&self, id: Option<&[u8; 32]>) -> bool {
        self.contracts.is_empty() || id.is_some_and(|id| self.contracts.binary_search(id).is_ok())
    }

    /// Whether assets play a part at all.
    #[inline]
    pub fn has_assets(&self) -> bool {
        !self.codes.is_empty() || !self.tokens.is_empty() || !self.issuers.is_empty()
    }

    /// Whether a row of this contract is wanted for its asset: one that `proven` finds, or the one
    /// whose contract it is.
    pub fn asset(&self, contract: &[u8; 32], proven: impl FnOnce() -> Option<RawAsset>) -> bool {
        let named = self.tokens.binary_search(contract).is_ok();
        if named && self.issuers.is_empty() {
            return true;
        }
        let derived = self.derived.binary_search_by_key(contract, |(contract, _)| *contract);
        let derived = derived.ok().and_then(|at| self.derived.get(at)).map(|(_, asset)| *asset);
        derived.or_else(proven).is_some_and(|asset| self.wants(&asset, named))
    }

    /// Whether an asset is wanted; `named` tells that its contract is.
    fn wants(&self, asset: &RawAsset, named: bool) -> bool {
        let code = named
            || self.codes.is_empty() && self.tokens.is_empty()
            || self.codes.iter().any(|code| match code {
                AssetCode::Full(full) => full == asset,
                AssetCode::Bare(bare) => {
                    matches!(asset, RawAsset::Credit { code, .. } if code == bare)
                }
            });
        let issuer = self.issuers.is_empty()
            || matches!(asset, RawAsset::Credit { issuer, .. }
                if self.issuers.binary_search(issuer).is_ok());
        code && issuer
    }

    /// Whether changes of this kind are wanted.
    #[inline]
    pub fn change(&self, kind: change::Kind) -> bool {
        !(self.exclude_deleted && kind == change::Kind::Removed)
    }

    /// Whether events of this XDR type (0 to 2) are wanted.
    #[inline]
    pub fn event_type(&self, kind: u32) -> bool {
        self.any_event_type || self.event_types.get(kind as usize).is_some_and(|wanted| *wanted)
    }

    /// Whether token transfers of this kind, made by an operation of this OperationType, are wanted.
    #[inline]
    pub fn transfer(&self, kind: Kind, operation: Option<u32>) -> bool {
        let operation = || operation.and_then(|kind| self.operations.checked_shr(kind));
        self.transfer_kinds == 0 && self.operations == 0
            || self.transfer_kinds >> kind as u8 & 1 != 0
            || operation().is_some_and(|bits| bits & 1 != 0)
    }

    /// Whether the sides of transfers play a part at all.
    #[inline]
    pub fn has_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// Whether transfers with this side are wanted: an account named by G… whatever its id, one
    /// named by M… only with that id.
    pub fn account(&self, side: &Address) -> bool {
        self.accounts.binary_search(side).is_ok()
            || side.muxed.is_some() && self.accounts.binary_search(&side.plain()).is_ok()
    }

    /// Whether events of this name are wanted; `None` is what has none.
    #[inline]
    pub fn event_name(&self, name: Option<&[u8]>) -> bool {
        self.names.is_empty()
            || name.is_some_and(|name| self.names.iter().any(|wanted| &**wanted == name))
    }
}

/// What `event_types` may name in a table: types and operations; none where any may be.
pub fn event_words(table: &str) -> Vec<&'static str> {
    match table {
        "contract_events" => EVENT_TYPES.to_vec(),
        "token_transfers" => [KIND_NAMES.as_slice(), OPERATION_NAMES.as_slice()].concat(),
        _ => Vec::new(),
    }
}

/// What the words of `event_types` mean, each in the table that knows it.
#[derive(Default)]
struct EventWords {
    event_types: [bool; 3],
    transfer_kinds: u8,
    operations: u32,
}

impl EventWords {
    fn new(names: &[String]) -> Result<Self> {
        let mut words = Self::default();
        for name in names {
            let place = |known: &[&str]| known.iter().position(|known| known == name);
            let event_type = place(&EVENT_TYPES).and_then(|at| words.event_types.get_mut(at));
            let kind = place(&KIND_NAMES).map_or(0, |at| 1 << at);
            let operation = place(&OPERATION_NAMES).map_or(0, |at| 1 << at);
            if event_type.is_none() && kind == 0 && operation == 0 {
                return Err(bad("event_types", name, &Self::allowed()));
            }
            event_type.into_iter().for_each(|wanted| *wanted = true);
            words.transfer_kinds |= kind;
            words.operations |= operation;
        }
        Ok(words)
    }

    fn allowed() -> String {
        format!(
            "contract, system or diagnostic (contract events), nor one of {} (token transfers), \
             nor an operation: {}",
            KIND_NAMES.join(", "),
            OPERATION_NAMES.join(", ")
        )
    }
}

fn accounts(texts: &[String]) -> Result<Vec<Address>> {
    let address = |text: &String| {
        let allowed = "a strkey with a right checksum: G…, M…, C…, B… or L…";
        Address::parse(text).ok_or_else(|| bad("accounts", text, allowed))
    };
    let mut accounts: Vec<_> = texts.iter().map(address).collect::<Result<_>>()?;
    accounts.sort_unstable();
    Ok(accounts)
}

fn keys(texts: &[String], version: u8, field: &str, like: &str) -> Result<Vec<[u8; 32]>> {
    let key = |text: &String| {
        let allowed = format!("a strkey of 56 characters like {like} with a right checksum");
        strkey::decode(version, text).ok_or_else(|| bad(field, text, &allowed))
    };
    let mut keys: Vec<_> = texts.iter().map(key).collect::<Result<_>>()?;
    keys.sort_unstable();
    Ok(keys)
}

/// The contracts and the codes among names of assets.
fn assets(texts: &[String]) -> Result<(Vec<[u8; 32]>, Vec<AssetCode>)> {
    let (mut tokens, mut codes) = (Vec::new(), Vec::new());
    for text in texts {
        match strkey::decode(strkey::CONTRACT, text) {
            Some(contract) => tokens.push(contract),
            None => codes.push(asset_code(text)?),
        }
    }
    tokens.sort_unstable();
    Ok((tokens, codes))
}

fn asset_code(text: &String) -> Result<AssetCode> {
    let allowed = "CODE of 1 to 12 letters and digits, CODE:ISSUER, native or a token's contract C… \
                   (odd codes as the tables write them)";
    let read = || match text.rsplit_once(':') {
        _ if text == "native" => Some(AssetCode::Full(RawAsset::Native)),
        Some((code, issuer)) => {
            let issuer = strkey::decode(strkey::ACCOUNT, issuer)?;
            let (code, length) = padded(code)?;
            Some(AssetCode::Full(RawAsset::Credit { long: length > 4, code, issuer }))
        }
        None => Some(AssetCode::Bare(padded(text)?.0)),
    };
    read().ok_or_else(|| bad("asset_codes", text, allowed))
}

/// A code's bytes, padded with zeros, and how many there are.
fn padded(code: &str) -> Option<([u8; 12], usize)> {
    let bytes = escape::bytes(code)?;
    let mut padded = [0; 12];
    padded.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    (bytes.last()? != &0).then_some((padded, bytes.len()))
}

fn event_name(text: &str) -> Result<Box<[u8]>> {
    let allowed =
        r"written as the tables write names: \ as \\, NUL as \0, bytes that are no UTF-8 as \xNN";
    let bytes = escape::bytes(text).ok_or_else(|| bad("event_names", text, allowed))?;
    Ok(bytes.into_boxed_slice())
}

fn bad(field: &str, value: &str, allowed: &str) -> Error {
    Error::Config(format!("{field}: {value:?} is not {allowed}"))
}
