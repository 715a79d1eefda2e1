//! Stellar-contract.x: values of contracts.

use super::types::{
    AccountID, ClaimableBalanceID, ContractID, Duration, Hash, PoolID, TimePoint, Uint256,
};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bool, Bytes, Enum, I32, I64, Nested, Optional, U32, U64, Void};

pub type SCErrorCode = Enum<0, 9>;
pub type SCBytes = Bytes;
pub type SCString = Bytes;
pub type SCSymbol = Bytes<32>;
pub type SCVec = Array<Nested<SCVal>>;
pub type SCMap = Array<SCMapEntry>;

xdr! {
    struct MuxedEd25519Account { id: U64, ed25519: Uint256 }
    struct MuxedContract { id: U64, contract_id: ContractID }
    union SCAddress {
        0 => account_id: AccountID, 1 => contract_id: ContractID,
        2 => muxed_account: MuxedEd25519Account, 3 => claimable_balance_id: ClaimableBalanceID,
        4 => liquidity_pool_id: PoolID, 5 => muxed_contract: MuxedContract,
    }
    union SCError { 0 => contract_code: U32, 1..=9 => code: SCErrorCode }
    struct UInt128Parts { hi: U64, lo: U64 }
    struct Int128Parts { hi: I64, lo: U64 }
    struct UInt256Parts { hi_hi: U64, hi_lo: U64, lo_hi: U64, lo_lo: U64 }
    struct Int256Parts { hi_hi: I64, hi_lo: U64, lo_hi: U64, lo_lo: U64 }
    struct SCMapEntry { key: Nested<SCVal>, val: Nested<SCVal> }
    struct ContractExecutableExternalRef { executable_owner: SCAddress, tag: SCString }
    union ContractExecutable {
        0 => wasm_hash: Hash, 1 => void: Void, 2 => external_ref: ContractExecutableExternalRef,
    }
    struct SCContractInstance { executable: ContractExecutable, storage: Optional<SCMap> }
    struct SCNonceKey { nonce: I64 }
    union SCVal {
        0 => b: Bool, 1 => void: Void, 2 => error: SCError, 3 => u32: U32, 4 => i32: I32,
        5 => u64: U64, 6 => i64: I64, 7 => timepoint: TimePoint, 8 => duration: Duration,
        9 => u128: UInt128Parts, 10 => i128: Int128Parts, 11 => u256: UInt256Parts,
        12 => i256: Int256Parts, 13 => bytes: SCBytes, 14 => str: SCString, 15 => sym: SCSymbol,
        16 => vec: Optional<SCVec>, 17 => map: Optional<SCMap>, 18 => address: SCAddress,
        19 => instance: SCContractInstance, 20 => void: Void, 21 => nonce_key: SCNonceKey,
        22 => executable_tag: SCString,
    }
}
