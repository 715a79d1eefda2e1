//! Errors name the very value that is wrong: its path in the protocol's names and its offset.

use stellarrow_core::frame::Framing;

use super::sample::*;
use super::{place, refused};
use crate::framed::framed;

const CHANGE: &str = "v1.tx_processing[0].tx_apply_processing.v3.operations[0].changes[0]";
const DATA_ENTRY: &str = "created.data.contract_data";
const SOROBAN: &str = "v1.tx_processing[0].tx_apply_processing.v3.soroban_meta";

/// A word put in the place so far from some bytes, and where that is in the protocol's names.
struct Wrong {
    from: Vec<u8>,
    distance: isize,
    word: u32,
    path: String,
    reason: &'static str,
}

fn wrong(from: &[u8], distance: isize, word: u32, path: &str, reason: &'static str) -> Wrong {
    Wrong { from: from.to_vec(), distance, word, path: path.to_owned(), reason }
}

fn in_changes() -> Vec<Wrong> {
    let data = |field| format!("{CHANGE}.{DATA_ENTRY}.{field}");
    let key = KEY.to_be_bytes();
    vec![
        wrong(&CONTRACT, -4, 6, &data("contract"), "holds arm 6 of SCAddress"),
        wrong(&key, -4, 23, &data("key"), "holds arm 23 of SCVal"),
        wrong(&key, 4, 2, &data("durability"), "is 2, not one of 0 to 1"),
        wrong(&key, 12, 2, &data("val.vec"), "is 2, neither 0 nor 1"),
        wrong(&key, 24, 7, &data("val.vec[0].b"), "is 7, not one of 0 to 1"),
        wrong(SIZED, 4, 0x6421_0001, &data("val.vec[1].bytes"), "padded"),
        wrong(&CONTRACT, -20, 5, CHANGE, "holds arm 5 of LedgerEntryChange"),
        wrong(&CONTRACT, -12, 10, &format!("{CHANGE}.created.data"), "holds arm 10"),
        wrong(
            &LIVE_UNTIL.to_be_bytes(),
            4,
            2,
            "v1.tx_processing[0].tx_apply_processing.v3.operations[0].changes[1].created.ext",
            "holds arm 2 of LedgerEntryExt",
        ),
    ]
}

fn in_events() -> Vec<Wrong> {
    let event = |field| format!("{SOROBAN}.events[0].{field}");
    vec![
        wrong(&EMITTER, -4, 9, &event("contract_id"), "is 9, neither 0 nor 1"),
        wrong(&EMITTER, 32, 3, &event("type"), "is 3, not one of 0 to 2"),
        wrong(&EMITTER, 36, 1, &event("body"), "holds arm 1 of ContractEventBody"),
        wrong(NAME, -4, 33, &event("body.v0.topics[0].sym"), "is 33 bytes long, more than 32"),
        wrong(&DATA.to_be_bytes(), -4, u32::MAX, &event("body.v0.data"), "holds arm -1"),
        wrong(
            &RETURNED.to_be_bytes(),
            -4,
            99,
            &format!("{SOROBAN}.return_value"),
            "holds arm 99 of SCVal",
        ),
        wrong(&EMITTER, -16, 3, &format!("{SOROBAN}.ext"), "SorobanTransactionMetaExt"),
        wrong(&EMITTER, -20, 4, SOROBAN, "is 4, neither 0 nor 1"),
    ]
}

fn elsewhere() -> Vec<Wrong> {
    let envelope = "v1.tx_set.v1_tx_set.phases[0].v0_components[0].txs_maybe_discounted_fee.txs[0]";
    let fee = FEE_CHARGED.to_be_bytes();
    let result = "v1.tx_processing[0].result.result";
    let upgrade = "v1.upgrades_processing[0].upgrade";
    let quorum = "v1.scp_info[0].v0.quorum_sets[0]";
    vec![
        wrong(
            &DESTINATION,
            -4,
            255,
            &format!("{envelope}.v1.tx.operations[0].body.payment_op.destination"),
            "holds arm 255 of MuxedAccount",
        ),
        wrong(&DESTINATION, -8, 27, &format!("{envelope}.v1.tx.operations[0].body"), "arm 27"),
        wrong(&fee, 8, 2, &format!("{result}.result"), "arm 2 of TransactionResultResult"),
        wrong(&fee, 16, 1, &format!("{result}.ext"), "arm 1 of TransactionResultExt"),
        wrong(&NEW_VERSION.to_be_bytes(), -4, 8, upgrade, "holds arm 8 of LedgerUpgrade"),
        wrong(&VALIDATOR, -4, 1, &format!("{quorum}.validators[0]"), "arm 1 of PublicKey"),
        wrong(&EVICTED, -4, 10, "v1.evicted_keys[0]", "holds arm 10 of LedgerKey"),
    ]
}

/// The sample with the word in its place, and where that is.
fn broken(wrong: &Wrong) -> (Vec<u8>, usize) {
    let mut bytes = bytes();
    let at = find(&bytes, &wrong.from).checked_add_signed(wrong.distance).unwrap();
    put(&mut bytes, at, wrong.word);
    (bytes, at)
}

fn names_its_place(wrong: &Wrong) {
    let (bytes, at) = broken(wrong);
    // Padding is told to be wrong where the bytes that it pads begin.
    let at = if wrong.reason == "padded" { at - 4 } else { at };
    let sound = super::sample::bytes();
    for (framing, before) in
        [(Framing::Single, 0), (Framing::Batch, 12), (Framing::RecordMarked, 4)]
    {
        let data = framed(&[&bytes], framing, SEQUENCE);
        let error = refused(&data, None);
        let (ledger, path, offset, reason) = place(&error);
        assert_eq!((ledger, path, offset), (Some(SEQUENCE), &*wrong.path, before + at), "{error}");
        assert!(reason.contains(wrong.reason), "{error}");
    }
    let data = framed(&[&sound, &bytes], Framing::RecordMarked, 0);
    let error = super::refused_by(&data, &crate::rows::request().verify_chain(false));
    assert_eq!(place(&error).2, 4 + sound.len() + 4 + at, "{error}");
}

#[test]
fn a_wrong_change_is_told_by_path_and_offset() {
    in_changes().iter().for_each(names_its_place);
}

#[test]
fn a_wrong_event_is_told_by_path_and_offset() {
    in_events().iter().for_each(names_its_place);
}

#[test]
fn whatever_else_is_wrong_is_told_by_path_and_offset() {
    elsewhere().iter().for_each(names_its_place);
}

#[test]
fn an_error_says_what_where_and_what_to_do() {
    let (bytes, at) = broken(&in_events()[1]);
    assert_eq!(
        refused(&bytes, None).to_string(),
        format!(
            "ledger 7000007: {SOROBAN}.events[0].type at byte {at}: is 3, not one of 0 to 2; the data \
             is damaged (fetch it again) or newer than this version (update stellarrow)"
        )
    );
}

#[test]
fn an_unknown_version_of_a_ledger_is_told_in_every_framing() {
    let mut ledger = bytes();
    put(&mut ledger, 0, 3);
    for (framing, base) in [(Framing::Single, 0), (Framing::Batch, 12), (Framing::RecordMarked, 4)]
    {
        let data = framed(&[&ledger], framing, SEQUENCE);
        for given in [None, Some(framing)] {
            let error = refused(&data, given);
            let (ledger, path, offset, reason) = place(&error);
            assert_eq!((ledger, path, offset), (None, "", base), "{error}");
            assert!(reason.starts_with("holds arm 3 of LedgerCloseMeta"), "{error}");
        }
    }
}
