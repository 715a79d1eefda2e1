//! Contract values (Stellar-contract.x, SCVal), looked at where they lie.

use crate::fixed_text::Word;
use crate::xdr::discriminants::{ContractExecutableType, SCAddressType, SCValType};
use crate::xdr::{self, arm};

macro_rules! type_names {
    ($($name:literal)*) => {
        /// The Go SDK's names of SCValType, by value.
        static TYPE_NAMES: [Word; 23] = [$(Word::new(concat!("ScValTypeScv", $name))),*];
    };
}

type_names! {
    "Bool" "Void" "Error" "U32" "I32" "U64" "I64" "Timepoint" "Duration" "U128" "I128" "U256" "I256"
    "Bytes" "String" "Symbol" "Vec" "Map" "Address" "ContractInstance" "LedgerKeyContractInstance"
    "LedgerKeyNonce" "ExecutableTag"
}

/// The Go SDK's name of a value's type.
pub fn type_name(value: &[u8]) -> &'static Word {
    let [first, ..] = &TYPE_NAMES;
    xdr::u32(value).and_then(|(kind, _)| TYPE_NAMES.get(kind as usize)).unwrap_or(first)
}

/// Whether a key is that of a contract's instance entry.
pub fn is_instance_key(key: &[u8]) -> bool {
    arm(key, SCValType::LEDGER_KEY_CONTRACT_INSTANCE).is_some()
}

/// Whether a key is that of a nonce.
pub fn is_nonce_key(key: &[u8]) -> bool {
    arm(key, SCValType::LEDGER_KEY_NONCE).is_some()
}

/// The id of an SCAddress that is a contract's.
pub fn contract(address: &[u8]) -> Option<&[u8; 32]> {
    arm(address, SCAddressType::CONTRACT)?.try_into().ok()
}

/// What runs when a contract is called.
pub enum Executable<'a> {
    /// Code with this hash.
    Wasm(&'a [u8; 32]),
    /// The Stellar Asset Contract.
    StellarAsset,
}

/// The executable of a contract instance.
pub fn executable(instance: &[u8]) -> Option<Executable<'_>> {
    let (kind, rest) = xdr::u32(arm(instance, SCValType::CONTRACT_INSTANCE)?)?;
    match kind {
        ContractExecutableType::WASM => Some(Executable::Wasm(xdr::array(rest)?.0)),
        ContractExecutableType::STELLAR_ASSET => Some(Executable::StellarAsset),
        _ => None,
    }
}

/// The contract and the tag by which an instance names its code (CAP-85).
pub fn external_ref(instance: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    let (kind, rest) = xdr::u32(arm(instance, SCValType::CONTRACT_INSTANCE)?)?;
    (kind == ContractExecutableType::EXTERNAL_REF).then_some(())?;
    let (contract, rest) = xdr::array(arm(rest, SCAddressType::CONTRACT)?)?;
    Some((contract, xdr::opaque(rest)?.0))
}

/// The tag under which a contract names code (CAP-85), of a key.
pub fn executable_tag(key: &[u8]) -> Option<&[u8]> {
    xdr::opaque(arm(key, SCValType::EXECUTABLE_TAG)?).map(|(bytes, _)| bytes)
}

/// The bytes of a symbol.
#[inline]
pub fn symbol(value: &[u8]) -> Option<&[u8]> {
    xdr::opaque(arm(value, SCValType::SYMBOL)?).map(|(bytes, _)| bytes)
}

/// The bytes of a string.
pub fn string(value: &[u8]) -> Option<&[u8]> {
    xdr::opaque(arm(value, SCValType::STRING)?).map(|(bytes, _)| bytes)
}
