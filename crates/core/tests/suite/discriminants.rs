//! Every value of our enums is the one that the official crate has under that name.

use stellar_xdr as official;

const SOURCE: &str = include_str!("../../src/xdr/discriminants.rs");

/// Values and names of an enum.
type Values = Vec<(i32, &'static str)>;

/// Our enums with the official crate's values, its own name after `=` where it is another.
macro_rules! official {
    ($($ours:ident $(= $theirs:ident)?,)*) => {
        vec![$((stringify!($ours), values!($ours $($theirs)?))),*]
    };
}

macro_rules! values {
    ($same:ident) => {
        official::$same::VARIANTS.map(|value| (value.into(), value.name())).to_vec()
    };
    ($ours:ident $theirs:ident) => {
        values!($theirs)
    };
}

fn official() -> Vec<(&'static str, Values)> {
    official! {
        AssetType, ClaimableBalanceIDType = ClaimableBalanceIdType, ClaimAtomType,
        ContractDataDurability, ContractEventType, ContractExecutableType,
        ContractIDPreimageType = ContractIdPreimageType, CryptoKeyType, EnvelopeType,
        LedgerEntryChangeType, LedgerEntryType, LiquidityPoolType, MemoType, OperationResultCode,
        OperationType, PublicKeyType, SCAddressType = ScAddressType, SCErrorType = ScErrorType,
        SCSpecEntryKind = ScSpecEntryKind, SCSpecEventDataFormat = ScSpecEventDataFormat,
        SCSpecEventParamLocation = ScSpecEventParamLocationV0, SCSpecType = ScSpecType,
        SCSpecUDTUnionCaseV0Kind = ScSpecUdtUnionCaseV0Kind, SCValType = ScValType,
        StellarValueType, TransactionResultCode, TxSetComponentType,
    }
}

/// Our enums as they are written down.
fn written() -> Vec<(&'static str, Values)> {
    let (_, list) = SOURCE.split_once("enums! {").expect("a list of enums");
    list.split('}').filter_map(|text| text.split_once('{')).map(one).collect()
}

fn one((head, values): (&'static str, &'static str)) -> (&'static str, Values) {
    let head = head.lines().last().expect("a name").trim();
    let value = |value: &'static str| {
        let (name, number) = value.split_once(" = ").expect("NAME = number");
        let number = number.trim().strip_prefix("0x").map_or_else(
            || number.trim().parse().expect("a number"),
            |hex| i32::from_str_radix(hex, 16).expect("a number in hex"),
        );
        (number, name.trim())
    };
    let values = values.split(',').filter(|value| !value.trim().is_empty());
    (head.split(':').next().expect("a name"), values.map(value).collect())
}

/// A name as both write it: `CREDIT_ALPHANUM4` and `CreditAlphanum4` are the same.
fn folded(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

#[test]
fn every_enum_is_compared_but_the_one_that_has_no_official_names() {
    let ours: Vec<_> = written().into_iter().map(|(name, _)| name).collect();
    let mut theirs: Vec<_> = official().into_iter().map(|(name, _)| name).collect();
    theirs.push("TransactionPhase");
    assert!(ours.iter().all(|name| theirs.contains(name)), "{ours:?}");
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn every_value_has_the_official_name() {
    let official = official();
    let mut compared = 0;
    for (name, ours) in written() {
        let Some((_, theirs)) = official.iter().find(|(other, _)| *other == name) else { continue };
        for (number, value) in ours {
            // Some official names repeat the enum's own, which is the reason for `ends_with`.
            let found = theirs.iter().find(|(other, _)| *other == number).map(|(_, name)| *name);
            let same = found.is_some_and(|found| folded(found).ends_with(&folded(value)));
            assert!(same, "{name}::{value} is {number}, which is {found:?}");
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} were compared");
}
