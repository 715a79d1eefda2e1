//! What is known of contracts: their code's interfaces, what ran them when, and the shapes of what
//! they keep. It is learned from ledgers, or said by the caller.

use std::collections::{HashMap, HashSet};

use super::history::{Executable, History, Write};
use super::samples::Samples;
use crate::contract::model::{Model, Unusable};
use crate::error::Result;
use crate::ledger::change::{CONTRACT_CODE, CONTRACT_DATA, Change, ContractData, Entry, Kind};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction, Visitor};
use crate::tables::Rows;
use crate::values::asset::Asset;
use crate::values::{key_of, scval};
use crate::xdr::discriminants::ContractEventType;

/// A contract's id, or the hash of code.
pub type Hash = [u8; 32];

/// Whose rows are wanted.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// These contracts'.
    pub contracts: HashSet<Hash>,
    /// Those of all contracts that run this code.
    pub wasms: HashSet<Hash>,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    pub(super) targets: Targets,
    pub(super) models: HashMap<Hash, std::result::Result<Model, Unusable>>,
    pub(super) histories: HashMap<Hash, History>,
    pub(super) samples: HashMap<Hash, Samples>,
}

impl Targets {
    /// Read a contract's strkey or the hash of code in hex.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let key = key_of(text)?;
        let is_hash = text.len() == 2 * key.len();
        if is_hash {
            self.wasms.insert(key)
        } else {
            self.contracts.insert(key)
        };
        Ok(())
    }
}

impl Knowledge {
    /// Nothing yet; of these targets there is something to be learned.
    pub fn new(targets: Targets) -> Self {
        Self { targets, ..Self::default() }
    }

    /// Know code, and what interface it has.
    pub fn add_code(&mut self, hash: Hash, code: &[u8]) {
        self.models.entry(hash).or_insert_with(|| Model::of(code));
    }

    /// Hashes of the code that wanted contracts ran and that is not known.
    pub fn missing(&self) -> Vec<Hash> {
        let of_contracts = self.targets.contracts.iter().filter_map(|id| self.histories.get(id));
        let ran = of_contracts.flat_map(History::executables).filter_map(|(one, _)| match one {
            Executable::Wasm(hash) => Some(hash),
            Executable::StellarAsset => None,
        });
        let wanted = ran.chain(self.targets.wasms.iter().copied());
        let mut missing: Vec<_> = wanted.filter(|hash| !self.models.contains_key(hash)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// A contract runs this at all times.
    pub fn pin(&mut self, contract: Hash, executable: Executable) {
        self.histories.entry(contract).or_default().pin(executable);
    }

    /// A contract ran this from a ledger on, as was told elsewhere.
    pub fn note(&mut self, contract: Hash, ledger: u32, executable: Executable) {
        let write = Write { before: None, after: Some(executable) };
        self.histories.entry(contract).or_default().note((ledger, 0), write);
    }

    /// A contract keeps a value under a key, each an SCVal.
    pub fn sample(&mut self, contract: Hash, key: &[u8], val: Option<&[u8]>) {
        self.samples.entry(contract).or_default().add(key, val);
    }

    /// What ran a contract when.
    pub fn history(&self, contract: &Hash) -> Option<&History> {
        self.histories.get(contract)
    }

    /// Contracts seen to run code.
    pub fn runners(&self, hash: &Hash) -> Vec<Hash> {
        let runs = |history: &History| {
            history.executables().iter().any(|(one, _)| *one == Executable::Wasm(*hash))
        };
        let mut found: Vec<_> =
            self.histories.iter().filter(|(_, history)| runs(history)).map(|(id, _)| *id).collect();
        found.sort_unstable();
        found
    }
}

/// Learns from ledgers as the walk shows them.
pub struct Learner<'k> {
    network_id: [u8; 32],
    knowledge: &'k mut Knowledge,
}

impl<'k> Learner<'k> {
    /// Learn what a network's ledgers tell.
    pub fn new(knowledge: &'k mut Knowledge, network_id: [u8; 32]) -> Self {
        Self { network_id, knowledge }
    }

    fn wants(&self, contract: &Hash) -> bool {
        let known = &self.knowledge;
        known.targets.contracts.contains(contract)
            || !known.targets.wasms.is_empty()
                && known.histories.get(contract).is_some_and(|history| {
                    history.executables().iter().any(
                        |(one, _)| matches!(one, Executable::Wasm(hash) if known.targets.wasms.contains(hash)),
                    )
                })
    }

    fn instance(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        change: &Change<'_>,
        data: &ContractData<'_>,
    ) {
        let Some(contract) = scval::contract(data.contract) else { return };
        let targets = &self.knowledge.targets;
        if targets.wasms.is_empty() && !targets.contracts.contains(contract) {
            return;
        }
        let executable = data.val.and_then(executable);
        let before = match change.kind {
            Kind::Created => None,
            _ => upgraded_from(transaction, contract).or(executable),
        };
        let after = executable.filter(|_| change.kind != Kind::Removed);
        let moment = (ledger.sequence, transaction.index);
        let history = self.knowledge.histories.entry(*contract).or_default();
        history.note(moment, Write { before, after });
    }

    fn storage(&mut self, data: &ContractData<'_>) {
        let Some(contract) = scval::contract(data.contract).filter(|id| self.wants(id)) else {
            return;
        };
        let samples = self.knowledge.samples.entry(*contract).or_default();
        if !scval::is_instance_key(data.key) {
            samples.add(data.key, data.val);
            return;
        }
        for (key, val) in data.val.into_iter().flat_map(super::storage_rows::instance_items) {
            samples.add(key, Some(val));
        }
    }

    /// A contract whose event names, in its last topic, the asset that its id is derived from is that
    /// asset's: nothing else can be there.
    fn assets(&mut self, transaction: &Transaction<'_, '_>) {
        for event in transaction.events.iter() {
            let Some(contract) = event.contract else { continue };
            let known = self.knowledge.histories.get(contract);
            if !self.knowledge.targets.contracts.contains(contract)
                || known.is_some_and(|one| !one.is_empty())
            {
                continue;
            }
            let name =
                transaction.events.topics(event).last().and_then(|topic| scval::string(topic));
            let asset = name.and_then(|name| Asset::parse(std::str::from_utf8(name).ok()?));
            if asset.is_some_and(|asset| asset.contract_id(&self.network_id) == *contract) {
                self.knowledge.pin(*contract, Executable::StellarAsset);
            }
        }
    }
}

fn executable(instance: &[u8]) -> Option<Executable> {
    Some(match scval::executable(instance)? {
        scval::Executable::Wasm(hash) => Executable::Wasm(*hash),
        scval::Executable::StellarAsset => Executable::StellarAsset,
    })
}

/// What ran before the transaction replaced it: the system event `executable_update [old, new]`.
fn upgraded_from(transaction: &Transaction<'_, '_>, contract: &Hash) -> Option<Executable> {
    let of_contract = |event: &&crate::ledger::event::Event<'_>| {
        event.event_type == ContractEventType::SYSTEM && event.contract == Some(contract)
    };
    transaction.events.operations.iter().filter(of_contract).find_map(|event| {
        let [name, old, ..] = transaction.events.topics(event) else { return None };
        (scval::symbol(name)? == b"executable_update").then_some(())?;
        super::storage_rows::executable_of_topic(old)
    })
}

impl Visitor for Learner<'_> {
    fn needs(&self) -> Needs {
        Needs { entries: CONTRACT_DATA | CONTRACT_CODE, events: true, ..Needs::default() }
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        for change in transaction.changes {
            match &change.entry {
                Entry::ContractCode(code) => {
                    if let Some(bytes) = code.code {
                        self.knowledge.add_code(*code.hash, bytes);
                    }
                }
                Entry::ContractData(data) if scval::is_instance_key(data.key) => {
                    self.instance(ledger, transaction, change, data);
                    self.storage(data);
                }
                Entry::ContractData(data) if !scval::is_nonce_key(data.key) => self.storage(data),
                _ => {}
            }
        }
        self.assets(transaction);
    }

    fn ledger(&mut self, _: &Ledger<'_>, _: &Totals<'_, '_>) {}
}

impl Rows for Learner<'_> {}
