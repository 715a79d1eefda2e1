//! What is known of contracts: their code's interfaces, what ran them when, and the shapes of what
//! they keep. It is learned from ledgers, or said by the caller.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow_schema::Field;

use super::history::{Executable, History, Moment, Write};
use super::samples::Samples;
use crate::contract::model::{Model, Unusable};
use crate::error::Result;
use crate::ledger::change::{CONTRACT_CODE, CONTRACT_DATA, Change, ContractData, Entry, Kind};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Totals, Transaction, Visitor};
use crate::tables;
use crate::values::asset::Asset;
use crate::values::{key_of, scval};
use crate::xdr;
use crate::xdr::discriminants::{ContractEventType, SCValType};

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
    /// What code contracts name under tags (CAP-85).
    pub(super) tags: HashMap<Hash, History>,
    /// Tables that are there already, by name, with the columns of the contract's own.
    pub(super) seeds: BTreeMap<String, Seed>,
    /// Whether tables and columns are those of the seeds, and no others.
    pub(super) frozen: bool,
    changes: u64,
}

/// A table that is there already.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The columns of the contract's own.
    pub own: Vec<Field>,
    /// The interfaces they are of.
    pub interfaces: String,
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
        let changes = &mut self.changes;
        self.models.entry(hash).or_insert_with(|| {
            *changes += 1;
            Model::of(code)
        });
    }

    /// How often something was learned that changes how rows are read; shapes of storage do not count.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// A table is there already: its columns stay, and others come behind them.
    pub fn seed(&mut self, name: &str, own: Vec<Field>, interfaces: &str) {
        self.seeds.insert(name.to_owned(), Seed { own, interfaces: interfaces.to_owned() });
    }

    /// Make no other tables and columns than those that are there already.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// What ran a contract, the code that others name for it found.
    pub fn resolved(&self, history: &History) -> History {
        if history.is_external() { history.resolved(&self.tags) } else { history.clone() }
    }

    /// Hashes of the code that wanted contracts ran and that is not known.
    pub fn missing(&self) -> Vec<Hash> {
        let of_contracts = self.targets.contracts.iter().filter_map(|id| self.history(id));
        let ran = of_contracts.flat_map(|history| history.executables()).filter_map(|(one, _)| {
            let Executable::Wasm(hash) = one else { return None };
            Some(hash)
        });
        let wanted = ran.chain(self.targets.wasms.iter().copied());
        let mut missing: Vec<_> = wanted.filter(|hash| !self.models.contains_key(hash)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// A contract runs this at all times.
    pub fn pin(&mut self, contract: Hash, executable: Executable) {
        self.changes += 1;
        self.histories.entry(contract).or_default().pin(executable);
    }

    /// A contract ran this from a ledger on, as was told elsewhere.
    pub fn note(&mut self, contract: Hash, ledger: u32, executable: Executable) {
        let write = Write { before: None, after: Some(executable) };
        self.noted(contract, (ledger, 0), write);
    }

    fn noted(&mut self, contract: Hash, moment: Moment, write: Write) {
        let is_new = self.histories.entry(contract).or_default().note(moment, write);
        self.changes += u64::from(is_new);
    }

    /// A contract keeps a value under a key, each an SCVal.
    pub fn sample(&mut self, contract: Hash, key: &[u8], val: Option<&[u8]>) {
        self.samples.entry(contract).or_default().add(key, val);
    }

    /// What ran a contract when.
    pub fn history(&self, contract: &Hash) -> Option<History> {
        self.histories.get(contract).map(|history| self.resolved(history))
    }

    fn runs(&self, history: &History, runs: impl Fn(&Hash) -> bool) -> bool {
        let found = |history: &History| {
            let mut executables = history.executables().into_iter();
            executables.any(|(one, _)| matches!(one, Executable::Wasm(hash) if runs(&hash)))
        };
        if history.is_external() { found(&history.resolved(&self.tags)) } else { found(history) }
    }

    /// Contracts seen to run code.
    pub fn runners(&self, hash: &Hash) -> Vec<Hash> {
        let runs = |history: &History| self.runs(history, |one| one == hash);
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
        let runs = |history| known.runs(history, |hash| known.targets.wasms.contains(hash));
        known.targets.contracts.contains(contract)
            || !known.targets.wasms.is_empty() && known.histories.get(contract).is_some_and(runs)
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
        self.knowledge.noted(*contract, moment, Write { before, after });
    }

    /// A contract names code under a tag, for others that run it (CAP-85).
    fn tag(
        &mut self,
        ledger: &Ledger<'_>,
        transaction: &Transaction<'_, '_>,
        change: &Change<'_>,
        data: &ContractData<'_>,
    ) {
        let owner = scval::contract(data.contract).zip(scval::executable_tag(data.key));
        let Some((owner, tag)) = owner else { return };
        let Executable::External(tag) = Executable::external(owner, tag) else { return };
        let hash = || xdr::opaque(xdr::arm(data.val?, SCValType::BYTES)?)?.0.try_into().ok();
        let after = hash().map(Executable::Wasm).filter(|_| change.kind != Kind::Removed);
        let history = self.knowledge.tags.entry(tag).or_default();
        let moment = (ledger.sequence, transaction.index);
        let before = match change.kind {
            Kind::Created => None,
            // What was named before the first write that is seen is not told.
            _ => history.at(moment).after,
        };
        self.knowledge.changes += u64::from(history.note(moment, Write { before, after }));
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
    if let Some((owner, tag)) = scval::external_ref(instance) {
        return Some(Executable::external(owner, tag));
    }
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
                Entry::ContractData(data) if !scval::is_nonce_key(data.key) => {
                    self.tag(ledger, transaction, change, data);
                    self.storage(data);
                }
                _ => {}
            }
        }
        self.assets(transaction);
    }

    fn ledger(&mut self, _: &Ledger<'_>, _: &Totals<'_, '_>) {}
}

impl tables::Rows for Learner<'_> {}
