//! Slots of contract storage: their keys, what may lie in them, and what happens to them.

use stellar_xdr::{
    AccountId, AlphaNum4, AlphaNum12, Asset, AssetCode4, AssetCode12, ContractDataDurability,
    ContractDataEntry, ContractExecutable, Hash, Int128Parts, LedgerEntry, LedgerEntryChange,
    LedgerEntryData, LedgerKey, LedgerKeyContractData, LedgerKeyTtl, PublicKey, ScAddress,
    ScContractInstance, ScMap, ScMapEntry, ScSymbol, ScVal, ScVec, TtlEntry, Uint256,
};

use crate::dice::Dice;
use crate::official::contract_id;
use crate::sealed::{encode, sha256};

/// Amounts at the edges of the types that hold them.
const AMOUNTS: [i128; 12] = [
    0,
    1,
    -1,
    i64::MAX as i128,
    i64::MAX as i128 + 1,
    u64::MAX as i128,
    u64::MAX as i128 + 1,
    10i128.pow(38) - 1,
    10i128.pow(38),
    i128::MAX,
    i128::MIN,
    i64::MIN as i128,
];

/// A place in a contract's storage.
#[derive(Clone)]
pub struct Slot {
    key: LedgerKeyContractData,
    /// What the contract claims to be, where this is the instance of an asset's contract.
    asset: Option<Asset>,
}

impl Slot {
    pub fn any(dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => Self::plain(dice, ScVal::LedgerKeyNonce(Default::default())),
            1 => {
                let key = dice.arbitrary(128);
                Self::plain(dice, key)
            }
            2 | 3 => {
                let key = balance_key(dice);
                Self::plain(dice, key)
            }
            _ => Self::instance(dice),
        }
    }

    fn plain(dice: &mut Dice, key: ScVal) -> Self {
        let contract = match dice.below(4) {
            0 => dice.arbitrary(64),
            _ => contract(dice),
        };
        let durability = match dice.below(4) {
            0 => ContractDataDurability::Temporary,
            _ => ContractDataDurability::Persistent,
        };
        let key = LedgerKeyContractData { contract, key, durability };
        Self { key, asset: None }
    }

    /// An instance's slot, often that of an asset's genuine contract.
    fn instance(dice: &mut Dice) -> Self {
        let mut slot = Self::plain(dice, ScVal::LedgerKeyContractInstance);
        let asset = asset(dice);
        if !dice.one_in(4) {
            slot.key.contract = ScAddress::Contract(contract_id(&asset));
        }
        slot.asset = Some(asset);
        slot
    }

    /// Add what happens to the slot or to its TTL.
    pub fn changes(&self, dice: &mut Dice, changes: &mut Vec<LedgerEntryChange>) {
        use LedgerEntryChange::{Created, Removed, Restored, State, Updated};
        let data = |dice: &mut Dice| self.entry(dice);
        let ttl = |dice: &mut Dice| self.ttl(dice);
        let (data_key, ttl_key) = (LedgerKey::ContractData(self.key.clone()), self.ttl_key());
        match dice.below(14) {
            0 => changes.push(Created(data(dice))),
            1 => changes.push(Updated(data(dice))),
            2 => changes.push(Restored(data(dice))),
            3 => changes.push(Removed(data_key)),
            4 => changes.push(State(data(dice))),
            5 => changes.extend([State(data(dice)), Updated(data(dice))]),
            6 | 7 => changes.extend([State(data(dice)), Removed(data_key)]),
            8 => changes.extend([Restored(data(dice)), Updated(data(dice))]),
            9 => changes.extend([Restored(data(dice)), Removed(data_key)]),
            10 => changes.extend([State(data(dice)), State(ttl(dice)), Removed(data_key)]),
            11 => changes.push(Created(ttl(dice))),
            12 => changes.extend([State(ttl(dice)), Updated(ttl(dice))]),
            _ => changes.extend([State(ttl(dice)), Removed(ttl_key)]),
        }
    }

    fn entry(&self, dice: &mut Dice) -> LedgerEntry {
        let LedgerKeyContractData { contract, key, durability } = self.key.clone();
        LedgerEntry {
            last_modified_ledger_seq: dice.arbitrary(4),
            data: LedgerEntryData::ContractData(ContractDataEntry {
                ext: Default::default(),
                contract,
                key,
                durability,
                val: self.val(dice),
            }),
            ext: dice.arbitrary(64),
        }
    }

    fn val(&self, dice: &mut Dice) -> ScVal {
        match (&self.asset, dice.below(6)) {
            (_, 0) => dice.arbitrary(128),
            (_, 1) | (None, _) => balance(dice),
            (Some(asset), _) => instance(dice, asset),
        }
    }

    fn key_hash(&self) -> Hash {
        Hash(sha256(&encode(&LedgerKey::ContractData(self.key.clone()))))
    }

    fn ttl(&self, dice: &mut Dice) -> LedgerEntry {
        let data = LedgerEntryData::Ttl(TtlEntry {
            key_hash: self.key_hash(),
            live_until_ledger_seq: dice.arbitrary(4),
        });
        LedgerEntry { data, ..dice.arbitrary(64) }
    }

    fn ttl_key(&self) -> LedgerKey {
        LedgerKey::Ttl(LedgerKeyTtl { key_hash: self.key_hash() })
    }
}

fn contract(dice: &mut Dice) -> ScAddress {
    ScAddress::Contract(dice.arbitrary(32))
}

fn symbol(name: &str) -> ScVal {
    ScVal::Symbol(ScSymbol(name.try_into().unwrap()))
}

fn list(values: impl Into<Vec<ScVal>>) -> ScVal {
    ScVal::Vec(Some(ScVec(values.into().try_into().unwrap())))
}

fn map(entries: Vec<(ScVal, ScVal)>) -> ScMap {
    let entries = entries.into_iter().map(|(key, val)| ScMapEntry { key, val });
    ScMap(entries.collect::<Vec<_>>().try_into().unwrap())
}

/// The key of a balance, sometimes a little off.
fn balance_key(dice: &mut Dice) -> ScVal {
    let holder = ScVal::Address(contract(dice));
    match dice.below(8) {
        0 => list([symbol("Balance"), ScVal::Address(dice.arbitrary(64))]),
        1 => list([symbol("Balance"), holder, ScVal::Void]),
        2 => list([symbol("balance"), holder]),
        3 => list([symbol("Balance")]),
        _ => list([symbol("Balance"), holder]),
    }
}

/// The value of a balance, sometimes a little off.
fn balance(dice: &mut Dice) -> ScVal {
    let amount = *dice.pick(&AMOUNTS);
    let (hi, lo) = ((amount >> 64) as i64, amount as u64);
    let mut fields = vec![
        (symbol("amount"), ScVal::I128(Int128Parts { hi, lo })),
        (symbol("authorized"), ScVal::Bool(dice.one_in(2))),
        (symbol("clawback"), ScVal::Bool(dice.one_in(2))),
    ];
    let at = dice.below(3);
    match dice.below(10) {
        0 => fields.swap(0, at),
        1 => fields.push((symbol("more"), ScVal::Void)),
        2 => drop(fields.remove(at)),
        3 => fields[at].0 = symbol("other"),
        4 => fields[at].1 = dice.arbitrary(64),
        _ => {}
    }
    ScVal::Map(Some(map(fields)))
}

fn asset(dice: &mut Dice) -> Asset {
    let issuer = AccountId(PublicKey::PublicKeyTypeEd25519(Uint256(dice.arbitrary(32))));
    match dice.below(5) {
        0 => Asset::Native,
        1 | 2 => Asset::CreditAlphanum4(AlphaNum4 {
            asset_code: AssetCode4(*dice.pick(&[*b"USDC", *b"IDR\0", *b"x\0\0\0", *b"a-b\0"])),
            issuer,
        }),
        _ => Asset::CreditAlphanum12(AlphaNum12 {
            asset_code: AssetCode12(*dice.pick(&[*b"yUSDC\0\0\0\0\0\0\0", *b"ABCDEFGHIJKL"])),
            issuer,
        }),
    }
}

/// What the Stellar Asset Contract writes about its asset, sometimes a little off.
fn asset_info(dice: &mut Dice, asset: &Asset) -> ScVal {
    let (kind, code, issuer) = match asset {
        Asset::Native => return list([symbol("Native")]),
        Asset::CreditAlphanum4(asset) => ("AlphaNum4", &asset.asset_code.0[..], &asset.issuer),
        Asset::CreditAlphanum12(asset) => ("AlphaNum12", &asset.asset_code.0[..], &asset.issuer),
    };
    let PublicKey::PublicKeyTypeEd25519(Uint256(issuer)) = &issuer.0;
    let code = match dice.below(3) {
        0 => code.split(|byte| *byte == 0).next().unwrap_or_default(),
        _ => code,
    };
    let fields = map(vec![
        (
            symbol("asset_code"),
            ScVal::String(code.to_vec().try_into().map(stellar_xdr::ScString).unwrap()),
        ),
        (
            symbol("issuer"),
            ScVal::Bytes(issuer.to_vec().try_into().map(stellar_xdr::ScBytes).unwrap()),
        ),
    ]);
    let kind = match dice.below(8) {
        0 => "AlphaNum12",
        1 => "AlphaNum4",
        _ => kind,
    };
    list([symbol(kind), ScVal::Map(Some(fields))])
}

fn instance(dice: &mut Dice, asset: &Asset) -> ScVal {
    let executable = match dice.below(4) {
        0 => dice.arbitrary(128),
        _ => ContractExecutable::StellarAsset,
    };
    let mut entries = vec![
        (symbol("METADATA"), dice.arbitrary(64)),
        (list([symbol("AssetInfo")]), asset_info(dice, asset)),
        (list([symbol("Admin")]), dice.arbitrary(64)),
    ];
    match dice.below(8) {
        0 => entries.truncate(1),
        1 => entries.swap(0, 2),
        2 => entries[0] = (list([symbol("AssetInfo")]), dice.arbitrary(64)),
        _ => {}
    }
    let storage = (!dice.one_in(8)).then(|| map(entries));
    ScVal::ContractInstance(ScContractInstance { executable, storage })
}
