//! Stellar-ledger-entries.x: what the ledger keeps, and the keys to it.

use super::config_setting::{ConfigSettingEntry, ConfigSettingID};
use super::contract::{SCAddress, SCVal};
use super::types::{
    AccountID, ClaimableBalanceID, ExtensionPoint, Hash, PoolID, SignerKey, TimePoint,
};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bytes, Enum, I32, I64, Nested, Opaque, Optional, U32, Void};

pub type SequenceNumber = I64;
pub type AssetCode4 = Opaque<4>;
pub type AssetCode12 = Opaque<12>;
pub type String32 = Bytes<32>;
pub type String64 = Bytes<64>;
pub type DataValue = Bytes<64>;
pub type ContractDataDurability = Enum<0, 1>;
pub type Thresholds = Opaque<4>;
pub type SponsorshipDescriptor = Optional<AccountID>;

xdr! {
    struct AlphaNum4 { asset_code: AssetCode4, issuer: AccountID }
    struct AlphaNum12 { asset_code: AssetCode12, issuer: AccountID }
    union Asset { 0 => void: Void, 1 => alpha_num4: AlphaNum4, 2 => alpha_num12: AlphaNum12 }
    struct Price { n: I32, d: I32 }
    struct Signer { key: SignerKey, weight: U32 }
    struct LiquidityPoolConstantProductParameters { asset_a: Asset, asset_b: Asset, fee: I32 }
    union AssetCode { 1 => asset_code4: AssetCode4, 2 => asset_code12: AssetCode12 }
    union ClaimPredicate {
        0 => void: Void, 1 => and_predicates: Array<Nested<ClaimPredicate>, 2>,
        2 => or_predicates: Array<Nested<ClaimPredicate>, 2>,
        3 => not_predicate: Optional<Nested<ClaimPredicate>>, 4 => abs_before: I64,
        5 => rel_before: I64,
    }
    struct ClaimantV0 { destination: AccountID, predicate: ClaimPredicate }
    union Claimant { 0 => v0: ClaimantV0 }
    struct LedgerKeyAccount { account_id: AccountID }
    union TrustLineAsset {
        0 => void: Void, 1 => alpha_num4: AlphaNum4, 2 => alpha_num12: AlphaNum12,
        3 => liquidity_pool_id: PoolID,
    }
    struct LedgerKeyTrustLine { account_id: AccountID, asset: TrustLineAsset }
    struct LedgerKeyOffer { seller_id: AccountID, offer_id: I64 }
    struct LedgerKeyData { account_id: AccountID, data_name: String64 }
    struct LedgerKeyClaimableBalance { balance_id: ClaimableBalanceID }
    struct LedgerKeyLiquidityPool { liquidity_pool_id: PoolID }
    struct LedgerKeyContractData {
        contract: SCAddress, key: SCVal, durability: ContractDataDurability,
    }
    struct LedgerKeyContractCode { hash: Hash }
    struct LedgerKeyConfigSetting { config_setting_id: ConfigSettingID }
    struct LedgerKeyTtl { key_hash: Hash }
    union LedgerKey {
        0 => account: LedgerKeyAccount, 1 => trust_line: LedgerKeyTrustLine,
        2 => offer: LedgerKeyOffer, 3 => data: LedgerKeyData,
        4 => claimable_balance: LedgerKeyClaimableBalance,
        5 => liquidity_pool: LedgerKeyLiquidityPool, 6 => contract_data: LedgerKeyContractData,
        7 => contract_code: LedgerKeyContractCode, 8 => config_setting: LedgerKeyConfigSetting,
        9 => ttl: LedgerKeyTtl,
    }
    union OfferEntryExt { 0 => void: Void }
    struct OfferEntry {
        seller_id: AccountID, offer_id: I64, selling: Asset, buying: Asset, amount: I64,
        price: Price, flags: U32, ext: OfferEntryExt,
    }
    struct Liabilities { buying: I64, selling: I64 }
    struct AccountEntryExtensionV3 { ext: ExtensionPoint, seq_ledger: U32, seq_time: TimePoint }
    union AccountEntryExtensionV2Ext { 0 => void: Void, 3 => v3: AccountEntryExtensionV3 }
    struct AccountEntryExtensionV2 {
        num_sponsored: U32, num_sponsoring: U32,
        signer_sponsoring_i_ds: Array<SponsorshipDescriptor, 20>, ext: AccountEntryExtensionV2Ext,
    }
    union AccountEntryExtensionV1Ext { 0 => void: Void, 2 => v2: AccountEntryExtensionV2 }
    struct AccountEntryExtensionV1 { liabilities: Liabilities, ext: AccountEntryExtensionV1Ext }
    union AccountEntryExt { 0 => void: Void, 1 => v1: AccountEntryExtensionV1 }
    struct AccountEntry {
        account_id: AccountID, balance: I64, seq_num: SequenceNumber, num_sub_entries: U32,
        inflation_dest: Optional<AccountID>, flags: U32, home_domain: String32,
        thresholds: Thresholds, signers: Array<Signer, 20>, ext: AccountEntryExt,
    }
    union TrustLineEntryExtensionV2Ext { 0 => void: Void }
    struct TrustLineEntryExtensionV2 {
        liquidity_pool_use_count: I32, ext: TrustLineEntryExtensionV2Ext,
    }
    union TrustLineEntryV1Ext { 0 => void: Void, 2 => v2: TrustLineEntryExtensionV2 }
    struct TrustLineEntryV1 { liabilities: Liabilities, ext: TrustLineEntryV1Ext }
    union TrustLineEntryExt { 0 => void: Void, 1 => v1: TrustLineEntryV1 }
    struct TrustLineEntry {
        account_id: AccountID, asset: TrustLineAsset, balance: I64, limit: I64, flags: U32,
        ext: TrustLineEntryExt,
    }
    union DataEntryExt { 0 => void: Void }
    struct DataEntry {
        account_id: AccountID, data_name: String64, data_value: DataValue, ext: DataEntryExt,
    }
    union ClaimableBalanceEntryExtensionV1Ext { 0 => void: Void }
    struct ClaimableBalanceEntryExtensionV1 { ext: ClaimableBalanceEntryExtensionV1Ext, flags: U32 }
    union ClaimableBalanceEntryExt { 0 => void: Void, 1 => v1: ClaimableBalanceEntryExtensionV1 }
    struct ClaimableBalanceEntry {
        balance_id: ClaimableBalanceID, claimants: Array<Claimant, 10>, asset: Asset, amount: I64,
        ext: ClaimableBalanceEntryExt,
    }
    struct LiquidityPoolEntryConstantProduct {
        params: LiquidityPoolConstantProductParameters, reserve_a: I64, reserve_b: I64,
        total_pool_shares: I64, pool_shares_trust_line_count: I64,
    }
    union LiquidityPoolEntryBody { 0 => constant_product: LiquidityPoolEntryConstantProduct }
    struct LiquidityPoolEntry { liquidity_pool_id: PoolID, body: LiquidityPoolEntryBody }
    struct ContractDataEntry {
        ext: ExtensionPoint, contract: SCAddress, key: SCVal, durability: ContractDataDurability,
        val: SCVal,
    }
    struct ContractCodeCostInputs {
        ext: ExtensionPoint, n_instructions: U32, n_functions: U32, n_globals: U32,
        n_table_entries: U32, n_types: U32, n_data_segments: U32, n_elem_segments: U32,
        n_imports: U32, n_exports: U32, n_data_segment_bytes: U32,
    }
    struct ContractCodeEntryV1 { ext: ExtensionPoint, cost_inputs: ContractCodeCostInputs }
    union ContractCodeEntryExt { 0 => void: Void, 1 => v1: ContractCodeEntryV1 }
    struct ContractCodeEntry { ext: ContractCodeEntryExt, hash: Hash, code: Bytes }
    struct TTLEntry { key_hash: Hash, live_until_ledger_seq: U32 }
    union LedgerEntryData {
        0 => account: AccountEntry, 1 => trust_line: TrustLineEntry, 2 => offer: OfferEntry,
        3 => data: DataEntry, 4 => claimable_balance: ClaimableBalanceEntry,
        5 => liquidity_pool: LiquidityPoolEntry, 6 => contract_data: ContractDataEntry,
        7 => contract_code: ContractCodeEntry, 8 => config_setting: ConfigSettingEntry,
        9 => ttl: TTLEntry,
    }
    union LedgerEntryExtensionV1Ext { 0 => void: Void }
    struct LedgerEntryExtensionV1 {
        sponsoring_id: SponsorshipDescriptor, ext: LedgerEntryExtensionV1Ext,
    }
    union LedgerEntryExt { 0 => void: Void, 1 => v1: LedgerEntryExtensionV1 }
    struct LedgerEntry { last_modified_ledger_seq: U32, data: LedgerEntryData, ext: LedgerEntryExt }
}
