//! What ran a contract when, from what ledgers tell of it.

use std::collections::BTreeMap;

/// What runs when a contract is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Executable {
    /// Code with this hash.
    Wasm([u8; 32]),
    /// The Stellar Asset Contract.
    StellarAsset,
}

/// A ledger's sequence number and a transaction's place in it.
pub type Moment = (u32, u32);

/// What ran before and after a transaction that wrote the contract's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// `None` where there was no contract, or it is not known.
    pub before: Option<Executable>,
    /// `None` where there is no contract any more, or it is not known.
    pub after: Option<Executable>,
}

/// One contract's.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Said by the caller, and so for ever.
    pinned: Option<Executable>,
    writes: BTreeMap<Moment, Write>,
}

impl History {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.pinned.is_none() && self.writes.is_empty()
    }

    /// It is this at all times.
    pub fn pin(&mut self, executable: Executable) {
        self.pinned = Some(executable);
    }

    /// A transaction wrote the instance. One that changes nothing is not kept.
    pub fn note(&mut self, moment: Moment, write: Write) {
        let earlier = self.writes.range(..moment).next_back().map(|(_, write)| write.after);
        if write.before == write.after && earlier == Some(write.after) {
            return;
        }
        let at = self.writes.entry(moment).or_insert(write);
        at.after = write.after;
    }

    /// What ran in a transaction: before it wrote the instance, and after.
    pub fn at(&self, moment: Moment) -> Write {
        if self.pinned.is_some() {
            return Write { before: self.pinned, after: self.pinned };
        }
        match self.writes.range(..=moment).next_back() {
            Some((found, write)) if *found == moment => *write,
            Some((_, write)) => Write { before: write.after, after: write.after },
            None => {
                let before = self.writes.values().next().and_then(|write| write.before);
                Write { before, after: before }
            }
        }
    }

    /// All that ever ran, in order, each with the ledger it was first seen to run in.
    pub fn executables(&self) -> Vec<(Executable, Option<u32>)> {
        if let Some(pinned) = self.pinned {
            return vec![(pinned, None)];
        }
        let mut found: Vec<(Executable, Option<u32>)> = Vec::new();
        let mut add = |executable: Option<Executable>, ledger| {
            if let Some(one) = executable
                && !found.iter().any(|(known, _)| *known == one)
            {
                found.push((one, ledger));
            }
        };
        for ((ledger, _), write) in &self.writes {
            add(write.before, None);
            add(write.after, Some(*ledger));
        }
        found
    }

    /// The writes that changed what runs.
    pub fn changes(&self) -> impl Iterator<Item = (Moment, Write)> {
        self.writes.iter().map(|(moment, write)| (*moment, *write))
    }
}

#[cfg(test)]
mod tests {
    use super::{Executable, History, Write};

    const OLD: Option<Executable> = Some(Executable::Wasm([1; 32]));
    const NEW: Option<Executable> = Some(Executable::Wasm([2; 32]));

    #[test]
    fn the_write_before_a_moment_says_what_runs_and_the_first_write_what_ran_before_it() {
        let mut history = History::default();
        history.note((10, 3), Write { before: OLD, after: NEW });
        assert_eq!(history.at((10, 2)).after, OLD);
        assert_eq!(history.at((10, 3)), Write { before: OLD, after: NEW });
        assert_eq!(history.at((11, 1)), Write { before: NEW, after: NEW });
    }

    #[test]
    fn a_contract_ran_nothing_before_it_was_created() {
        let mut history = History::default();
        history.note((10, 3), Write { before: None, after: OLD });
        assert_eq!(history.at((9, 1)).after, None);
        assert_eq!(history.at((10, 3)).after, OLD);
    }

    #[test]
    fn writes_that_change_nothing_are_not_kept() {
        let mut history = History::default();
        for ledger in 1..100 {
            history.note((ledger, 1), Write { before: OLD, after: OLD });
        }
        assert_eq!(history.changes().count(), 1);
    }
}
