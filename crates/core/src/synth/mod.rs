//! Makes an endless run of valid ledgers out of a seed, for demonstrations and load tests.
//!
//! The run tells one consistent story: hashes chain and match, and every change starts from the state that the
//! change before it left. Only signatures are not genuine, and clusters of the parallel
//! phase are cut by hash, whether their transactions conflict or not. It begins as protocol 22 (LedgerCloseMeta V1, first with
//! TransactionMeta V3, then with V4 as a node writes that backfills CAP-67 events) and after 50 ledgers moves to
//! protocol 23 (LedgerCloseMeta V2, V4).
#![expect(clippy::indexing_slicing, reason = "places come from the run itself, never from input")]

mod account;
mod asset;
mod call;
mod classic;
mod contract;
mod dice;
mod entry;
mod event;
mod ledger;
mod scval;
mod soroban;
mod storage;
mod token;
mod transaction;
mod upkeep;
mod world;
mod writer;

use ledger::{BARE, Chain, Draft};
use soroban::Ask;
use world::World;

/// Ledgers before unified (CAP-67) events, and before protocol 23.
const PLAIN_LEDGERS: u32 = 30;
const V1_LEDGERS: u32 = 50;

const LEAST_BYTES: usize = 4_000;
const MOST_BYTES: usize = 16_000_000;
const MOST_CONTRACTS: u32 = 20_000;

/// The transaction that fills what is left of a ledger needs as much.
const LAST: usize = 3_300;
/// A transaction of one classic operation takes no more.
const CLASSIC: usize = 2_200;

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
    fn check(&self) -> Result<(), String> {
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

/// What the network's protocol and the node's settings write at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    /// LedgerCloseMeta V1 with TransactionMeta V3.
    V1,
    /// LedgerCloseMeta V1 with TransactionMeta V4 and CAP-67 events.
    V1Unified,
    /// LedgerCloseMeta V2 with TransactionMeta V4.
    V2,
}

impl Era {
    fn of(index: u32) -> Self {
        match index {
            0..PLAIN_LEDGERS => Self::V1,
            PLAIN_LEDGERS..V1_LEDGERS => Self::V1Unified,
            _ => Self::V2,
        }
    }

    fn protocol(self) -> u32 {
        if self == Self::V2 { 23 } else { 22 }
    }

    fn unified(self) -> bool {
        self != Self::V1
    }

    /// Tell whether archived entries come back as RESTORED changes (CAP-66).
    fn restores(self) -> bool {
        self == Self::V2
    }
}

/// The ledger being made.
#[derive(Clone, Copy)]
struct Now {
    seq: u32,
    /// Close time in Unix seconds.
    time: u64,
    era: Era,
}

impl Now {
    fn at(first: u32, index: u32) -> Option<Self> {
        let seq = first.checked_add(index)?;
        Some(Self { seq, time: 1_700_000_000 + 5 * u64::from(index), era: Era::of(index) })
    }
}

/// An endless run of ledgers (up to the last sequence a u32 holds), each one LedgerCloseMeta XDR.
pub struct Synth {
    first: u32,
    index: u32,
    ledger_bytes: Option<usize>,
    world: World,
    chain: Chain,
}

impl Synth {
    /// Set the scene; the error is a sentence for whoever chose the recipe.
    pub fn new(recipe: Recipe) -> Result<Self, String> {
        recipe.check()?;
        let now = Now { seq: recipe.first - 1, time: 1_700_000_000 - 5, era: Era::V1 };
        let mut world = World::new(&recipe, now);
        let chain = Chain::new(&mut world.dice);
        Ok(Self { first: recipe.first, index: 0, ledger_bytes: recipe.ledger_bytes, world, chain })
    }

    /// Choose the size of the next ledger: mostly 20 to 200 KB, now and then tiny, every fiftieth fat.
    fn next_size(&mut self) -> usize {
        let dice = &mut self.world.dice;
        match self.ledger_bytes {
            Some(bytes) => bytes,
            None if self.index % 50 == 10 => 1_700_000,
            None if dice.chance(6) => dice.between(4_000, 9_000) as usize,
            None => dice.between(20_000, 200_000) as usize,
        }
    }

    fn fill(&mut self, size: usize, now: Now) -> Draft {
        let mut draft = Draft::default();
        let world = &mut self.world;
        let mut burst = self.ledger_bytes.is_none() && self.index % 100 == 20;
        // Evictions come last; leave them their share.
        let size = size - world.eviction_bytes(size).min(size / 64);
        let classic_share = size / 100 * world.dice.between(8, 22) as usize;
        if size < 2 * LAST && world.contracts.live > 0 && world.dice.chance(20) {
            world.failed_classic(&mut draft);
        }
        while world.accounts.has_senders() {
            let room = size.saturating_sub(draft.size());
            if draft.size() - BARE < classic_share && room > CLASSIC + LAST {
                world.classic(&mut draft, room > 3 * CLASSIC + LAST);
            } else if burst {
                world.soroban(&mut draft, &Ask::burst());
                burst = false;
            } else if room > 2 * LAST {
                let ask = Ask::some(&mut world.dice, room - LAST, now);
                world.soroban(&mut draft, &ask);
            } else {
                let ask = Ask::fill(&mut world.dice, room, now);
                world.soroban(&mut draft, &ask);
                break;
            }
        }
        let left = size.saturating_sub(draft.size()).clamp(size / 100, size / 32);
        world.evict(&mut draft, left);
        draft
    }
}

impl Iterator for Synth {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let now = Now::at(self.first, self.index)?;
        self.world.begin_ledger(now);
        let size = self.next_size();
        let draft = self.fill(size, now);
        let upgrade = (self.index + 1 == V1_LEDGERS).then_some(Era::V2.protocol());
        let ledger = self.chain.close(draft, now, upgrade, &mut self.world.dice);
        self.index = self.index.saturating_add(1);
        Some(ledger)
    }
}
