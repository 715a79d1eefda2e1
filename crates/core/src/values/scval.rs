//! Contract values (Stellar-contract.x, SCVal), looked at where they lie.

use crate::fixed_text::Word;
use crate::xdr;

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

fn arm(value: &[u8]) -> u32 {
    value.first_chunk::<4>().map_or(u32::MAX, |arm| u32::from_be_bytes(*arm))
}

/// The Go SDK's name of a value's type.
pub fn type_name(value: &[u8]) -> &'static Word {
    let [first, ..] = &TYPE_NAMES;
    TYPE_NAMES.get(arm(value) as usize).unwrap_or(first)
}

/// Whether a key is that of a contract's instance entry.
pub fn is_instance_key(key: &[u8]) -> bool {
    arm(key) == 20
}

/// Whether a key is that of a nonce.
pub fn is_nonce_key(key: &[u8]) -> bool {
    arm(key) == 21
}

/// The id of an SCAddress that is a contract's.
pub fn contract(address: &[u8]) -> Option<&[u8; 32]> {
    address.strip_prefix(&1u32.to_be_bytes())?.try_into().ok()
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
    let (kind, rest) = xdr::u32(instance.strip_prefix(&19u32.to_be_bytes())?)?;
    match kind {
        0 => Some(Executable::Wasm(xdr::array(rest)?.0)),
        1 => Some(Executable::StellarAsset),
        _ => None,
    }
}

/// The bytes of a symbol.
#[inline]
pub fn symbol(value: &[u8]) -> Option<&[u8]> {
    xdr::opaque(value.strip_prefix(&15u32.to_be_bytes())?).map(|(bytes, _)| bytes)
}

/// The bytes of a string.
pub fn string(value: &[u8]) -> Option<&[u8]> {
    xdr::opaque(value.strip_prefix(&14u32.to_be_bytes())?).map(|(bytes, _)| bytes)
}
