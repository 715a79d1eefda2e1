//! Puts transactions together into a LedgerCloseMeta.

use super::dice::Dice;
use super::now::{Era, Now};
use super::transaction::Written;
use super::writer::{Array, Hash, Writer, sha256};

/// As on pubnet since inflation ended.
const TOTAL_COINS: i64 = 1_054_439_020_873_472_865;
/// What a ledger without transactions takes, and a little for phases and components.
pub(super) const BARE: usize = 760;

/// Envelopes of one phase with the hash that orders them.
type Phase = Vec<(Hash, Writer)>;

/// The transactions of a ledger in the making.
#[derive(Default)]
pub(super) struct Draft {
    classic: Phase,
    soroban: Phase,
    results: Array,
    processing: Array,
    pub evicted: Array,
    fees: i64,
    envelopes: usize,
}

impl Draft {
    pub fn add(&mut self, written: Written, soroban: bool, charged: i64) {
        self.results.item().raw(&written.result.0);
        self.processing.item().raw(&written.processing.0);
        self.fees += charged;
        self.envelopes += written.envelope.len();
        let phase = if soroban { &mut self.soroban } else { &mut self.classic };
        phase.push((written.envelope.sha256(), written.envelope));
    }

    pub fn size(&self) -> usize {
        BARE + self.envelopes + self.processing.bytes() + self.evicted.bytes()
    }

    /// Write the GeneralizedTransactionSet: each component in the order of the envelopes' hashes.
    fn write_tx_set(&mut self, previous: &Hash, era: Era) -> Writer {
        let mut w = Writer(Vec::with_capacity(self.envelopes + 200));
        self.classic.sort_unstable_by_key(|(hash, _)| *hash);
        self.soroban.sort_unstable_by_key(|(hash, _)| *hash);
        w.u32(1);
        w.raw(previous);
        w.u32(2);
        write_components(&mut w, &self.classic);
        if era == Era::V2 {
            write_parallel(&mut w, &self.soroban);
        } else {
            write_components(&mut w, &self.soroban);
        }
        w
    }
}

fn write_components(w: &mut Writer, phase: &Phase) {
    w.u32(0);
    w.u32(u32::from(!phase.is_empty()));
    if !phase.is_empty() {
        w.u32(0);
        write_base_fee(w);
        w.u32(phase.len() as u32);
        phase.iter().for_each(|(_, envelope)| w.raw(&envelope.0));
    }
}

/// Write a ParallelTxsComponent: stages of up to four clusters, hashes ascending throughout.
fn write_parallel(w: &mut Writer, phase: &Phase) {
    w.u32(1);
    write_base_fee(w);
    let clusters: Vec<_> = phase.chunks(phase.len().div_ceil(8).max(1)).collect();
    let stages: Vec<_> = clusters.chunks(4).collect();
    w.u32(stages.len() as u32);
    for stage in stages {
        w.u32(stage.len() as u32);
        for cluster in stage {
            w.u32(cluster.len() as u32);
            cluster.iter().for_each(|(_, envelope)| w.raw(&envelope.0));
        }
    }
}

/// Write the discounted base fee: present, 100 stroops.
fn write_base_fee(w: &mut Writer) {
    w.u32(1);
    w.i64(100);
}

/// The chain of headers so far.
pub(super) struct Chain {
    previous: Hash,
    fee_pool: i64,
    skip_list: [Hash; 4],
}

impl Chain {
    pub fn new(dice: &mut Dice) -> Self {
        Self { previous: dice.bytes(), fee_pool: 76_997_016_085_571, skip_list: [dice.bytes(); 4] }
    }

    /// Close the ledger. `upgrade` is the protocol version that the network moves to with it.
    pub fn close(
        &mut self,
        mut draft: Draft,
        now: Now,
        upgrade: Option<u32>,
        dice: &mut Dice,
    ) -> Vec<u8> {
        let tx_set = draft.write_tx_set(&self.previous, now.era);
        self.fee_pool += draft.fees;
        let mut results = Writer::default();
        results.array(&draft.results);
        let header = self.write_header(&tx_set.sha256(), &results.sha256(), now, upgrade, dice);
        self.previous = header.sha256();
        let mut w = Writer(Vec::with_capacity(draft.size() + 1024));
        w.u32(if now.era == Era::V2 { 2 } else { 1 });
        // LedgerCloseMetaExtV1: what writing 1 KB of Soroban state costs.
        w.u32(1);
        w.u32(0);
        w.i64(11_800);
        w.raw(&self.previous);
        w.raw(&header.0);
        w.u32(0);
        w.raw(&tx_set.0);
        w.array(&draft.processing);
        write_upgrade(&mut w, upgrade);
        // No SCP history; bytes of live Soroban state.
        w.u32(0);
        w.u64(1_900_000_000 + u64::from(now.seq) * 100);
        w.array(&draft.evicted);
        if now.era != Era::V2 {
            w.u32(0);
        }
        w.0
    }

    fn write_header(
        &self,
        tx_set: &Hash,
        results: &Hash,
        now: Now,
        upgrade: Option<u32>,
        dice: &mut Dice,
    ) -> Writer {
        let mut w = Writer::default();
        w.u32(upgrade.unwrap_or(now.era.protocol()));
        w.raw(&self.previous);
        self.write_value(&mut w, tx_set, now, upgrade, dice);
        w.raw(results);
        w.raw(&dice.bytes::<32>());
        w.u32(now.seq);
        w.i64(TOTAL_COINS);
        w.i64(self.fee_pool);
        w.u32(0);
        w.u64(1_700_000_000);
        // Base fee, base reserve, most transactions of a set.
        [100, 5_000_000, 1000].iter().for_each(|setting| w.u32(*setting));
        self.skip_list.iter().for_each(|hash| w.raw(hash));
        w.u32(0);
        w
    }

    /// Write the StellarValue, signed by the validator that proposed it.
    fn write_value(
        &self,
        w: &mut Writer,
        tx_set: &Hash,
        now: Now,
        upgrade: Option<u32>,
        dice: &mut Dice,
    ) {
        w.raw(tx_set);
        w.u64(now.time);
        w.u32(u32::from(upgrade.is_some()));
        if let Some(version) = upgrade {
            let [a, b, c, d] = version.to_be_bytes();
            w.var(&[0, 0, 0, 1, a, b, c, d]);
        }
        w.u32(1);
        w.public_key(&sha256(&[b"validator"]));
        w.var(&dice.bytes::<64>());
    }
}

/// Write upgradesProcessing: a new protocol version changes no entry by itself.
fn write_upgrade(w: &mut Writer, upgrade: Option<u32>) {
    w.u32(u32::from(upgrade.is_some()));
    if let Some(version) = upgrade {
        w.u32(1);
        w.u32(version);
        w.u32(0);
    }
}
