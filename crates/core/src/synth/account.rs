//! Classic accounts and trustlines: balances and sequence numbers over time.

use super::asset::Asset;
use super::dice::Dice;
use super::entry::{put_created, put_state, put_updated};
use super::now::Now;
use super::writer::{Array, Hash, Writer};

/// One million XLM in stroops.
const STARTING_BALANCE: i64 = 10_000_000_000_000;
/// Enough for the fullest ledger, where every transaction has its own source.
const SENDERS: usize = 12_288;
const RECEIVERS: usize = 512;
const LINES_PER_ASSET: usize = 6;

pub(super) struct Account {
    pub key: Hash,
    pub balance: i64,
    pub seq: i64,
    subentries: u32,
    seq_now: Now,
    modified: u32,
}

impl Account {
    pub fn new(key: Hash, balance: i64, now: Now) -> Self {
        let seq = i64::from(now.seq) << 32;
        Self { key, balance, seq, subentries: 0, seq_now: now, modified: now.seq }
    }

    /// Write the LedgerEntryData of an AccountEntry with extensions v1, v2 and v3, as accounts used since protocol 19 have.
    fn write(&self, w: &mut Writer) {
        w.u32(0);
        w.public_key(&self.key);
        w.i64(self.balance);
        w.i64(self.seq);
        w.u32(self.subentries);
        // No inflation destination, no flags, no home domain; thresholds 1,0,0,0; no signers.
        [0, 0, 0, 0x0100_0000, 0].iter().for_each(|field| w.u32(*field));
        w.u32(1);
        w.raw(&[0; 16]);
        // v2: nothing sponsored; v3 follows.
        [2, 0, 0, 0, 3, 0].iter().for_each(|field| w.u32(*field));
        w.u32(self.seq_now.seq);
        w.u64(self.seq_now.time);
    }

    /// Write the account's LedgerKey.
    pub fn write_key(&self, w: &mut Writer) {
        w.u32(0);
        w.public_key(&self.key);
    }

    pub fn create(&self, out: &mut Array) {
        put_created(out, self.modified, |w| self.write(w));
    }

    pub fn change(&mut self, now: Now, out: &mut Array, change: impl FnOnce(&mut Self)) {
        put_state(out, self.modified, |w| self.write(w));
        change(self);
        self.modified = now.seq;
        put_updated(out, self.modified, |w| self.write(w));
    }

    pub fn use_sequence(&mut self, now: Now, out: &mut Array) {
        self.change(now, out, |account| {
            account.seq += 1;
            account.seq_now = now;
        });
    }

    pub fn add_trustline(&mut self, now: Now, out: &mut Array) {
        self.change(now, out, |account| account.subentries += 1);
    }
}

pub(super) struct TrustLine {
    pub holder: usize,
    pub key: Hash,
    pub balance: i64,
    modified: u32,
}

impl TrustLine {
    fn write(&self, asset: &Asset, w: &mut Writer) {
        w.u32(1);
        w.public_key(&self.key);
        asset.write(w);
        w.i64(self.balance);
        w.i64(i64::MAX);
        // AUTHORIZED_FLAG, no extension.
        w.u32(1);
        w.u32(0);
    }

    pub fn add(&mut self, asset: &Asset, amount: i64, seq: u32, out: &mut Array) {
        put_state(out, self.modified, |w| self.write(asset, w));
        self.balance += amount;
        self.modified = seq;
        put_updated(out, self.modified, |w| self.write(asset, w));
    }
}

/// A credit asset as classic payments see it.
pub(super) struct Market {
    pub asset: Asset,
    /// Place of its SAC among the contracts: classic payments emit that one's events too (CAP-67).
    pub contract: usize,
    pub lines: Vec<TrustLine>,
}

impl Market {
    pub fn has_room(&self) -> bool {
        self.lines.len() < LINES_PER_ASSET
    }

    pub fn open_line(&mut self, holder: usize, key: Hash, seq: u32, out: &mut Array) {
        let line = TrustLine { holder, key, balance: 0, modified: seq };
        put_created(out, seq, |w| line.write(&self.asset, w));
        self.lines.push(line);
    }
}

/// Senders are transaction sources, each at most once a ledger; receivers never pay a fee. So the order in which
/// a ledger charges fees, applies and refunds makes no difference to the states that a reader sees.
pub(super) struct Accounts {
    pub senders: Vec<Account>,
    pub receivers: Vec<Account>,
    next: usize,
    used: usize,
}

impl Accounts {
    pub fn new(dice: &mut Dice, now: Now) -> Self {
        let mut make = |count| {
            (0..count)
                .map(|_| Account::new(dice.bytes(), STARTING_BALANCE, now))
                .collect::<Vec<_>>()
        };
        Self { senders: make(SENDERS), receivers: make(RECEIVERS), next: 0, used: 0 }
    }

    /// Pick the key of an account that is not a transaction's source.
    pub fn some_receiver(&self, dice: &mut Dice) -> Hash {
        self.receivers[dice.skewed(RECEIVERS)].key
    }

    pub fn begin_ledger(&mut self) {
        self.used = 0;
    }

    /// Tell whether a fee bump (two senders) still fits into this ledger.
    pub fn has_senders(&self) -> bool {
        self.used + 2 <= SENDERS
    }

    pub fn next_sender(&mut self) -> usize {
        self.used += 1;
        self.next = (self.next + 1) % SENDERS;
        self.next
    }
}
