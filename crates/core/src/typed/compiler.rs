//! Compiles what is known of a target to its tables, their columns, and where what goes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow_schema::{FieldRef, Schema};

use super::asset;
use super::columns::{Columns, Placed, Wanted};
use super::event_rows::{self, EventRows};
use super::interface::{Interface, Key, Value, words_of};
use super::knowledge::{Hash, Knowledge};
use super::routes::{EventRoute, StorageRoute, Version};
use super::storage_rows::{self, StorageRows};
use super::typed_table::{Rows, Spec, Target, TypedTable};
use super::writer::{Expansion, plain};
use crate::fixed_text::hex;
use crate::values::{escape, scval};

/// The columns that every table has: held once, however many tables there are.
static EVENTS: LazyLock<Vec<FieldRef>> = LazyLock::new(|| shared(EventRows::fields()));
static STORAGE: LazyLock<Vec<FieldRef>> = LazyLock::new(|| shared(StorageRows::fields()));

fn shared(fields: Vec<arrow_schema::Field>) -> Vec<FieldRef> {
    fields.into_iter().map(Arc::new).collect()
}

/// A table in the making.
struct Draft {
    name: String,
    rows: Rows,
    columns: Columns,
    interfaces: BTreeSet<String>,
}

/// What targets are compiled to.
#[derive(Default)]
pub struct Compiled {
    /// All tables.
    pub tables: Vec<TypedTable>,
    /// All versions of interfaces.
    pub versions: Vec<Version>,
    /// What is not known: of whom, and why.
    pub lacking: Vec<(String, String)>,
    interfaces: HashMap<Spec, Arc<Interface>>,
}

/// Compiles one target.
pub struct Compiler<'c> {
    knowledge: &'c Knowledge,
    plan: &'c mut Compiled,
    name: String,
    first: usize,
    drafts: Vec<Draft>,
    places: HashMap<String, usize>,
}

impl<'c> Compiler<'c> {
    /// Compile a target of this name.
    pub fn new(knowledge: &'c Knowledge, plan: &'c mut Compiled, name: String) -> Self {
        let first = plan.tables.len();
        Self { knowledge, plan, name, first, drafts: Vec::new(), places: HashMap::new() }
    }

    /// The target's tables, which are added to the plan's.
    pub fn target(mut self, specs: Vec<Spec>, contracts: &[Hash]) -> Target {
        self.seeded();
        let known: Vec<_> =
            specs.into_iter().filter_map(|one| Some((one, self.interface(one)?))).collect();
        let mut versions = HashMap::new();
        for (spec, interface) in known {
            let version = self.version(spec, interface, contracts);
            versions.insert(spec, self.plan.versions.len());
            self.plan.versions.push(version);
        }
        let other_events = self.other(Rows::Events);
        let other = self.other(Rows::Storage);
        let other_storage = StorageRoute { table: other, ..StorageRoute::default() };
        let ran = versions.keys().map(|spec| match spec {
            Spec::Wasm(hash) => String::from_utf8_lossy(&hex(hash)).into_owned(),
            Spec::Asset(_) => "stellar-asset".to_owned(),
        });
        let interfaces: BTreeSet<String> = ran.collect();
        let finished = self.drafts.into_iter().map(|draft| draft.finish(&interfaces));
        self.plan.tables.extend(finished);
        Target { versions, other_events, other_storage }
    }

    /// The interface, made once for all targets that have it.
    fn interface(&mut self, spec: Spec) -> Option<Arc<Interface>> {
        if let Some(known) = self.plan.interfaces.get(&spec) {
            return Some(known.clone());
        }
        let made = Arc::new(self.made(spec)?);
        self.plan.interfaces.insert(spec, made.clone());
        Some(made)
    }

    fn made(&mut self, spec: Spec) -> Option<Interface> {
        let hash = match spec {
            Spec::Asset(unified) => return Some(Interface::of(&asset::model(unified))),
            Spec::Wasm(hash) => hash,
        };
        let text = hex(&hash);
        let text = String::from_utf8_lossy(&text);
        let reason = match self.knowledge.models.get(&hash) {
            Some(Ok(model)) => return Some(Interface::of(model)),
            Some(Err(why)) => format!("the interface in its code {text} is {why}"),
            None => format!("its code {text} is not in these ledgers"),
        };
        self.plan.lacking.push((self.name.clone(), reason));
        None
    }

    /// Begin with the tables that are there already.
    fn seeded(&mut self) {
        let whole = format!("typed:{}/", self.name);
        let frozen = self.knowledge.frozen;
        let below = self.knowledge.seeds.range(whole.clone()..);
        for (name, seed) in below.take_while(|(name, _)| name.starts_with(&whole)) {
            let is_storage =
                name.strip_prefix(&whole).is_some_and(|one| one.starts_with("storage/"));
            let rows = if is_storage { Rows::Storage } else { Rows::Events };
            let place = self.draft(rows, name.clone());
            if let Some(draft) = self.drafts.get_mut(place - self.first) {
                draft.columns.seed(&seed.own, frozen);
                let told = seed.interfaces.split(',').filter(|one| !one.is_empty());
                draft.interfaces.extend(told.map(str::to_owned));
            }
        }
    }

    /// The place of the table for what is not declared.
    fn other(&mut self, rows: Rows) -> usize {
        self.draft(rows, self.named(rows, "_other"))
    }

    fn named(&self, rows: Rows, name: &str) -> String {
        let folder = match rows {
            Rows::Events => "events",
            Rows::Storage => "storage",
        };
        format!("typed:{}/{folder}/{name}", self.name)
    }

    /// The place of a table among all; where there are to be no others, of the one for all others.
    fn table(&mut self, rows: Rows, name: &str) -> usize {
        let name = self.named(rows, name);
        if self.knowledge.frozen && !self.places.contains_key(&name) {
            return self.other(rows);
        }
        self.draft(rows, name)
    }

    fn draft(&mut self, rows: Rows, name: String) -> usize {
        let fields = match rows {
            Rows::Events => &*EVENTS,
            Rows::Storage => &*STORAGE,
        };
        if let Some(place) = self.places.get(&name) {
            return self.first + *place;
        }
        let place = self.drafts.len();
        let columns = Columns::new(fields.iter().map(|one| one.name().as_str()));
        self.places.insert(name.clone(), place);
        self.drafts.push(Draft { name, rows, columns, interfaces: BTreeSet::new() });
        self.first + place
    }

    fn place(&mut self, table: usize, wanted: Vec<Wanted>, suffix: &str) -> Vec<Placed> {
        match self.drafts.get_mut(table - self.first) {
            Some(draft) => draft.columns.place(wanted, suffix),
            None => Vec::new(),
        }
    }

    fn version(&mut self, spec: Spec, interface: Arc<Interface>, contracts: &[Hash]) -> Version {
        let (wasm, suffix) = match spec {
            Spec::Wasm(hash) => {
                (Some(hash), String::from_utf8_lossy(&hex(&hash)).chars().take(8).collect())
            }
            Spec::Asset(_) => (None, "asset".to_owned()),
        };
        let events = self.events(&interface, &suffix);
        let other = self.other(Rows::Storage);
        let other = StorageRoute { table: other, ..StorageRoute::default() };
        let (cases, symbols) = (HashMap::new(), HashMap::new());
        let mut version = Version { interface, wasm, events, cases, symbols, other };
        self.declared_cases(&mut version, &suffix);
        for contract in contracts {
            let samples = self.knowledge.samples.get(contract);
            for sample in samples.map(|samples| samples.sorted()).unwrap_or_default() {
                self.sample(&mut version, &sample.key, sample.val.as_deref(), &suffix);
            }
        }
        version
    }

    fn events(&mut self, interface: &Interface, suffix: &str) -> Vec<EventRoute> {
        let mut routes = Vec::with_capacity(interface.events.len());
        for event in &interface.events {
            let table = self.table(Rows::Events, &event.name);
            let wanted = event.params.iter().map(|param| Wanted {
                writers: Expansion::new(&interface.nodes).of(&param.name, param.id),
                words: param.words.clone(),
            });
            let params = self.place(table, wanted.collect(), suffix);
            routes.push(EventRoute { table, params });
        }
        routes
    }

    fn declared_cases(&mut self, version: &mut Version, suffix: &str) {
        let interface = version.interface.clone();
        for (union, spec) in interface.unions.iter().enumerate().filter(|(_, one)| one.for_keys) {
            for case in 0..spec.cases.len() {
                self.case(version, union, case, suffix);
            }
        }
    }

    fn case(&mut self, version: &mut Version, union: usize, case: usize, suffix: &str) {
        let interface = version.interface.clone();
        let declared = interface.unions.get(union).and_then(|spec| spec.cases.get(case));
        let Some(declared) = declared.filter(|_| !version.cases.contains_key(&(union, case)))
        else {
            return;
        };
        let name = escape::text(&declared.name).into_owned();
        let table = self.table(Rows::Storage, &name);
        let wanted = declared.values.iter().enumerate().map(|(place, id)| Wanted {
            writers: Expansion::new(&interface.nodes).of(&format!("key_{place}"), *id),
            words: interface.names.get(id).cloned().unwrap_or_else(|| "value".into()),
        });
        let arguments = self.place(table, wanted.collect(), suffix);
        let route = StorageRoute { table, name: Some(name), arguments, ..StorageRoute::default() };
        version.cases.insert((union, case), route);
    }

    /// Make the columns that an example of key and value takes.
    fn sample(&mut self, version: &mut Version, key: &[u8], val: Option<&[u8]>, suffix: &str) {
        let interface = version.interface.clone();
        let (status, kind) = interface.key(key);
        let symbol = scval::symbol(key);
        match (kind, symbol) {
            (Key::Case { union, case }, _) if status.is_filled() => {
                self.case(version, union, case, suffix);
            }
            (Key::Symbol, Some(symbol)) if !version.symbols.contains_key(symbol) => {
                let name = escape::text(symbol).into_owned();
                let table = self.table(Rows::Storage, &name);
                let route = StorageRoute { table, name: Some(name), ..StorageRoute::default() };
                version.symbols.insert(symbol.to_vec(), route);
            }
            _ => {}
        }
        let route = match (kind, symbol) {
            (Key::Case { union, case }, _) => version.cases.get_mut(&(union, case)),
            (Key::Symbol, Some(symbol)) => version.symbols.get_mut(symbol),
            _ => None,
        };
        let route = route.unwrap_or(&mut version.other);
        if route.name.is_none() {
            self.value("key", &interface, key, (route.table, suffix), &mut route.keys);
        }
        if let Some(val) = val {
            self.value("value", &interface, val, (route.table, suffix), &mut route.values);
        }
    }

    fn value(
        &mut self,
        base: &str,
        interface: &Interface,
        value: &[u8],
        (table, suffix): (usize, &str),
        placed: &mut HashMap<Value, Placed>,
    ) {
        let kind = interface.value(value);
        if placed.contains_key(&kind) {
            return;
        }
        let Some(words) = words_of(interface, kind) else { return };
        let name = format!("{base}_{words}");
        let writers = match kind {
            Value::Plain(arm) => plain(&name, arm),
            Value::Named(id) => Expansion::new(&interface.nodes).of(&name, id),
            Value::Other => return,
        };
        let wanted = vec![Wanted { writers, words: words.to_owned() }];
        let held = wanted.iter().any(|one| !one.writers.is_empty());
        let columns = self.place(table, wanted, suffix).pop();
        // Where there is no column for it, it is told as JSON.
        if let Some(columns) = columns.filter(|columns| !(held && columns.is_empty())) {
            placed.insert(kind, columns);
        }
    }
}

impl Draft {
    fn finish(self, ran: &BTreeSet<String>) -> TypedTable {
        let (fixed, raw, key) = match self.rows {
            Rows::Events => (&*EVENTS, event_rows::RAW, event_rows::KEY),
            Rows::Storage => (&*STORAGE, storage_rows::RAW, storage_rows::KEY),
        };
        let (before, behind) = fixed.split_at(fixed.len().saturating_sub(raw));
        let own = shared(self.columns.fields);
        let fields: Vec<_> = before.iter().chain(&own).chain(behind).cloned().collect();
        let interfaces: Vec<_> = self.interfaces.union(ran).cloned().collect();
        let metadata = HashMap::from([
            ("schema_version".to_owned(), "1.0".to_owned()),
            ("schema_type".to_owned(), self.name.clone()),
            ("interfaces".to_owned(), interfaces.join(",")),
        ]);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        TypedTable { name: self.name, schema, rows: self.rows, own, key }
    }
}
