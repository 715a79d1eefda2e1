//! What a header commits to: its ledger's transaction set and results, by the network's own rules.

use stellar_xdr::{
    GeneralizedTransactionSet, Hash, LedgerCloseMeta, LedgerCloseMetaV0, LedgerCloseMetaV2,
    ParallelTxsComponent, StellarValueExt, StellarValueProposedMsValue, StellarValueProposedValue,
    TransactionPhase, TransactionSetV1,
};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::error::Error;
use stellarrow_core::frame::Framing;

use crate::dice::Dice;
use crate::rows::request;
use crate::sealed::{commit, encode, entry, rehash, seal};
use crate::structured;

const CASES: u64 = if cfg!(debug_assertions) { 100 } else { 2_000 };

fn verified() -> Request {
    request().framing(Some(Framing::Single)).verify_hashes(true)
}

/// The path of what a ledger is refused for.
fn refused(meta: &LedgerCloseMeta) -> Option<String> {
    match decode(&encode(meta), &verified()) {
        Ok(_) => None,
        Err(Error::Decode { path, reason, .. }) => {
            assert!(reason.contains("hashes to"), "{path}: {reason}");
            Some(path)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_ledger_is_read_if_its_header_names_its_set_and_its_results() {
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let mut meta = structured::ledger(&mut dice);
        seal(&mut meta, &mut dice);
        if entry(&mut meta).header.ledger_seq == 1 {
            continue;
        }
        commit(&mut meta);
        assert_eq!(refused(&meta), None, "seed {seed}");
        let named = entry(&mut meta).header.tx_set_result_hash.clone();
        entry(&mut meta).header.tx_set_result_hash = Hash([7; 32]);
        rehash(&mut meta);
        assert!(refused(&meta).unwrap().ends_with("tx_processing"), "seed {seed}");
        entry(&mut meta).header.tx_set_result_hash = named;
        entry(&mut meta).header.scp_value.tx_set_hash = Hash([7; 32]);
        rehash(&mut meta);
        assert!(refused(&meta).unwrap().ends_with("tx_set"), "seed {seed}");
    }
}

/// An empty ledger whose set was dropped by the network's vote (CAP-83).
fn dropped(ext: StellarValueExt) -> LedgerCloseMeta {
    let mut inner = LedgerCloseMetaV2::default();
    let previous = Hash([3; 32]);
    let phases = [
        TransactionPhase::V0(Default::default()),
        TransactionPhase::V1(ParallelTxsComponent::default()),
    ];
    inner.tx_set = GeneralizedTransactionSet::V1(TransactionSetV1 {
        previous_ledger_hash: previous.clone(),
        phases: phases.to_vec().try_into().unwrap(),
    });
    let header = &mut inner.ledger_header.header;
    header.ledger_seq = 5;
    header.ledger_version = 28;
    header.previous_ledger_hash = previous;
    header.scp_value.ext = ext;
    let mut meta = LedgerCloseMeta::V2(inner);
    commit(&mut meta);
    entry(&mut meta).header.scp_value.tx_set_hash = Hash([0; 32]);
    rehash(&mut meta);
    meta
}

#[test]
fn a_ledger_whose_set_was_dropped_names_no_hash_and_holds_an_empty_set() {
    let kinds = [
        StellarValueExt::EmptyTxSet(StellarValueProposedValue::default()),
        StellarValueExt::EmptyTxSetMs(StellarValueProposedMsValue::default()),
    ];
    for kind in kinds {
        let mut meta = dropped(kind);
        assert_eq!(refused(&meta), None);
        let LedgerCloseMeta::V2(inner) = &mut meta else { panic!("version 2 was made") };
        let GeneralizedTransactionSet::V1(set) = &mut inner.tx_set;
        set.previous_ledger_hash = Hash([4; 32]);
        assert_eq!(refused(&meta).unwrap(), "v2.tx_set");
    }
    let signed = StellarValueExt::Signed(Default::default());
    assert_eq!(refused(&dropped(signed)).unwrap(), "v2.tx_set");
}

#[test]
fn the_first_ledger_of_all_names_neither() {
    let mut inner = LedgerCloseMetaV0::default();
    inner.ledger_header.header.ledger_seq = 1;
    let mut meta = LedgerCloseMeta::V0(inner);
    rehash(&mut meta);
    assert_eq!(refused(&meta), None);
    entry(&mut meta).header.ledger_seq = 2;
    rehash(&mut meta);
    assert_eq!(refused(&meta).unwrap(), "v0.tx_set");
}
