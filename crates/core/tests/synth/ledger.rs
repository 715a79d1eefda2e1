//! One face for the versions of LedgerCloseMeta that the run holds.

use stellar_xdr::{
    ContractEvent, GeneralizedTransactionSet, LedgerCloseMeta, LedgerCloseMetaV1,
    LedgerCloseMetaV2, LedgerEntryChange, LedgerHeaderHistoryEntry, LedgerKey, Limits, ReadXdr,
    TransactionEnvelope, TransactionMeta, TransactionPhase, TransactionResultMeta,
    TransactionResultMetaV1, TransactionResultPair, TxSetComponent, UpgradeEntryMeta, WriteXdr,
};

pub struct Processed {
    pub result: TransactionResultPair,
    pub fees: Vec<LedgerEntryChange>,
    pub meta: TransactionMeta,
    pub after_all: Vec<LedgerEntryChange>,
}

pub struct Ledger {
    pub version: u32,
    pub header: LedgerHeaderHistoryEntry,
    pub tx_set: GeneralizedTransactionSet,
    pub transactions: Vec<Processed>,
    pub upgrades: Vec<UpgradeEntryMeta>,
    pub evicted: Vec<LedgerKey>,
}

pub fn xdr(value: &impl WriteXdr) -> Vec<u8> {
    value.to_xdr(Limits::none()).unwrap()
}

/// Decode to the last byte and back.
pub fn decode(bytes: &[u8]) -> Ledger {
    let meta = LedgerCloseMeta::from_xdr(bytes, Limits::none()).unwrap();
    assert!(xdr(&meta) == bytes, "encoded again, the ledger differs");
    match meta {
        LedgerCloseMeta::V0(_) => panic!("a run holds no V0"),
        LedgerCloseMeta::V1(meta) => version_1(meta),
        LedgerCloseMeta::V2(meta) => version_2(meta),
    }
}

fn version_1(meta: LedgerCloseMetaV1) -> Ledger {
    let processed = |tx: TransactionResultMeta| Processed {
        result: tx.result,
        fees: tx.fee_processing.0.into_vec(),
        meta: tx.tx_apply_processing,
        after_all: Vec::new(),
    };
    Ledger {
        version: 1,
        header: meta.ledger_header,
        tx_set: meta.tx_set,
        transactions: meta.tx_processing.into_vec().into_iter().map(processed).collect(),
        upgrades: meta.upgrades_processing.into_vec(),
        evicted: meta.evicted_keys.into_vec(),
    }
}

fn version_2(meta: LedgerCloseMetaV2) -> Ledger {
    let processed = |tx: TransactionResultMetaV1| Processed {
        result: tx.result,
        fees: tx.fee_processing.0.into_vec(),
        meta: tx.tx_apply_processing,
        after_all: tx.post_tx_apply_fee_processing.0.into_vec(),
    };
    Ledger {
        version: 2,
        header: meta.ledger_header,
        tx_set: meta.tx_set,
        transactions: meta.tx_processing.into_vec().into_iter().map(processed).collect(),
        upgrades: meta.upgrades_processing.into_vec(),
        evicted: meta.evicted_keys.into_vec(),
    }
}

impl Processed {
    /// Groups of changes in which a state directly precedes what it turns into.
    pub fn changes(&self) -> Vec<&[LedgerEntryChange]> {
        let mut groups: Vec<&[LedgerEntryChange]> = Vec::new();
        match &self.meta {
            TransactionMeta::V3(meta) => {
                groups.push(&meta.tx_changes_before.0);
                groups
                    .extend(meta.operations.iter().map(|operation| operation.changes.0.as_slice()));
                groups.push(&meta.tx_changes_after.0);
            }
            TransactionMeta::V4(meta) => {
                groups.push(&meta.tx_changes_before.0);
                groups
                    .extend(meta.operations.iter().map(|operation| operation.changes.0.as_slice()));
                groups.push(&meta.tx_changes_after.0);
            }
            other => panic!("a run holds no {}", other.name()),
        }
        groups
    }

    /// Events of operations, and those of the transaction.
    pub fn events(&self) -> Vec<&ContractEvent> {
        match &self.meta {
            TransactionMeta::V3(meta) => {
                meta.soroban_meta.iter().flat_map(|meta| meta.events.iter()).collect()
            }
            TransactionMeta::V4(meta) => {
                let own = meta.events.iter().map(|event| &event.event);
                own.chain(meta.operations.iter().flat_map(|operation| operation.events.iter()))
                    .collect()
            }
            other => panic!("a run holds no {}", other.name()),
        }
    }
}

impl Ledger {
    pub fn sequence(&self) -> u32 {
        self.header.header.ledger_seq
    }

    /// Components and clusters, each with its envelopes.
    pub fn groups(&self) -> Vec<Vec<&TransactionEnvelope>> {
        let GeneralizedTransactionSet::V1(set) = &self.tx_set;
        set.phases.iter().flat_map(groups).collect()
    }
}

fn groups(phase: &TransactionPhase) -> Vec<Vec<&TransactionEnvelope>> {
    match phase {
        TransactionPhase::V0(components) => components
            .iter()
            .map(|TxSetComponent::TxsetCompTxsMaybeDiscountedFee(component)| {
                component.txs.iter().collect()
            })
            .collect(),
        TransactionPhase::V1(parallel) => {
            let clusters = parallel.execution_stages.iter().flat_map(|stage| stage.0.iter());
            clusters.map(|cluster| cluster.0.iter().collect()).collect()
        }
    }
}
