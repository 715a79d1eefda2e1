//! Everything that lives on from one ledger to the next, and how a transaction begins and ends.

use super::account::{Accounts, Market};
use super::contract::Contracts;
use super::dice::Dice;
use super::event::Memo;
use super::ledger::Draft;
use super::now::Now;
use super::recipe::Recipe;
use super::transaction::{FeeBump, Soroban, Transaction};
use super::writer::{Array, Hash, Writer, sha256};

/// What an evicted entry takes: its key and its TTL's.
const EVICTED: usize = 140;

pub(super) struct World {
    pub dice: Dice,
    pub network: Hash,
    pub now: Now,
    pub accounts: Accounts,
    pub contracts: Contracts,
    pub markets: Vec<Market>,
}

/// A transaction under way and the senders whose accounts it uses.
pub(super) struct Begun {
    pub sender: usize,
    payer: usize,
    pub tx: Transaction,
}

impl World {
    pub fn new(recipe: &Recipe, now: Now) -> Self {
        let mut dice = Dice::new(recipe.seed);
        let network = sha256(&[recipe.passphrase.as_bytes()]);
        let accounts = Accounts::new(&mut dice, now);
        let contracts = Contracts::new(recipe.contracts as usize, &network, &mut dice, now);
        let markets = contracts.markets();
        Self { dice, network, now, accounts, contracts, markets }
    }

    pub fn begin_ledger(&mut self, now: Now) {
        self.now = now;
        self.accounts.begin_ledger();
    }

    /// Id of the SAC of the native asset.
    pub fn native(&self) -> Hash {
        self.contracts.all[0].token.id
    }

    /// Estimate what this ledger's evictions will take.
    pub fn eviction_bytes(&self, most: usize) -> usize {
        let due = self.contracts.nonces.iter().take(most / EVICTED);
        due.take_while(|nonce| nonce.expired(self.now.seq)).count() * EVICTED
    }

    pub fn evict(&mut self, draft: &mut Draft, bytes: usize) {
        self.contracts.evict(self.now, bytes, &mut draft.evicted);
    }

    /// Begin a transaction: charge `fee` and use up the source's sequence number.
    pub fn begin(
        &mut self,
        fee: i64,
        successful: bool,
        bumped: bool,
        soroban: Option<Soroban>,
    ) -> Begun {
        let sender = self.accounts.next_sender();
        let payer = if bumped { self.accounts.next_sender() } else { sender };
        let charged = fee + if bumped { 100 } else { 0 };
        let (mut fee_changes, mut before) = (Array::default(), Array::default());
        let paying = &mut self.accounts.senders[payer];
        paying.change(self.now, &mut fee_changes, |account| account.balance -= charged);
        let bump = bumped.then(|| FeeBump { payer: paying.key, fee: charged * 2 });
        let source = &mut self.accounts.senders[sender];
        source.use_sequence(self.now, &mut before);
        let classic = soroban.is_none();
        let refund = soroban.as_ref().map_or(0, |soroban| soroban.refund);
        let tx = Transaction {
            source: source.key,
            muxed_id: (classic && self.dice.chance(10)).then(|| self.dice.below(1 << 50)),
            seq: source.seq,
            max_fee: (fee as u32).saturating_mul(2),
            bump,
            memo: if classic { Memo::random(&mut self.dice) } else { Memo::None },
            conditions: conditions(&mut self.dice, self.now),
            operations: Vec::new(),
            soroban,
            successful,
            charged: charged - refund,
            signatures: (0..5).map(|_| self.dice.bytes()).collect(),
            fee_changes,
            before,
            refund_changes: Array::default(),
        };
        Begun { sender, payer, tx }
    }

    /// Pay the refund back and hand the transaction to the ledger.
    pub fn finish(&mut self, begun: Begun, draft: &mut Draft) {
        let Begun { payer, mut tx, .. } = begun;
        let refund = tx.soroban.as_ref().map_or(0, |soroban| soroban.refund);
        if refund > 0 {
            let payer = &mut self.accounts.senders[payer];
            payer.change(self.now, &mut tx.refund_changes, |account| account.balance += refund);
        }
        let written = tx.write(self.now, &self.network, &self.native());
        draft.add(written, tx.soroban.is_some(), tx.charged);
    }
}

/// Write Preconditions: none, time bounds, or all of version 2.
fn conditions(dice: &mut Dice, now: Now) -> Writer {
    let mut w = Writer::default();
    let kind = dice.pick(&[0, 1, 1, 1, 2]);
    w.u32(kind);
    if kind == 2 {
        w.u32(1);
    }
    if kind > 0 {
        w.u64(0);
        w.u64(now.time + 300);
    }
    if kind == 2 {
        // Ledger bounds; no least sequence number, age or gap; no extra signers.
        [1, 0, now.seq.saturating_add(1000), 0].iter().for_each(|field| w.u32(*field));
        w.u64(0);
        w.u64(0);
    }
    w
}
