//! The Stellar Asset Contract's storage: balances it keeps, and the asset it stands for.

use stellar_xdr::{
    AccountId, AlphaNum4, AlphaNum12, Asset, AssetCode4, AssetCode12, ContractDataDurability,
    ContractExecutable, ContractId, ContractIdPreimage, Hash, HashIdPreimage,
    HashIdPreimageContractId, Int128Parts, LedgerKeyContractData, PublicKey, ScAddress,
    ScContractInstance, ScMap, ScMapEntry, ScVal, ScVec, Uint256,
};

use crate::sealed::{encode, network_id, sha256};

fn is_symbol(value: &ScVal, name: &str) -> bool {
    matches!(value, ScVal::Symbol(symbol) if symbol.0.as_slice() == name.as_bytes())
}

/// Holder and amount of an entry of the shape of a balance.
pub fn balance(key: &LedgerKeyContractData, val: &ScVal) -> Option<(ContractId, i128)> {
    let ScVal::Vec(Some(ScVec(name))) = &key.key else {
        return None;
    };
    let [balance, ScVal::Address(ScAddress::Contract(holder))] = name.as_slice() else {
        return None;
    };
    let ScVal::Map(Some(ScMap(fields))) = val else {
        return None;
    };
    let [amount, authorized, clawback] = fields.as_slice() else {
        return None;
    };
    let ScVal::I128(Int128Parts { hi, lo }) = amount.val else {
        return None;
    };
    let shaped = key.durability == ContractDataDurability::Persistent
        && is_symbol(balance, "Balance")
        && is_symbol(&amount.key, "amount")
        && is_symbol(&authorized.key, "authorized")
        && is_symbol(&clawback.key, "clawback")
        && matches!((&authorized.val, &clawback.val), (ScVal::Bool(_), ScVal::Bool(_)));
    let amount = i128::from(hi) << 64 | i128::from(lo);
    (shaped && amount >= 0).then(|| (holder.clone(), amount))
}

/// The asset of which this is the genuine contract's instance.
pub fn asset(key: &LedgerKeyContractData, val: &ScVal) -> Option<Asset> {
    let ScVal::ContractInstance(ScContractInstance { storage: Some(ScMap(storage)), .. }) = val
    else {
        return None;
    };
    let info = storage.iter().find(|entry| is_info(&entry.key))?;
    let asset = claimed(&info.val)?;
    let genuine = ScAddress::Contract(contract_id(&asset));
    (key.key == ScVal::LedgerKeyContractInstance && key.contract == genuine).then_some(asset)
}

fn is_info(key: &ScVal) -> bool {
    matches!(key, ScVal::Vec(Some(ScVec(key))) if matches!(key.as_slice(), [name] if is_symbol(name, "AssetInfo")))
}

fn claimed(info: &ScVal) -> Option<Asset> {
    let ScVal::Vec(Some(ScVec(info))) = info else {
        return None;
    };
    match info.as_slice() {
        [native] if is_symbol(native, "Native") => Some(Asset::Native),
        [kind, ScVal::Map(Some(ScMap(fields)))] => {
            let (code, issuer) = code_and_issuer(fields)?;
            let end = code.iter().rposition(|byte| *byte != 0)? + 1;
            let code = code.get(..end).filter(|code| code.iter().all(u8::is_ascii_alphanumeric))?;
            match end {
                1..=4 if is_symbol(kind, "AlphaNum4") => Some(Asset::CreditAlphanum4(AlphaNum4 {
                    asset_code: AssetCode4(padded(code)),
                    issuer,
                })),
                5..=12 if is_symbol(kind, "AlphaNum12") => {
                    Some(Asset::CreditAlphanum12(AlphaNum12 {
                        asset_code: AssetCode12(padded(code)),
                        issuer,
                    }))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn code_and_issuer(fields: &[ScMapEntry]) -> Option<(&[u8], AccountId)> {
    let [code, issuer] = fields else { return None };
    let (ScVal::String(text), ScVal::Bytes(key)) = (&code.val, &issuer.val) else {
        return None;
    };
    let key = key.0.as_slice().try_into().ok()?;
    let named = is_symbol(&code.key, "asset_code") && is_symbol(&issuer.key, "issuer");
    let account = AccountId(PublicKey::PublicKeyTypeEd25519(Uint256(key)));
    named.then(|| (text.0.as_slice(), account))
}

fn padded<const N: usize>(code: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    padded[..code.len()].copy_from_slice(code);
    padded
}

/// The contract derived from an asset (CAP-46-02).
pub fn contract_id(asset: &Asset) -> ContractId {
    let preimage = HashIdPreimage::ContractId(HashIdPreimageContractId {
        network_id: Hash(network_id()),
        contract_id_preimage: ContractIdPreimage::Asset(asset.clone()),
    });
    ContractId(Hash(sha256(&encode(&preimage))))
}

/// What runs when the contract is called, and the hash of its code.
pub fn executable(
    key: &LedgerKeyContractData,
    val: &ScVal,
) -> (Option<&'static str>, Option<Hash>) {
    match val {
        ScVal::ContractInstance(instance) if key.key == ScVal::LedgerKeyContractInstance => {
            match &instance.executable {
                ContractExecutable::Wasm(hash) => (Some("wasm"), Some(hash.clone())),
                ContractExecutable::StellarAsset => (Some("stellar_asset"), None),
                ContractExecutable::ExternalRef(_) => (None, None),
            }
        }
        _ => (None, None),
    }
}
