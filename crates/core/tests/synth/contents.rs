use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use stellar_xdr::{
    Asset, ContractEvent, ContractEventBody, ContractExecutable, ContractId, ContractIdPreimage,
    Hash, HashIdPreimage, HashIdPreimageContractId, LedgerEntryChange, LedgerEntryData,
    LedgerUpgrade, Memo, MuxedAccount, ScAddress, ScString, ScVal, TransactionEnvelope,
    TransactionEventStage, TransactionMeta, TransactionResultResult,
};

use super::ledger::{Ledger, Processed, decode, xdr};
use super::{PASSPHRASE, recipe, run};
use stellarrow_core::contract::wasm::spec_json;
use stellarrow_core::synth::{Recipe, Synth};

fn mix(ledgers: usize) -> Vec<Ledger> {
    run(1, None, ledgers).iter().map(|bytes| decode(bytes)).collect()
}

fn entries(ledgers: &[Ledger]) -> impl Iterator<Item = &LedgerEntryData> {
    let changes = ledgers
        .iter()
        .flat_map(|ledger| &ledger.transactions)
        .flat_map(Processed::changes)
        .flatten();
    changes.filter_map(|change| match change {
        LedgerEntryChange::Removed(_) => None,
        LedgerEntryChange::Created(entry)
        | LedgerEntryChange::Updated(entry)
        | LedgerEntryChange::State(entry)
        | LedgerEntryChange::Restored(entry) => Some(&entry.data),
    })
}

fn events(ledgers: &[Ledger]) -> impl Iterator<Item = &ContractEvent> {
    ledgers.iter().flat_map(|ledger| &ledger.transactions).flat_map(Processed::events)
}

/// The asset that a SAC's instance names.
fn asset_of(storage: &ScVal) -> Option<Asset> {
    let ScVal::ContractInstance(instance) = storage else {
        return None;
    };
    let symbol = |name: &str| ScVal::Symbol(name.try_into().unwrap());
    let vec = |vals: Vec<ScVal>| ScVal::Vec(Some(vals.try_into().unwrap()));
    let info = instance
        .storage
        .as_ref()?
        .0
        .iter()
        .find(|item| item.key == vec(vec![symbol("AssetInfo")]))?;
    let ScVal::Vec(Some(info)) = &info.val else { panic!("AssetInfo is a vec") };
    if info.0[0] == symbol("Native") {
        return Some(Asset::Native);
    }
    let ScVal::Map(Some(fields)) = &info.0[1] else { panic!("AssetInfo holds a map") };
    let (ScVal::String(ScString(code)), ScVal::Bytes(issuer)) =
        (&fields.0[0].val, &fields.0[1].val)
    else {
        panic!("asset_code and issuer")
    };
    // The Asset union: arm 1 or 2, the code as wide as the arm says, the issuer's PublicKey.
    let arm: u32 = if info.0[0] == symbol("AlphaNum4") { 1 } else { 2 };
    let bytes = [&arm.to_be_bytes()[..], code.as_slice(), &[0; 4], issuer.as_slice()].concat();
    Some(stellar_xdr::ReadXdr::from_xdr(bytes, stellar_xdr::Limits::none()).unwrap())
}

fn derived(asset: Asset) -> ScAddress {
    let preimage = HashIdPreimage::ContractId(HashIdPreimageContractId {
        network_id: Hash(Sha256::digest(PASSPHRASE).into()),
        contract_id_preimage: ContractIdPreimage::Asset(asset),
    });
    ScAddress::Contract(ContractId(Hash(Sha256::digest(xdr(&preimage)).into())))
}

#[test]
fn sacs_and_only_they_live_under_the_id_derived_from_their_asset() {
    let ledgers = mix(60);
    let (mut genuine, mut forged) = (BTreeMap::new(), BTreeSet::new());
    for data in entries(&ledgers) {
        let LedgerEntryData::ContractData(data) = data else {
            continue;
        };
        let Some(asset) = asset_of(&data.val) else {
            continue;
        };
        let ScVal::ContractInstance(instance) = &data.val else {
            continue;
        };
        let own = derived(asset.clone()) == data.contract;
        assert_eq!(own, instance.executable == ContractExecutable::StellarAsset);
        if own {
            genuine.insert(data.contract.clone(), asset);
        } else {
            forged.insert(data.contract.clone());
        }
    }
    assert!(
        genuine.len() > 150 && forged.len() > 40,
        "{} genuine, {} forged",
        genuine.len(),
        forged.len()
    );
    let arms: BTreeSet<_> = genuine.values().map(Asset::name).collect();
    assert_eq!(arms, BTreeSet::from(["CreditAlphanum12", "CreditAlphanum4", "Native"]));
}

/// Collect the arms and the i128 numbers within a value.
fn scan(val: &ScVal, arms: &mut BTreeSet<&'static str>, numbers: &mut BTreeSet<i128>) {
    arms.insert(val.name());
    match val {
        ScVal::I128(parts) => {
            numbers.insert(i128::from(parts.hi) << 64 | i128::from(parts.lo));
        }
        ScVal::Vec(Some(vals)) => vals.iter().for_each(|val| scan(val, arms, numbers)),
        ScVal::Map(Some(items)) => items.iter().for_each(|item| {
            scan(&item.key, arms, numbers);
            scan(&item.val, arms, numbers);
        }),
        _ => {}
    }
}

#[test]
fn stored_values_hold_every_arm_and_the_extremes_of_i128() {
    let (mut arms, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for data in entries(&mix(60)) {
        let LedgerEntryData::ContractData(data) = data else {
            continue;
        };
        scan(&data.key, &mut arms, &mut numbers);
        scan(&data.val, &mut arms, &mut numbers);
    }
    // Twenty-two arms without ExecutableTag, which is later than protocol 23.
    assert_eq!(arms.len(), 22, "{arms:?}");
    let extremes = [i128::MIN, i128::MAX, 0, -1, i128::from(i64::MAX) + 1];
    assert!(extremes.iter().all(|extreme| numbers.contains(extreme)));
}

#[test]
fn events_of_every_kind_occur() {
    let ledgers = mix(60);
    let mut names = BTreeSet::new();
    let mut topics = BTreeSet::new();
    for event in events(&ledgers) {
        let ContractEventBody::V0(body) = &event.body;
        topics.insert(body.topics.len());
        if let Some(ScVal::Symbol(name)) = body.topics.first() {
            names.insert(name.to_utf8_string_lossy());
        }
    }
    assert_eq!(topics, BTreeSet::from([0, 1, 2, 3, 4]));
    for name in ["transfer", "mint", "burn", "clawback", "fee", "executable_update", "swap"] {
        assert!(names.contains(name), "no {name}");
    }
}

#[test]
fn refunds_come_after_their_transaction_and_from_protocol_23_on_after_all() {
    let mut stages = BTreeSet::new();
    for ledger in mix(60) {
        for tx in &ledger.transactions {
            let TransactionMeta::V4(meta) = &tx.meta else {
                continue;
            };
            stages.extend(meta.events.iter().map(|event| (ledger.version, event.stage)));
            let refunded =
                meta.events.iter().any(|event| event.stage != TransactionEventStage::BeforeAllTxs);
            assert_eq!(refunded, !(meta.tx_changes_after.0.is_empty() && tx.after_all.is_empty()));
        }
    }
    let (before, after) = (TransactionEventStage::BeforeAllTxs, TransactionEventStage::AfterTx);
    let after_all = TransactionEventStage::AfterAllTxs;
    assert_eq!(stages, BTreeSet::from([(1, before), (1, after), (2, before), (2, after_all)]));
}

#[test]
fn the_run_moves_from_v1_to_v2_by_an_upgrade() {
    let ledgers = run(1, Some(4_000), 60);
    let ledgers: Vec<_> = ledgers.iter().map(|bytes| decode(bytes)).collect();
    assert!(
        ledgers
            .iter()
            .enumerate()
            .all(|(index, ledger)| ledger.version == if index < 50 { 1 } else { 2 })
    );
    let protocols: Vec<_> =
        ledgers.iter().map(|ledger| ledger.header.header.ledger_version).collect();
    assert_eq!(protocols, [[22; 49].as_slice(), &[23; 11]].concat());
    assert_eq!(ledgers[49].upgrades[0].upgrade, LedgerUpgrade::Version(23));
    assert_eq!(ledgers.iter().map(|ledger| ledger.upgrades.len()).sum::<usize>(), 1);
}

#[test]
fn one_transaction_in_a_hundred_ledgers_has_11_000_events() {
    let ledgers = mix(121);
    let most = |ledger: &Ledger| ledger.transactions.iter().map(|tx| tx.events().len()).max();
    for burst in [20, 120] {
        assert!((11_000..11_005).contains(&most(&ledgers[burst]).unwrap()));
    }
    assert!(ledgers[21..120].iter().all(|ledger| most(ledger) < Some(2_000)));
}

#[test]
fn a_tenth_of_transactions_fail_without_effects() {
    let ledgers = mix(60);
    let transactions: Vec<_> = ledgers.iter().flat_map(|ledger| &ledger.transactions).collect();
    let failed: Vec<_> = transactions
        .iter()
        .filter(|tx| {
            matches!(
                tx.result.result.result,
                TransactionResultResult::TxFailed(_)
                    | TransactionResultResult::TxFeeBumpInnerFailed(_)
            )
        })
        .collect();
    let share = failed.len() as f64 / transactions.len() as f64;
    assert!((0.06..0.14).contains(&share), "{share}");
    for tx in failed {
        assert!(tx.result.result.fee_charged > 0);
        let operations = match &tx.meta {
            TransactionMeta::V3(meta) => meta.operations.len(),
            TransactionMeta::V4(meta) => meta.operations.len(),
            _ => 1,
        };
        assert_eq!(operations, 0);
    }
}

#[test]
fn envelopes_vary() {
    let (mut memos, mut muxed, mut bumped) = (BTreeSet::new(), 0, 0);
    for ledger in mix(60) {
        for envelope in ledger.groups().into_iter().flatten() {
            match envelope {
                TransactionEnvelope::Tx(envelope) => {
                    memos.insert(Memo::name(&envelope.tx.memo));
                    muxed += u32::from(matches!(
                        envelope.tx.source_account,
                        MuxedAccount::MuxedEd25519(_)
                    ));
                }
                _ => bumped += 1,
            }
        }
    }
    assert_eq!(memos, BTreeSet::from(["Hash", "Id", "None", "Return", "Text"]));
    assert!(muxed > 20 && bumped > 100, "{muxed} muxed, {bumped} bumped");
}

#[test]
fn entries_are_evicted_and_code_is_uploaded() {
    let ledgers = mix(120);
    assert!(ledgers.iter().map(|ledger| ledger.evicted.len()).sum::<usize>() > 100);
    assert!(entries(&ledgers).any(|data| matches!(data, LedgerEntryData::ContractCode(code) if code.code.starts_with(b"\0asm"))));
}

#[test]
fn instances_name_codes_of_the_run_by_the_hash_of_their_bytes() {
    let ledgers = run(1, Some(150_000), 40);
    let ledgers: Vec<_> = ledgers.iter().map(|bytes| decode(bytes)).collect();
    let (mut codes, mut named) = (BTreeSet::new(), BTreeSet::new());
    for data in entries(&ledgers) {
        match data {
            LedgerEntryData::ContractCode(code) => {
                let digest: [u8; 32] = Sha256::digest(&code.code).into();
                assert_eq!(digest, code.hash.0);
                assert!(spec_json(&code.code).is_some());
                codes.insert(digest);
            }
            LedgerEntryData::ContractData(data) => {
                if let ScVal::ContractInstance(instance) = &data.val
                    && let ContractExecutable::Wasm(hash) = &instance.executable
                {
                    named.insert(hash.0);
                }
            }
            _ => {}
        }
    }
    assert!(named.len() > 1 && named.is_subset(&codes), "{} named", named.len());
}

#[test]
fn a_run_of_one_contract_goes_on() {
    let recipe = Recipe { contracts: 1, ..recipe(1, Some(20_000)) };
    for bytes in Synth::new(recipe).unwrap().take(60) {
        decode(&bytes);
    }
}

#[test]
fn a_recipe_means_the_same_bytes_for_ever() {
    let digest = Sha256::digest(run(1, None, 20).concat());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "c854d52ce526636841740b9aab877f6059064112aca555d378e5b9d240d02fa9");
}
