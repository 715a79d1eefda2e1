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
mod code;
mod contract;
mod dice;
mod entry;
mod event;
mod ledger;
mod now;
mod recipe;
mod scval;
mod soroban;
mod storage;
mod token;
mod transaction;
mod upkeep;
mod world;
mod writer;

use ledger::{BARE, Chain, Draft};
use now::{Era, Now, V1_LEDGERS};
pub use recipe::Recipe;
use soroban::Ask;
use world::World;

/// The transaction that fills what is left of a ledger needs as much.
const LAST: usize = 3_300;
/// A transaction of one classic operation takes no more.
const CLASSIC: usize = 2_200;

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
