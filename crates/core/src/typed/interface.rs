//! A contract's interface made ready: which declaration an event, a key or a value is of.

use std::collections::HashMap;

use super::event_spec::EventSpec;
use super::fit::{Entries, Fit, elements};
use super::nodes::{Case, Id, Node, Nodes};
use super::status::Status;
use super::type_words::{plain, plain_words};
use crate::contract::model::Model;
use crate::values::escape;
use crate::xdr::discriminants::SCValType as Val;
use crate::xdr::{self, Input};

/// A declared union.
pub struct UnionSpec {
    /// Its name, as text.
    pub name: String,
    /// Its cases.
    pub cases: Vec<Case>,
    /// Whether its name says that it is made for keys.
    pub for_keys: bool,
}

/// What a storage key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A case of a union.
    Case { union: usize, case: usize },
    /// A bare symbol.
    Symbol,
    /// Something else.
    Other,
}

/// What a value of storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Value {
    /// A value that tells its type, by SCSpecType.
    Plain(u32),
    /// Of a declared type.
    Named(Id),
    /// Something else.
    Other,
}

/// The interface.
pub struct Interface {
    /// All its types.
    pub nodes: Nodes,
    /// Its events.
    pub events: Vec<EventSpec>,
    /// Its unions.
    pub unions: Vec<UnionSpec>,
    /// Names of its structs and unions.
    pub names: HashMap<Id, String>,
    /// Cases of unions by name.
    cases: HashMap<Vec<u8>, Vec<(usize, usize)>>,
    /// Structs by the least of their fields' names, with which their maps begin.
    structs: HashMap<Vec<u8>, Vec<Id>>,
    every_struct: Vec<Id>,
}

impl Interface {
    /// Make an interface ready.
    pub fn of(model: &Model) -> Self {
        let mut nodes = Nodes::of(model);
        // rs-soroban-sdk#1679: 23.0 to 23.4 publish the values of a vector by name.
        let alphabetical = model.sdk.is_some_and(|(major, minor)| major == 23 && minor <= 4);
        let events = model.events.iter();
        let events = events.map(|one| EventSpec::of(one, &mut nodes, alphabetical)).collect();
        let mut made = Self {
            nodes,
            events,
            unions: Vec::new(),
            names: HashMap::new(),
            cases: HashMap::new(),
            structs: HashMap::new(),
            every_struct: Vec::new(),
        };
        let mut seen = std::collections::HashSet::new();
        for (name, _) in &model.types {
            if let Some(id) = made.nodes.named(name)
                && seen.insert(id)
            {
                made.index(name, id);
            }
        }
        made
    }

    fn index(&mut self, name: &[u8], id: Id) {
        self.names.insert(id, escape::text(name).into_owned());
        match self.nodes.get(id).clone() {
            Node::Struct(parts) => {
                let least = parts.sorted.first().and_then(|place| parts.fields.get(*place));
                if let Some((least, _)) = least {
                    self.structs.entry(least.clone()).or_default().push(id);
                }
                self.every_struct.push(id);
            }
            Node::Union(cases) => self.union(name, cases),
            Node::Any(definitions) => {
                for one in definitions {
                    self.index(name, one);
                }
            }
            _ => {}
        }
    }

    fn union(&mut self, name: &[u8], cases: Vec<Case>) {
        let name = escape::text(name).into_owned();
        for (place, case) in cases.iter().enumerate() {
            self.cases.entry(case.name.clone()).or_default().push((self.unions.len(), place));
        }
        let for_keys = name.to_ascii_lowercase().contains("key");
        self.unions.push(UnionSpec { name, cases, for_keys });
    }

    /// The declaration an event is of; its values are in `values`, in the order of `params`.
    pub fn event<'a>(
        &self,
        topics: &[Input<'a>],
        data: Input<'a>,
        values: &mut Vec<Option<Input<'a>>>,
    ) -> (Status, Option<usize>) {
        let mut likely: Option<usize> = None;
        let mut best: Option<usize> = None;
        let mut ambiguous = false;
        for (place, event) in self.events.iter().enumerate().filter(|(_, one)| one.begins(topics)) {
            let declared = event.topics();
            let enough = declared <= topics.len();
            if likely.is_none() || enough && declared > self.declared(likely) {
                likely = Some(place);
            }
            let better = best.is_none() || declared > self.declared(best);
            let same = best.and_then(|best| self.events.get(best));
            let alike = !better && same.is_some_and(|same| same.is_like(event));
            if !enough || declared < self.declared(best) || alike {
                continue;
            }
            if event.fits(&self.nodes, topics, data, values) {
                ambiguous = !better;
                best = if better { Some(place) } else { best };
            }
        }
        let Some(best) = best else {
            let status = if likely.is_some() { Status::Mismatch } else { Status::NoMatch };
            return (status, likely);
        };
        if let Some(event) = self.events.get(best) {
            event.fits(&self.nodes, topics, data, values);
        }
        (if ambiguous { Status::Ambiguous } else { Status::Decoded }, Some(best))
    }

    /// How many topics an event declares.
    fn declared(&self, event: Option<usize>) -> usize {
        event.and_then(|place| self.events.get(place)).map_or(0, EventSpec::topics)
    }

    /// What a storage key is.
    pub fn key(&self, key: Input<'_>) -> (Status, Key) {
        let Some((count, first)) = elements(key) else {
            let is_symbol = xdr::arm(key, Val::SYMBOL).is_some();
            return match plain(key) {
                _ if is_symbol => (Status::Decoded, Key::Symbol),
                Some(_) => (Status::Decoded, Key::Other),
                None => (Status::NoMatch, Key::Other),
            };
        };
        self.case(count as usize, first).unwrap_or((Status::NoMatch, Key::Other))
    }

    fn case(&self, count: usize, first: Input<'_>) -> Option<(Status, Key)> {
        let (name, values) = xdr::opaque(xdr::arm(first, Val::SYMBOL)?)?;
        let known = self.cases.get(name)?;
        let mut fit = Fit::new(&self.nodes);
        let mut best: Option<(usize, usize)> = None;
        let (mut keyed, mut ambiguous) = (false, false);
        for (union, case) in known {
            let spec = self.unions.get(*union)?;
            let values_fit = fit.arguments(&spec.cases.get(*case)?.values, count - 1, values);
            if !values_fit || best.is_some() && keyed && !spec.for_keys {
                continue;
            }
            let other = best.and_then(|(best, _)| self.unions.get(best));
            let better = other.is_none() || spec.for_keys && !keyed;
            ambiguous =
                !better && (ambiguous || other.is_some_and(|other| other.name != spec.name));
            if better {
                (best, keyed) = (Some((*union, *case)), spec.for_keys);
            }
        }
        let status = match best {
            Some(_) if ambiguous => Status::Ambiguous,
            Some(_) => Status::Decoded,
            None => Status::Mismatch,
        };
        let (union, case) = best.or_else(|| known.first().copied())?;
        Some((status, Key::Case { union, case }))
    }

    /// What a value of storage is.
    pub fn value(&self, value: Input<'_>) -> Value {
        if let Some(arm) = plain(value) {
            return Value::Plain(arm);
        }
        self.one_struct(value).or_else(|| self.one_union(value)).map_or(Value::Other, Value::Named)
    }

    fn one_struct(&self, value: Input<'_>) -> Option<Id> {
        let (key, _) = Entries::of(value)?.advance()?;
        let (least, _) = xdr::opaque(xdr::arm(key, Val::SYMBOL)?)?;
        let known = match self.nodes.tolerant {
            true => Some(&self.every_struct),
            false => self.structs.get(least),
        };
        self.only(known?.iter().copied(), value)
    }

    fn one_union(&self, value: Input<'_>) -> Option<Id> {
        let (name, _) = xdr::opaque(xdr::arm(elements(value)?.1, Val::SYMBOL)?)?;
        let unions = self.cases.get(name)?.iter().filter_map(|(union, _)| self.unions.get(*union));
        let named = unions
            .filter_map(|one| escape::bytes(&one.name).and_then(|name| self.nodes.named(&name)));
        self.only(named, value)
    }

    fn only(&self, ids: impl Iterator<Item = Id>, value: Input<'_>) -> Option<Id> {
        let mut fit = Fit::new(&self.nodes);
        let mut fitting = ids.filter(|id| fit.whole(*id, value));
        let first = fitting.next()?;
        fitting.all(|other| other == first).then_some(first)
    }
}

/// The type of a value in words.
pub fn words_of(interface: &Interface, kind: Value) -> Option<&str> {
    match kind {
        Value::Plain(arm) => Some(plain_words(arm)),
        Value::Named(id) => interface.names.get(&id).map(String::as_str),
        Value::Other => None,
    }
}
