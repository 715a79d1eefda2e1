//! The contracts of the run, their entries, and what becomes of entries whose time is up.

use std::collections::VecDeque;

use super::account::Market;
use super::asset::{Asset, contract_id, write_deployer_preimage};
use super::call::Call;
use super::code::Code;
use super::dice::Dice;
use super::entry::Entry;
use super::event::Token;
use super::now::Now;
use super::scval::Address;
use super::writer::{Array, Hash, Writer};
use crate::xdr::discriminants::{ContractExecutableType, SCValType};

/// Live entries over all contracts; a contract's share is bounded on both sides.
const ENTRIES: usize = 24_000;
const MOST_CODES: usize = 48;

/// One contract, deployed or still to come.
pub(super) struct Contract {
    pub token: Token,
    /// The asset of a SAC.
    pub asset: Option<Asset>,
    pub salt: Hash,
    pub code: usize,
    /// Calls so far, kept in the instance's storage.
    pub calls: u32,
    pub instance: Option<Entry>,
    pub entries: Vec<Entry>,
}

/// What kind of state a contract keeps; fixed by its place, so that each kind has its share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Stellar Asset Contract.
    Sac,
    /// A token of its own making whose balances look exactly like a SAC's.
    Lookalike,
    /// A token that stores a bare i128.
    Token,
    /// Keeps the AssetInfo of an asset that is not its own.
    Forger,
    Other,
}

impl Kind {
    pub fn of(place: usize) -> Self {
        match place % 16 {
            0 | 4 | 8 | 12 => Self::Sac,
            1 => Self::Lookalike,
            5 | 9 => Self::Token,
            3 => Self::Forger,
            _ => Self::Other,
        }
    }

    pub fn is_token(self) -> bool {
        matches!(self, Self::Sac | Self::Lookalike | Self::Token)
    }
}

pub(super) struct Contracts {
    pub all: Vec<Contract>,
    /// How many are deployed: the first ones of `all`.
    pub live: usize,
    /// The first one was there before the run, unless a transaction of the run uploads it.
    pub codes: Vec<Code>,
    first_uploaded: bool,
    /// Nonces of signed authorizations; they go when their time is up.
    pub nonces: VecDeque<Entry>,
    pub deployer: Address,
    cap: usize,
    swept: usize,
}

impl Contracts {
    pub fn new(count: usize, network: &Hash, dice: &mut Dice, now: Now) -> Self {
        let deployer = Address::Account(dice.bytes());
        let all = (0..count).map(|place| Contract::new(place, network, &deployer, dice)).collect();
        let mut contracts = Self {
            all,
            live: 0,
            codes: Vec::new(),
            first_uploaded: false,
            nonces: VecDeque::new(),
            deployer,
            cap: (ENTRIES / count).clamp(3, 24),
            swept: 0,
        };
        contracts.upload(now, dice, &mut Array::default());
        contracts
    }

    /// The credit assets whose SACs are among the contracts.
    pub fn markets(&self) -> Vec<Market> {
        let market = |(place, contract): (usize, &Contract)| {
            let asset = contract.asset.clone().filter(|asset| asset.issuer().is_some())?;
            Some(Market { asset, contract: place, lines: Vec::new() })
        };
        self.all.iter().enumerate().filter_map(market).collect()
    }

    pub fn has_room(&self, place: usize) -> bool {
        self.all[place].entries.len() < self.cap
    }

    /// Pick a deployed contract; the early ones are the busy ones.
    pub fn pick(&self, dice: &mut Dice) -> usize {
        dice.skewed(self.live)
    }

    /// Pick a deployed SAC: every fourth contract is one, the first of all native.
    pub fn pick_sac(&self, dice: &mut Dice) -> usize {
        4 * dice.skewed(self.live.div_ceil(4))
    }

    /// Pick the id of some contract, of the first hundreds, as busy ones meet again and again.
    pub fn some_id(&self, dice: &mut Dice) -> Hash {
        self.all[dice.skewed(self.all.len().min(300))].token.id
    }

    /// Whether the first code may still be uploaded within the run: nothing names it yet.
    pub fn wants_first_code(&self) -> bool {
        self.live == 0 && !self.first_uploaded
    }

    pub fn wants_code(&self) -> bool {
        self.codes.len() < MOST_CODES.min(1 + self.live / 20)
    }

    /// Upload one more code.
    pub fn upload(&mut self, now: Now, dice: &mut Dice, changes: &mut Array) {
        let mut code = Code::random(dice);
        code.create(now, changes);
        self.codes.push(code);
    }

    /// Upload the first code within the run.
    pub fn upload_first(&mut self, now: Now, changes: &mut Array) {
        self.first_uploaded = true;
        self.codes[0].create(now, changes);
    }

    /// Take into the footprint what a call reads: the contract's instance and its code.
    pub fn write_read_only(&self, place: usize, call: &mut Call) {
        let contract = &self.all[place];
        if let Some(instance) = &contract.instance {
            call.read(instance);
        }
        if contract.asset.is_none() {
            call.read(&self.codes[contract.code].entry);
        }
    }

    /// Evict what has expired, as far as the ledger's bytes allow. Persistent entries go to the hot archive, from protocol 23 on.
    pub fn evict(&mut self, now: Now, bytes: usize, out: &mut Array) {
        while out.bytes() < bytes && self.nonces.front().is_some_and(|nonce| nonce.expired(now.seq))
        {
            if let Some(nonce) = self.nonces.pop_front() {
                write_evicted(&nonce, out);
            }
        }
        for _ in 0..self.live.min(64) {
            self.swept = (self.swept + 1) % self.live;
            self.all[self.swept].entries.retain_mut(|entry| {
                let due = entry.expired(now.seq) && !entry.evicted && out.bytes() < bytes;
                if !due || !entry.temporary && !now.era.restores() {
                    return true;
                }
                write_evicted(entry, out);
                entry.evicted = true;
                !entry.temporary
            });
        }
    }
}

fn write_evicted(entry: &Entry, out: &mut Array) {
    out.item().raw(&entry.key);
    entry.write_ttl_key(out.item());
}

impl Contract {
    fn new(place: usize, network: &Hash, deployer: &Address, dice: &mut Dice) -> Self {
        let asset = match Kind::of(place) {
            Kind::Sac if place == 0 => Some(Asset::Native),
            Kind::Sac => Some(Asset::random(dice)),
            _ => None,
        };
        let salt = dice.bytes();
        let id = match &asset {
            Some(asset) => asset.contract_id(network),
            None => {
                let mut preimage = Writer::default();
                write_deployer_preimage(&mut preimage, deployer, &salt);
                contract_id(network, &preimage)
            }
        };
        let admin = asset.as_ref().and_then(Asset::issuer).copied();
        let token = Token { id, asset: asset.as_ref().map(Asset::name), admin };
        Self { token, asset, salt, code: 0, calls: 0, instance: None, entries: Vec::new() }
    }

    pub fn address(&self) -> Address {
        Address::Contract(self.token.id)
    }

    /// Write the executable as ContractExecutable.
    pub fn write_executable(&self, code: &Hash, w: &mut Writer) {
        if self.asset.is_some() {
            return w.u32(ContractExecutableType::STELLAR_ASSET);
        }
        w.u32(ContractExecutableType::WASM);
        w.raw(code);
    }

    /// Write the ScVal of the instance. `forged` is the asset that a forger claims to be.
    pub fn write_instance(&self, code: &Hash, forged: Option<&Asset>, w: &mut Writer) {
        w.u32(SCValType::CONTRACT_INSTANCE);
        self.write_executable(code, w);
        if let Some(asset) = self.asset.as_ref().or(forged) {
            return asset.write_storage(w);
        }
        w.bool(true); // it has storage
        w.u32(2);
        w.symbol("admin");
        w.sc_address(&Address::Contract(self.salt));
        w.symbol("calls");
        w.sc_u32(self.calls);
    }
}
