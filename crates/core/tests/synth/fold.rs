use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use stellar_xdr::{
    Hash, LedgerEntry, LedgerEntryChange, LedgerEntryData, LedgerKey, LedgerKeyAccount,
    LedgerKeyContractCode, LedgerKeyContractData, LedgerKeyTrustLine, LedgerKeyTtl,
};

use super::ledger::{Ledger, decode, xdr};
use super::run;

fn key(entry: &LedgerEntry) -> LedgerKey {
    match &entry.data {
        LedgerEntryData::Account(account) => {
            LedgerKey::Account(LedgerKeyAccount { account_id: account.account_id.clone() })
        }
        LedgerEntryData::Trustline(line) => LedgerKey::Trustline(LedgerKeyTrustLine {
            account_id: line.account_id.clone(),
            asset: line.asset.clone(),
        }),
        LedgerEntryData::ContractData(data) => LedgerKey::ContractData(LedgerKeyContractData {
            contract: data.contract.clone(),
            key: data.key.clone(),
            durability: data.durability,
        }),
        LedgerEntryData::ContractCode(code) => {
            LedgerKey::ContractCode(LedgerKeyContractCode { hash: code.hash.clone() })
        }
        LedgerEntryData::Ttl(ttl) => {
            LedgerKey::Ttl(LedgerKeyTtl { key_hash: ttl.key_hash.clone() })
        }
        other => panic!("a run holds no {}", other.name()),
    }
}

/// Key of the TTL entry of contract data or code.
fn ttl_of(key: &LedgerKey) -> LedgerKey {
    LedgerKey::Ttl(LedgerKeyTtl { key_hash: Hash(Sha256::digest(xdr(key)).into()) })
}

/// The state as a reader of changes knows it.
#[derive(Default)]
struct State {
    live: HashMap<LedgerKey, LedgerEntry>,
    archived: HashMap<LedgerKey, LedgerEntry>,
    kinds: HashSet<&'static str>,
}

impl State {
    fn apply_ledger(&mut self, ledger: &Ledger) {
        let seq = ledger.sequence();
        ledger.transactions.iter().for_each(|tx| self.apply(seq, &tx.fees));
        for tx in &ledger.transactions {
            tx.changes().into_iter().for_each(|changes| self.apply(seq, changes));
        }
        ledger.transactions.iter().for_each(|tx| self.apply(seq, &tx.after_all));
        self.evict(seq, &ledger.evicted);
    }

    fn apply(&mut self, seq: u32, changes: &[LedgerEntryChange]) {
        let mut before: Option<LedgerKey> = None;
        for change in changes {
            self.kinds.insert(change.name());
            before = match change {
                LedgerEntryChange::State(entry) => self.state(entry),
                LedgerEntryChange::Restored(entry) => self.restored(seq, entry),
                LedgerEntryChange::Created(entry) => {
                    assert_eq!(entry.last_modified_ledger_seq, seq);
                    assert!(self.live.insert(key(entry), entry.clone()).is_none(), "created twice");
                    None
                }
                LedgerEntryChange::Updated(entry) => {
                    assert_eq!(entry.last_modified_ledger_seq, seq);
                    assert_eq!(before, Some(key(entry)));
                    self.live.insert(key(entry), entry.clone());
                    None
                }
                LedgerEntryChange::Removed(key) => {
                    assert_eq!(before.as_ref(), Some(key));
                    self.live.remove(key).expect("removed what is not there");
                    None
                }
            };
        }
        assert_eq!(before.filter(|key| !self.live.contains_key(key)), None);
    }

    /// A state is the one last written; accounts alone are older than the run.
    fn state(&mut self, entry: &LedgerEntry) -> Option<LedgerKey> {
        let key = key(entry);
        match self.live.get(&key) {
            Some(last) => assert_eq!(last, entry),
            None => {
                assert!(matches!(key, LedgerKey::Account(_)), "state of an unknown {}", key.name());
                self.live.insert(key.clone(), entry.clone());
            }
        }
        Some(key)
    }

    fn restored(&mut self, seq: u32, entry: &LedgerEntry) -> Option<LedgerKey> {
        let key = key(entry);
        let evicted = self.archived.remove(&key);
        let last = evicted.or_else(|| self.live.remove(&key)).expect("restored what never was");
        if let LedgerEntryData::Ttl(ttl) = &last.data {
            assert!(ttl.live_until_ledger_seq < seq, "restored while alive");
        } else {
            assert_eq!(last.data, entry.data);
        }
        self.live.insert(key.clone(), entry.clone());
        Some(key)
    }

    fn evict(&mut self, seq: u32, keys: &[LedgerKey]) {
        for key in keys {
            let entry = self.live.remove(key).expect("evicted what is not there");
            if let LedgerEntryData::Ttl(ttl) = &entry.data {
                assert!(ttl.live_until_ledger_seq < seq, "evicted while alive");
            }
            self.archived.insert(key.clone(), entry);
        }
    }

    fn assert_every_contract_entry_has_a_ttl(&self) {
        let contract = |key: &&LedgerKey| {
            matches!(key, LedgerKey::ContractData(_) | LedgerKey::ContractCode(_))
        };
        let needed: HashSet<_> = self.live.keys().filter(contract).map(ttl_of).collect();
        let there: HashSet<_> =
            self.live.keys().filter(|key| matches!(key, LedgerKey::Ttl(_))).cloned().collect();
        assert!(needed == there);
    }
}

#[test]
fn every_state_is_the_one_last_written() {
    for (seed, bytes, ledgers) in [(1, None, 130), (2, Some(30_000), 400), (3, Some(4_000), 600)] {
        let mut state = State::default();
        for bytes in run(seed, bytes, ledgers) {
            state.apply_ledger(&decode(&bytes));
        }
        state.assert_every_contract_entry_has_a_ttl();
        assert_eq!(
            state.kinds,
            HashSet::from(["Created", "Updated", "Removed", "State", "Restored"])
        );
    }
}
