//! What a header says of its transactions' results: txSetResultHash (Stellar-ledger.x).

use sha2::{Digest, Sha256};

use crate::ledger::header::Ledger;
use crate::ledger::tx_set::{GENESIS, NO_HASH};

/// The hash of a TransactionResultSet, whose TransactionResultPairs are shown one by one.
#[derive(Debug, Clone)]
pub struct ResultsHash {
    sha: Sha256,
    count: u32,
}

impl ResultsHash {
    /// Begin a set of so many pairs.
    pub fn new(count: u32) -> Self {
        Self { sha: Sha256::new_with_prefix(count.to_be_bytes()), count }
    }

    /// Take in the next TransactionResultPair, in the order of application.
    pub fn add(&mut self, pair: &[u8]) {
        self.sha.update(pair);
    }

    /// The hash that the header must hold: none in the first ledger, which applies nothing.
    pub fn finish(self, ledger: &Ledger<'_>) -> [u8; 32] {
        match (ledger.sequence, self.count) {
            (GENESIS, 0) => NO_HASH,
            _ => self.sha.finalize().into(),
        }
    }
}
