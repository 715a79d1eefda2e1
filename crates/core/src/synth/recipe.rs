//! What may be asked of a synthetic run.

const LEAST_BYTES: usize = 4_000;
const MOST_BYTES: usize = 16_000_000;
const MOST_CONTRACTS: u32 = 20_000;

/// What to make: the same recipe gives the same bytes on any machine.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Start of all chance.
    pub seed: u64,
    /// Sequence of the first ledger, at least 2.
    pub first: u32,
    /// How many contracts come to be in the course of the run.
    pub contracts: u32,
    /// XDR bytes a ledger, within a tenth; None makes a mix like a real network's.
    pub ledger_bytes: Option<usize>,
    /// The network's passphrase, on which transaction hashes and contract ids depend.
    pub passphrase: String,
}

impl Recipe {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.first < 2 {
            return Err(format!(
                "first ledger {} is too low: synthetic ledgers start at 2 or later",
                self.first
            ));
        }
        if !(1..=MOST_CONTRACTS).contains(&self.contracts) {
            return Err(format!(
                "{} contracts cannot be made: ask for 1 to {MOST_CONTRACTS}",
                self.contracts
            ));
        }
        if let Some(bytes) =
            self.ledger_bytes.filter(|bytes| !(LEAST_BYTES..=MOST_BYTES).contains(bytes))
        {
            return Err(format!(
                "a ledger of {bytes} bytes cannot be made: ask for {LEAST_BYTES} to {MOST_BYTES}"
            ));
        }
        if self.passphrase.is_empty() {
            return Err(
                "the network passphrase is empty: give the one that readers will use".to_owned()
            );
        }
        Ok(())
    }
}
