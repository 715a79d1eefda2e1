//! Stellar-contract-config-setting.x: network settings kept as ledger entries.

use super::types::{ExtensionPoint, Hash};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bool, Bytes, Enum, I64, U32, U64};

pub type ConfigSettingID = Enum<0, 20>;
pub type ContractCostParams = Array<ContractCostParamEntry, 1024>;
pub type EncodedLedgerKey = Bytes;

xdr! {
    struct ConfigSettingContractComputeV0 {
        ledger_max_instructions: I64, tx_max_instructions: I64,
        fee_rate_per_instructions_increment: I64, tx_memory_limit: U32,
    }
    struct ConfigSettingContractLedgerCostV0 {
        ledger_max_disk_read_entries: U32, ledger_max_disk_read_bytes: U32,
        ledger_max_write_ledger_entries: U32, ledger_max_write_bytes: U32,
        tx_max_disk_read_entries: U32, tx_max_disk_read_bytes: U32,
        tx_max_write_ledger_entries: U32, tx_max_write_bytes: U32,
        fee_disk_read_ledger_entry: I64, fee_write_ledger_entry: I64, fee_disk_read1_kb: I64,
        soroban_state_target_size_bytes: I64, rent_fee1_kb_soroban_state_size_low: I64,
        rent_fee1_kb_soroban_state_size_high: I64, soroban_state_rent_fee_growth_factor: U32,
    }
    struct ConfigSettingContractHistoricalDataV0 { fee_historical1_kb: I64 }
    struct ConfigSettingContractEventsV0 {
        tx_max_contract_events_size_bytes: U32, fee_contract_events1_kb: I64,
    }
    struct ConfigSettingContractBandwidthV0 {
        ledger_max_txs_size_bytes: U32, tx_max_size_bytes: U32, fee_tx_size1_kb: I64,
    }
    struct ContractCostParamEntry { ext: ExtensionPoint, const_term: I64, linear_term: I64 }
    struct StateArchivalSettings {
        max_entry_ttl: U32, min_temporary_ttl: U32, min_persistent_ttl: U32,
        persistent_rent_rate_denominator: I64, temp_rent_rate_denominator: I64,
        max_entries_to_archive: U32, live_soroban_state_size_window_sample_size: U32,
        live_soroban_state_size_window_sample_period: U32, eviction_scan_size: U32,
        starting_eviction_scan_level: U32,
    }
    struct ConfigSettingContractExecutionLanesV0 { ledger_max_tx_count: U32 }
    struct EvictionIterator {
        bucket_list_level: U32, is_curr_bucket: Bool, bucket_file_offset: U64,
    }
    struct ConfigSettingContractParallelComputeV0 { ledger_max_dependent_tx_clusters: U32 }
    struct ConfigSettingContractLedgerCostExtV0 {
        tx_max_footprint_entries: U32, fee_write1_kb: I64,
    }
    struct ConfigSettingSCPTiming {
        ledger_target_close_time_milliseconds: U32, nomination_timeout_initial_milliseconds: U32,
        nomination_timeout_increment_milliseconds: U32, ballot_timeout_initial_milliseconds: U32,
        ballot_timeout_increment_milliseconds: U32,
    }
    struct FrozenLedgerKeys { keys: Array<EncodedLedgerKey> }
    struct FrozenLedgerKeysDelta {
        keys_to_freeze: Array<EncodedLedgerKey>, keys_to_unfreeze: Array<EncodedLedgerKey>,
    }
    struct FreezeBypassTxs { tx_hashes: Array<Hash> }
    struct FreezeBypassTxsDelta { add_txs: Array<Hash>, remove_txs: Array<Hash> }
    union ConfigSettingEntry {
        0 => contract_max_size_bytes: U32, 1 => contract_compute: ConfigSettingContractComputeV0,
        2 => contract_ledger_cost: ConfigSettingContractLedgerCostV0,
        3 => contract_historical_data: ConfigSettingContractHistoricalDataV0,
        4 => contract_events: ConfigSettingContractEventsV0,
        5 => contract_bandwidth: ConfigSettingContractBandwidthV0,
        6 => contract_cost_params_cpu_insns: ContractCostParams,
        7 => contract_cost_params_mem_bytes: ContractCostParams,
        8 => contract_data_key_size_bytes: U32, 9 => contract_data_entry_size_bytes: U32,
        10 => state_archival_settings: StateArchivalSettings,
        11 => contract_execution_lanes: ConfigSettingContractExecutionLanesV0,
        12 => live_soroban_state_size_window: Array<U64>,
        13 => eviction_iterator: EvictionIterator,
        14 => contract_parallel_compute: ConfigSettingContractParallelComputeV0,
        15 => contract_ledger_cost_ext: ConfigSettingContractLedgerCostExtV0,
        16 => contract_scp_timing: ConfigSettingSCPTiming,
        17 => frozen_ledger_keys: FrozenLedgerKeys,
        18 => frozen_ledger_keys_delta: FrozenLedgerKeysDelta,
        19 => freeze_bypass_txs: FreezeBypassTxs,
        20 => freeze_bypass_txs_delta: FreezeBypassTxsDelta,
    }
}
