//! What a header says of its transactions' results: txSetResultHash (Stellar-ledger.x).

use sha2::{Digest, Sha256};

use crate::header::Ledger;
use crate::tx_set::{GENESIS, NO_HASH};

/// The hash of a TransactionResultSet, whose TransactionResultPairs are shown one by one.
#[derive(Debug, Clone, Default)]
pub struct ResultsHash(Sha256);

impl ResultsHash {
    /// Begin a set of so many pairs.
    pub fn begin(count: u32) -> Self {
        Self(Sha256::new_with_prefix(count.to_be_bytes()))
    }

    /// Take in the next TransactionResultPair, in the order of application.
    pub fn add(&mut self, pair: &[u8]) {
        self.0.update(pair);
    }

    /// The hash that the header must hold for so many results; the first ledger's holds none.
    pub fn finish(self, ledger: &Ledger<'_>, count: u32) -> [u8; 32] {
        match (ledger.sequence, count) {
            (GENESIS, 0) => NO_HASH,
            _ => self.0.finalize().into(),
        }
    }
}
