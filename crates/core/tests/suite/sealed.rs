//! Ledgers that pass the integrity checks: values of the official crate with their hashes made right.

use sha2::{Digest, Sha256};
use stellar_xdr::{
    GeneralizedTransactionSet, Hash, LedgerCloseMeta, LedgerHeader, LedgerHeaderHistoryEntry,
    Limits, TransactionEnvelope, TransactionPhase, TransactionResultSet, TxSetComponent, WriteXdr,
};

use crate::dice::Dice;

/// The network all made ledgers belong to.
pub const PASSPHRASE: &str = "Test SDF Network ; September 2015";

/// The id of that network.
pub fn network_id() -> [u8; 32] {
    sha256(PASSPHRASE.as_bytes())
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn encode(value: &impl WriteXdr) -> Vec<u8> {
    value.to_xdr(Limits::none()).unwrap()
}

pub fn entry(meta: &mut LedgerCloseMeta) -> &mut LedgerHeaderHistoryEntry {
    match meta {
        LedgerCloseMeta::V0(meta) => &mut meta.ledger_header,
        LedgerCloseMeta::V1(meta) => &mut meta.ledger_header,
        LedgerCloseMeta::V2(meta) => &mut meta.ledger_header,
    }
}

pub fn header(meta: &LedgerCloseMeta) -> &LedgerHeader {
    match meta {
        LedgerCloseMeta::V0(meta) => &meta.ledger_header.header,
        LedgerCloseMeta::V1(meta) => &meta.ledger_header.header,
        LedgerCloseMeta::V2(meta) => &meta.ledger_header.header,
    }
}

/// Where in a ledger's encoding its header ends.
pub fn body_at(meta: &LedgerCloseMeta) -> usize {
    let (ext, entry) = match meta {
        LedgerCloseMeta::V0(meta) => (0, &meta.ledger_header),
        LedgerCloseMeta::V1(meta) => (encode(&meta.ext).len(), &meta.ledger_header),
        LedgerCloseMeta::V2(meta) => (encode(&meta.ext).len(), &meta.ledger_header),
    };
    4 + ext + encode(entry).len()
}

/// Make header, hash and the first transaction's hash what the checks want, all else staying.
pub fn seal(meta: &mut LedgerCloseMeta, dice: &mut Dice) {
    prove(meta, dice);
    let header = &mut entry(meta).header;
    header.ledger_version %= 31;
    header.scp_value.close_time.0 %= 1 << 43; // i64::MAX microseconds is some 2^43 seconds
    rehash(meta);
}

/// Make the hash beside the header right.
pub fn rehash(meta: &mut LedgerCloseMeta) {
    let entry = entry(meta);
    entry.hash = Hash(sha256(&encode(&entry.header)));
}

/// Seal ledgers that follow one another, the first being number `first`.
pub fn seal_chain(metas: &mut [LedgerCloseMeta], first: u32, dice: &mut Dice) {
    let mut before = Hash([0; 32]);
    for (meta, sequence) in metas.iter_mut().zip(first..=u32::MAX) {
        let header = &mut entry(meta).header;
        header.ledger_seq = sequence;
        header.previous_ledger_hash = before;
        seal(meta, dice);
        before = entry(meta).hash.clone();
    }
}

/// Give some transaction the hash of the set's first envelope, the one that proves the network.
pub fn prove(meta: &mut LedgerCloseMeta, dice: &mut Dice) {
    let Some(hash) = envelopes(meta).first().map(|first| first.hash(network_id())) else {
        return;
    };
    let mut hashes = hashes(meta);
    if !hashes.is_empty() {
        let at = dice.below(hashes.len());
        *hashes[at] = Hash(hash.unwrap());
    }
}

fn hashes(meta: &mut LedgerCloseMeta) -> Vec<&mut Hash> {
    match meta {
        LedgerCloseMeta::V0(meta) => {
            meta.tx_processing.iter_mut().map(|tx| &mut tx.result).collect()
        }
        LedgerCloseMeta::V1(meta) => {
            meta.tx_processing.iter_mut().map(|tx| &mut tx.result).collect()
        }
        LedgerCloseMeta::V2(meta) => {
            meta.tx_processing.iter_mut().map(|tx| &mut tx.result).collect::<Vec<_>>()
        }
    }
    .into_iter()
    .map(|result| &mut result.transaction_hash)
    .collect()
}

/// The envelopes of the transaction set, in its order.
fn envelopes(meta: &LedgerCloseMeta) -> Vec<&TransactionEnvelope> {
    let GeneralizedTransactionSet::V1(set) = match meta {
        LedgerCloseMeta::V0(meta) => return meta.tx_set.txs.iter().collect(),
        LedgerCloseMeta::V1(meta) => &meta.tx_set,
        LedgerCloseMeta::V2(meta) => &meta.tx_set,
    };
    set.phases.iter().flat_map(of_phase).collect()
}

fn of_phase(phase: &TransactionPhase) -> Vec<&TransactionEnvelope> {
    match phase {
        TransactionPhase::V0(components) => components
            .iter()
            .flat_map(|TxSetComponent::TxsetCompTxsMaybeDiscountedFee(component)| {
                component.txs.iter()
            })
            .collect(),
        TransactionPhase::V1(parallel) => parallel
            .execution_stages
            .iter()
            .flat_map(|stage| stage.0.iter())
            .flat_map(|cluster| cluster.0.iter())
            .collect(),
    }
}

/// Make the header name the hashes of the transaction set and the results that are there.
pub fn commit(meta: &mut LedgerCloseMeta) {
    let (set, results) = (set_hash(meta), results_hash(meta));
    let header = &mut entry(meta).header;
    header.scp_value.tx_set_hash = Hash(set);
    header.tx_set_result_hash = Hash(results);
    rehash(meta);
}

/// By stellar-core's rules: a TransactionSet is hashed without its count.
fn set_hash(meta: &LedgerCloseMeta) -> [u8; 32] {
    match meta {
        LedgerCloseMeta::V0(meta) => {
            let mut bytes = encode(&meta.tx_set.previous_ledger_hash);
            meta.tx_set.txs.iter().for_each(|envelope| bytes.extend(encode(envelope)));
            sha256(&bytes)
        }
        LedgerCloseMeta::V1(meta) => sha256(&encode(&meta.tx_set)),
        LedgerCloseMeta::V2(meta) => sha256(&encode(&meta.tx_set)),
    }
}

fn results_hash(meta: &LedgerCloseMeta) -> [u8; 32] {
    let results: Vec<_> = match meta {
        LedgerCloseMeta::V0(meta) => {
            meta.tx_processing.iter().map(|tx| tx.result.clone()).collect()
        }
        LedgerCloseMeta::V1(meta) => {
            meta.tx_processing.iter().map(|tx| tx.result.clone()).collect()
        }
        LedgerCloseMeta::V2(meta) => {
            meta.tx_processing.iter().map(|tx| tx.result.clone()).collect()
        }
    };
    sha256(&encode(&TransactionResultSet { results: results.try_into().unwrap() }))
}
