//! What ran a contract when, from what ledgers tell of it.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

/// What runs when a contract is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Executable {
    /// Code with this hash.
    Wasm([u8; 32]),
    /// The Stellar Asset Contract.
    StellarAsset,
    /// The code that another contract names under a tag (CAP-85): the digest of both.
    External([u8; 32]),
}

impl Executable {
    /// What is named by a contract under a tag.
    pub fn external(owner: &[u8; 32], tag: &[u8]) -> Self {
        Self::External(Sha256::new_with_prefix(owner).chain_update(tag).finalize().into())
    }
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

    /// A transaction wrote the instance. One that changes nothing is not kept; tells whether one did.
    pub fn note(&mut self, moment: Moment, write: Write) -> bool {
        let earlier = self.writes.range(..moment).next_back().map(|(_, write)| write.after);
        if write.before == write.after && earlier == Some(write.after) {
            return false;
        }
        let known = self.writes.get(&moment).copied();
        let at = self.writes.entry(moment).or_insert(write);
        at.after = write.after;
        known != Some(*at)
    }

    /// Whether other contracts name what it ran at some time.
    pub fn is_external(&self) -> bool {
        let external = |one: Option<Executable>| matches!(one, Some(Executable::External(_)));
        self.writes.values().any(|write| external(write.before) || external(write.after))
    }

    /// The same with the code itself where another contract names it; nothing where that is not known.
    pub fn resolved(&self, tags: &HashMap<[u8; 32], Self>) -> Self {
        let mut made = Self { pinned: self.pinned, writes: BTreeMap::new() };
        let meant = |one: Option<Executable>, moment, after: bool| match one {
            Some(Executable::External(tag)) => {
                let write = tags.get(&tag).map(|history| history.at(moment));
                write.and_then(|write| if after { write.after } else { write.before })
            }
            other => other,
        };
        let mut since = None;
        let mut runs = self.writes.values().next().and_then(|write| write.before);
        for (moment, write) in &self.writes {
            made.renamed(runs, tags, (since, Some(*moment)));
            let before = meant(write.before, *moment, false);
            let after = meant(write.after, *moment, true);
            made.writes.insert(*moment, Write { before, after });
            (since, runs) = (Some(*moment), write.after);
        }
        made.renamed(runs, tags, (since, None));
        made
    }

    /// Note the code that was named under a tag between two moments.
    fn renamed(
        &mut self,
        runs: Option<Executable>,
        tags: &HashMap<[u8; 32], Self>,
        (since, until): (Option<Moment>, Option<Moment>),
    ) {
        let Some(Executable::External(tag)) = runs else { return };
        for (moment, write) in tags.get(&tag).into_iter().flat_map(Self::changes) {
            if since.is_none_or(|since| since < moment) && until.is_none_or(|until| moment < until)
            {
                self.writes.insert(moment, write);
            }
        }
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
    fn code_that_another_contract_names_is_that_of_its_time() {
        let named = Executable::external(&[9; 32], b"vault");
        let Executable::External(tag) = named else { panic!("it is a tag's") };
        let mut tagged = History::default();
        tagged.note((5, 1), Write { before: None, after: OLD });
        tagged.note((20, 2), Write { before: OLD, after: NEW });
        tagged.note((40, 1), Write { before: NEW, after: OLD });
        let mut history = History::default();
        history.note((10, 3), Write { before: None, after: Some(named) });
        history.note((30, 1), Write { before: Some(named), after: Some(Executable::StellarAsset) });
        assert!(history.is_external());
        let found = history.resolved(&[(tag, tagged)].into());
        assert_eq!(found.at((9, 9)).after, None);
        assert_eq!(found.at((10, 3)), Write { before: None, after: OLD });
        assert_eq!(found.at((20, 2)), Write { before: OLD, after: NEW });
        assert_eq!(found.at((30, 1)).before, NEW);
        assert_eq!(found.at((41, 1)).after, Some(Executable::StellarAsset));
        assert_eq!(history.resolved(&std::collections::HashMap::new()).at((15, 1)).after, None);
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
