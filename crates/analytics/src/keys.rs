//! What figures are kept of: assets or contracts by number, a bounded many of them.

use crate::hashing::{FastMap, hash_of};

/// The number of a key.
pub type Id = u32;

/// All together.
pub const WHOLE: Id = 0;

/// Those together for which there was no room.
pub const REST: Id = 1;

/// A key that is known, by its texts.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// What it is told apart by: the contract's strkey.
    pub name: Box<str>,
    /// How people write it: `native`, `CODE:ISSUER`, or the contract's strkey.
    pub label: Box<str>,
    /// The ledger from which on its rows are counted as its own.
    pub since: u32,
}

/// Known keys; a new one takes the number of one that was forgotten.
#[derive(Debug)]
pub struct Keys {
    most: usize,
    ids: FastMap<u64, Id>,
    keys: Vec<Key>,
    free: Vec<Id>,
    /// Whether keys were ever left out or forgotten: until then each is counted from the beginning.
    crowded: bool,
}

impl Keys {
    /// Makes room for so many keys.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ids: FastMap::default(),
            keys: vec![Key::default(); 2],
            free: Vec::new(),
            crowded: false,
        }
    }

    /// Returns the number of a key, `REST` where there is no room for another.
    pub fn id(&mut self, name: &str, ledger: u32, label: impl FnOnce() -> Box<str>) -> Id {
        let hash = hash_of(name);
        if let Some(&id) = self.ids.get(&hash) {
            return id;
        }
        if self.ids.len() >= self.most {
            self.crowded = true;
            return REST;
        }
        let since = if self.crowded { ledger } else { 0 };
        let key = Key { name: name.into(), label: label(), since };
        let id = match self.free.pop() {
            Some(id) => id,
            None => Id::try_from(self.keys.len()).unwrap_or(REST),
        };
        if id == REST {
            return REST;
        }
        self.ids.insert(hash, id);
        match self.keys.get_mut(id as usize) {
            Some(place) => *place = key,
            None => self.keys.push(key),
        }
        id
    }

    /// Finds a key by its name or label.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Id> {
        self.ids.get(&hash_of(text)).copied().or_else(|| {
            self.ids
                .values()
                .copied()
                .find(|&id| self.key(id).is_some_and(|key| &*key.label == text))
        })
    }

    /// Returns what a number means.
    #[must_use]
    pub fn key(&self, id: Id) -> Option<&Key> {
        self.keys.get(id as usize).filter(|_| id > REST)
    }

    /// Forgets a key, so that others can have its place.
    pub fn forget(&mut self, id: Id) {
        if let Some(key) = self.keys.get_mut(id as usize).filter(|_| id > REST) {
            self.ids.remove(&hash_of(&key.name));
            *key = Key::default();
            self.free.push(id);
            self.crowded = true;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether there is no room for another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ids.len() >= self.most
    }

    /// Every number in use.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.ids.values().copied()
    }
}
