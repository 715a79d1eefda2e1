//! What a header says of its ledger's transaction set: scpValue.txSetHash (Stellar-ledger.x).

use sha2::{Digest, Sha256};

use crate::ledger::header::Ledger;
use crate::xdr::discriminants::StellarValueType;

/// The hash of a header that names no set: the first ledger's, and one whose set was dropped.
pub const NO_HASH: [u8; 32] = [0; 32];

/// The first ledger of a chain: nothing was agreed on, and nothing applied.
pub const GENESIS: u32 = 1;

/// Arms of StellarValueExt with which a network drops the set it was voting on (CAP-83).
const DROPPED: [u32; 2] = [StellarValueType::EMPTY_TX_SET, StellarValueType::EMPTY_TX_SET_MS];

/// The set that a network applies in place of a dropped one, behind its previousLedgerHash: the first
/// phase without components, the parallel one without base fee and stages.
const EMPTY_PHASES: [u32; 6] = [2, 0, 0, 1, 0, 0];

/// The hash that the header must hold for this set, which lies as in meta of the ledger's version.
pub fn hash(ledger: &Ledger<'_>, set: &[u8]) -> [u8; 32] {
    if replaces_dropped(ledger, set) || ledger.sequence == GENESIS && is_empty(ledger, set) {
        return NO_HASH;
    }
    let mut sha = Sha256::new();
    match (ledger.meta_version, set.split_at_checked(32)) {
        // TransactionSet is hashed without the count of its transactions.
        (0, Some((previous, transactions))) => {
            sha.update(previous);
            sha.update(transactions.get(4..).unwrap_or_default());
        }
        _ => sha.update(set),
    }
    sha.finalize().into()
}

fn replaces_dropped(ledger: &Ledger<'_>, set: &[u8]) -> bool {
    let empty = [&1_u32.to_be_bytes(), ledger.previous_hash.as_slice()].concat();
    DROPPED.contains(&ledger.value_kind)
        && set.strip_prefix(empty.as_slice()).is_some_and(|phases| {
            phases.iter().copied().eq(EMPTY_PHASES.iter().flat_map(|word| word.to_be_bytes()))
        })
}

fn is_empty(ledger: &Ledger<'_>, set: &[u8]) -> bool {
    ledger.meta_version == 0 && set == [ledger.previous_hash.as_slice(), &[0; 4]].concat()
}
