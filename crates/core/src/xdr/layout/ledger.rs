//! Stellar-ledger.x: headers, transaction sets, changes, meta.

use super::contract::SCVal;
use super::ledger_entries::{LedgerEntry, LedgerKey};
use super::scp::{SCPEnvelope, SCPQuorumSet};
use super::transaction::{TransactionEnvelope, TransactionResult};
use super::types::{ContractID, ExtensionPoint, Hash, NodeID, Signature, TimePoint, TimePointMs};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bool, Bytes, Enum, I64, Optional, Repeat, U32, U64, Void};

pub type UpgradeType = Bytes<128>;
pub type LedgerEntryChanges = Array<LedgerEntryChange>;
pub type ContractEventType = Enum<0, 2>;
pub type TransactionEventStage = Enum<0, 2>;
pub type DependentTxCluster = Array<TransactionEnvelope>;
pub type ParallelTxExecutionStage = Array<DependentTxCluster>;

xdr! {
    struct LedgerCloseValueSignature { node_id: NodeID, signature: Signature }
    struct StellarValueProposedValue {
        tx_set_hash: Hash, previous_ledger_hash: Hash, previous_ledger_version: U32,
        lc_value_signature: LedgerCloseValueSignature,
    }
    struct StellarValueSignedMsValue {
        close_time_ms: TimePointMs, lc_value_signature: LedgerCloseValueSignature,
    }
    struct StellarValueProposedMsValue {
        close_time_ms: TimePointMs, tx_set_hash: Hash, previous_ledger_hash: Hash,
        previous_ledger_version: U32, lc_value_signature: LedgerCloseValueSignature,
    }
    union StellarValueExt {
        0 => void: Void, 1 => lc_value_signature: LedgerCloseValueSignature,
        2 => proposed_value: StellarValueProposedValue,
        3 => signed_ms_value: StellarValueSignedMsValue,
        4 => proposed_ms_value: StellarValueProposedMsValue,
    }
    struct StellarValue {
        tx_set_hash: Hash, close_time: TimePoint, upgrades: Array<UpgradeType, 6>,
        ext: StellarValueExt,
    }
    union LedgerHeaderExtensionV1Ext { 0 => void: Void }
    struct LedgerHeaderExtensionV1 { flags: U32, ext: LedgerHeaderExtensionV1Ext }
    union LedgerHeaderExt { 0 => void: Void, 1 => v1: LedgerHeaderExtensionV1 }
    struct LedgerHeader {
        ledger_version: U32, previous_ledger_hash: Hash, scp_value: StellarValue,
        tx_set_result_hash: Hash, bucket_list_hash: Hash, ledger_seq: U32, total_coins: I64,
        fee_pool: I64, inflation_seq: U32, id_pool: U64, base_fee: U32, base_reserve: U32,
        max_tx_set_size: U32, skip_list: Repeat<Hash, 4>, ext: LedgerHeaderExt,
    }
    union LedgerHeaderHistoryEntryExt { 0 => void: Void }
    struct LedgerHeaderHistoryEntry {
        hash: Hash, header: LedgerHeader, ext: LedgerHeaderHistoryEntryExt,
    }
    struct TransactionSet { previous_ledger_hash: Hash, txs: Array<TransactionEnvelope> }
    struct TransactionResultPair { transaction_hash: Hash, result: TransactionResult }
    union LedgerEntryChange {
        0 => created: LedgerEntry, 1 => updated: LedgerEntry, 2 => removed: LedgerKey,
        3 => state: LedgerEntry, 4 => restored: LedgerEntry,
    }
    struct OperationMeta { changes: LedgerEntryChanges }
    struct TransactionMetaV1 { tx_changes: LedgerEntryChanges, operations: Array<OperationMeta> }
    struct TransactionMetaV2 {
        tx_changes_before: LedgerEntryChanges, operations: Array<OperationMeta>,
        tx_changes_after: LedgerEntryChanges,
    }
    struct SorobanTransactionMetaExtV1 {
        ext: ExtensionPoint, total_non_refundable_resource_fee_charged: I64,
        total_refundable_resource_fee_charged: I64, rent_fee_charged: I64,
    }
    union SorobanTransactionMetaExt { 0 => void: Void, 1 => v1: SorobanTransactionMetaExtV1 }
    struct ContractEventV0 { topics: Array<SCVal>, data: SCVal }
    union ContractEventBody { 0 => v0: ContractEventV0 }
    struct ContractEvent {
        ext: ExtensionPoint, contract_id: Optional<ContractID>, type: ContractEventType,
        body: ContractEventBody,
    }
    struct DiagnosticEvent { in_successful_contract_call: Bool, event: ContractEvent }
    struct SorobanTransactionMeta {
        ext: SorobanTransactionMetaExt, events: Array<ContractEvent>, return_value: SCVal,
        diagnostic_events: Array<DiagnosticEvent>,
    }
    struct TransactionMetaV3 {
        ext: ExtensionPoint, tx_changes_before: LedgerEntryChanges,
        operations: Array<OperationMeta>, tx_changes_after: LedgerEntryChanges,
        soroban_meta: Optional<SorobanTransactionMeta>,
    }
    struct OperationMetaV2 {
        ext: ExtensionPoint, changes: LedgerEntryChanges, events: Array<ContractEvent>,
    }
    struct SorobanTransactionMetaV2 {
        ext: SorobanTransactionMetaExt, return_value: Optional<SCVal>,
    }
    struct TransactionEvent { stage: TransactionEventStage, event: ContractEvent }
    struct TransactionMetaV4 {
        ext: ExtensionPoint, tx_changes_before: LedgerEntryChanges,
        operations: Array<OperationMetaV2>, tx_changes_after: LedgerEntryChanges,
        soroban_meta: Optional<SorobanTransactionMetaV2>, events: Array<TransactionEvent>,
        diagnostic_events: Array<DiagnosticEvent>,
    }
    union TransactionMeta {
        0 => operations: Array<OperationMeta>, 1 => v1: TransactionMetaV1,
        2 => v2: TransactionMetaV2, 3 => v3: TransactionMetaV3, 4 => v4: TransactionMetaV4,
    }
    struct TransactionResultMeta {
        result: TransactionResultPair, fee_processing: LedgerEntryChanges,
        tx_apply_processing: TransactionMeta,
    }
    struct ConfigUpgradeSetKey { contract_id: ContractID, content_hash: Hash }
    union LedgerUpgrade {
        1 => new_ledger_version: U32, 2 => new_base_fee: U32, 3 => new_max_tx_set_size: U32,
        4 => new_base_reserve: U32, 5 => new_flags: U32, 6 => new_config: ConfigUpgradeSetKey,
        7 => new_max_soroban_tx_set_size: U32,
    }
    struct UpgradeEntryMeta { upgrade: LedgerUpgrade, changes: LedgerEntryChanges }
    struct LedgerSCPMessages { ledger_seq: U32, messages: Array<SCPEnvelope> }
    struct SCPHistoryEntryV0 {
        quorum_sets: Array<SCPQuorumSet>, ledger_messages: LedgerSCPMessages,
    }
    union SCPHistoryEntry { 0 => v0: SCPHistoryEntryV0 }
    struct LedgerCloseMetaV0 {
        ledger_header: LedgerHeaderHistoryEntry, tx_set: TransactionSet,
        tx_processing: Array<TransactionResultMeta>, upgrades_processing: Array<UpgradeEntryMeta>,
        scp_info: Array<SCPHistoryEntry>,
    }
    struct LedgerCloseMetaExtV1 { ext: ExtensionPoint, soroban_fee_write1_kb: I64 }
    union LedgerCloseMetaExt { 0 => void: Void, 1 => v1: LedgerCloseMetaExtV1 }
    struct TxSetComponentTxsMaybeDiscountedFee {
        base_fee: Optional<I64>, txs: Array<TransactionEnvelope>,
    }
    union TxSetComponent { 0 => txs_maybe_discounted_fee: TxSetComponentTxsMaybeDiscountedFee }
    struct ParallelTxsComponent {
        base_fee: Optional<I64>, execution_stages: Array<ParallelTxExecutionStage>,
    }
    union TransactionPhase {
        0 => v0_components: Array<TxSetComponent>,
        1 => parallel_txs_component: ParallelTxsComponent,
    }
    struct TransactionSetV1 { previous_ledger_hash: Hash, phases: Array<TransactionPhase> }
    union GeneralizedTransactionSet { 1 => v1_tx_set: TransactionSetV1 }
    struct LedgerCloseMetaV1 {
        ext: LedgerCloseMetaExt, ledger_header: LedgerHeaderHistoryEntry,
        tx_set: GeneralizedTransactionSet, tx_processing: Array<TransactionResultMeta>,
        upgrades_processing: Array<UpgradeEntryMeta>, scp_info: Array<SCPHistoryEntry>,
        total_byte_size_of_live_soroban_state: U64, evicted_keys: Array<LedgerKey>,
        unused: Array<LedgerEntry>,
    }
    struct TransactionResultMetaV1 {
        ext: ExtensionPoint, result: TransactionResultPair, fee_processing: LedgerEntryChanges,
        tx_apply_processing: TransactionMeta, post_tx_apply_fee_processing: LedgerEntryChanges,
    }
    struct LedgerCloseMetaV2 {
        ext: LedgerCloseMetaExt, ledger_header: LedgerHeaderHistoryEntry,
        tx_set: GeneralizedTransactionSet, tx_processing: Array<TransactionResultMetaV1>,
        upgrades_processing: Array<UpgradeEntryMeta>, scp_info: Array<SCPHistoryEntry>,
        total_byte_size_of_live_soroban_state: U64, evicted_keys: Array<LedgerKey>,
    }
    union LedgerCloseMeta {
        0 => v0: LedgerCloseMetaV0, 1 => v1: LedgerCloseMetaV1, 2 => v2: LedgerCloseMetaV2,
    }
}
