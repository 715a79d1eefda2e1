use std::collections::HashMap;

use sha2::{Digest, Sha256};
use stellar_xdr::{
    FeeBumpTransactionInnerTx, Hash, LedgerHeader, StellarValueExt, TransactionEnvelope,
    TransactionResultResult, TransactionResultSet, TransactionSignaturePayload,
    TransactionSignaturePayloadTaggedTransaction,
};

use super::ledger::{Ledger, decode, xdr};
use super::{PASSPHRASE, run};

type Tagged = TransactionSignaturePayloadTaggedTransaction;

fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

fn hash(tagged_transaction: Tagged) -> Hash {
    let network_id = sha256(PASSPHRASE.as_bytes());
    sha256(&xdr(&TransactionSignaturePayload { network_id, tagged_transaction }))
}

/// The transaction's hash, and its inner transaction's.
fn hashes(envelope: &TransactionEnvelope) -> (Hash, Option<Hash>) {
    match envelope {
        TransactionEnvelope::Tx(envelope) => (hash(Tagged::Tx(envelope.tx.clone())), None),
        TransactionEnvelope::TxFeeBump(envelope) => {
            let FeeBumpTransactionInnerTx::Tx(inner) = &envelope.tx.inner_tx;
            (hash(Tagged::TxFeeBump(envelope.tx.clone())), Some(hash(Tagged::Tx(inner.tx.clone()))))
        }
        TransactionEnvelope::TxV0(_) => panic!("a run holds no V0 envelopes"),
    }
}

fn ledgers() -> Vec<Ledger> {
    run(7, Some(60_000), 60).iter().map(|bytes| decode(bytes)).collect()
}

#[test]
fn headers_hash_and_chain() {
    let ledgers = ledgers();
    assert!(ledgers.iter().all(|ledger| sha256(&xdr(&ledger.header.header)) == ledger.header.hash));
    for pair in ledgers.windows(2) {
        let (before, after): (&LedgerHeader, &LedgerHeader) =
            (&pair[0].header.header, &pair[1].header.header);
        assert_eq!(after.previous_ledger_hash, pair[0].header.hash);
        assert_eq!(after.ledger_seq, before.ledger_seq + 1);
        assert_eq!(after.scp_value.close_time.0, before.scp_value.close_time.0 + 5);
    }
}

#[test]
fn headers_bind_transaction_set_and_results() {
    for ledger in ledgers() {
        let results: Vec<_> = ledger.transactions.iter().map(|tx| tx.result.clone()).collect();
        let results = TransactionResultSet { results: results.try_into().unwrap() };
        assert_eq!(ledger.header.header.tx_set_result_hash, sha256(&xdr(&results)));
        assert_eq!(ledger.header.header.scp_value.tx_set_hash, sha256(&xdr(&ledger.tx_set)));
        assert!(matches!(ledger.header.header.scp_value.ext, StellarValueExt::Signed(_)));
    }
}

#[test]
fn fee_pool_grows_by_what_results_charge() {
    for pair in ledgers().windows(2) {
        let charged: i64 = pair[1].transactions.iter().map(|tx| tx.result.result.fee_charged).sum();
        assert_eq!(pair[1].header.header.fee_pool, pair[0].header.header.fee_pool + charged);
    }
}

#[test]
fn every_result_belongs_to_one_envelope_of_the_set() {
    for ledger in ledgers() {
        let envelopes: HashMap<_, _> = ledger.groups().into_iter().flatten().map(hashes).collect();
        assert_eq!(envelopes.len(), ledger.transactions.len());
        for tx in &ledger.transactions {
            let inner = match &tx.result.result.result {
                TransactionResultResult::TxFeeBumpInnerSuccess(pair)
                | TransactionResultResult::TxFeeBumpInnerFailed(pair) => {
                    Some(pair.transaction_hash.clone())
                }
                _ => None,
            };
            assert_eq!(envelopes.get(&tx.result.transaction_hash), Some(&inner));
        }
    }
}

#[test]
fn envelopes_of_each_group_ascend_by_hash() {
    for ledger in ledgers() {
        for group in ledger.groups() {
            assert!(!group.is_empty());
            assert!(group.is_sorted_by_key(|envelope| sha256(&xdr(*envelope))));
        }
    }
}
