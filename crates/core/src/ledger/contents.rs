//! What a ledger's header commits to beyond itself: the transaction set and the results.

use crate::error::{Error, Result};
use crate::ledger::header::Ledger;
use crate::ledger::integrity::hash_text;
use crate::ledger::results_hash::ResultsHash;
use crate::ledger::tx_set;

/// The transaction set and the results of a ledger, as the walk finds them.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    tx_set: &'a [u8],
    results: ResultsHash,
}

impl<'a> Contents<'a> {
    /// A TransactionSet or GeneralizedTransactionSet with so many results, which are to come.
    pub fn new(tx_set: &'a [u8], results: u32) -> Self {
        Self { tx_set, results: ResultsHash::new(results) }
    }

    /// Take in the next TransactionResultPair, in the order of application.
    pub fn add(&mut self, result: &[u8]) {
        self.results.add(result);
    }

    /// Check that they have the hashes in the header; `set_at` is where the set lies in the data.
    pub fn check(self, ledger: &Ledger<'_>, set_at: usize) -> Result<()> {
        let hash = tx_set::hash(ledger, self.tx_set);
        if hash != *ledger.tx_set_hash {
            let named = ("scp_value.tx_set_hash", ledger.tx_set_hash);
            return Err(differs(ledger, "tx_set", set_at, named, &hash));
        }
        let hash = self.results.finish(ledger);
        if hash != *ledger.results_hash {
            let named = ("tx_set_result_hash", ledger.results_hash);
            return Err(differs(ledger, "tx_processing", set_at + self.tx_set.len(), named, &hash));
        }
        Ok(())
    }
}

fn differs(
    ledger: &Ledger<'_>,
    field: &str,
    offset: usize,
    (name, named): (&str, &[u8; 32]),
    hash: &[u8; 32],
) -> Error {
    let (named, hash) = (hash_text(named), hash_text(hash));
    Error::Decode {
        ledger: Some(ledger.sequence),
        path: format!("v{}.{field}", ledger.meta_version),
        offset,
        reason: format!(
            "hashes to {hash}, but the header's {name} is {named}; the data is damaged, fetch it again"
        ),
    }
}
