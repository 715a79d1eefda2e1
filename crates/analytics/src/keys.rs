//! What figures are kept of: assets or contracts by number, a bounded many of them.

use crate::coding::{Reader, put, put_text};
use crate::hashing::{HashMapped, hash_of};

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

impl Key {
    fn is(&self, text: &str) -> bool {
        &*self.name == text || &*self.label == text
    }
}

/// Known keys; a new one takes the number of one that was forgotten.
#[derive(Debug)]
pub struct Keys {
    most: usize,
    /// The one that is told apart, where only one is asked for.
    only: Option<Box<str>>,
    ids: HashMapped<Id>,
    keys: Vec<Key>,
    free: Vec<Id>,
    /// Whether keys were ever left out or forgotten: until then each is counted from the beginning.
    crowded: bool,
}

impl Keys {
    /// Makes room for so many keys, or for one alone.
    #[must_use]
    pub fn new(most: usize, only: Option<&str>) -> Self {
        Self {
            most,
            only: only.map(Box::from),
            ids: HashMapped::default(),
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
        let id = match self.only.as_deref() {
            Some(only) if !key.is(only) => REST,
            _ => self.place(key),
        };
        self.ids.insert(hash, id);
        id
    }

    fn place(&mut self, key: Key) -> Id {
        match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.keys.get_mut(id as usize) {
                    *place = key;
                }
                id
            }
            None => match Id::try_from(self.keys.len()) {
                Ok(id) => {
                    self.keys.push(key);
                    id
                }
                Err(_) => REST,
            },
        }
    }

    /// Finds a key by its name or label.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Id> {
        let named = self.ids.get(&hash_of(text)).copied().filter(|&id| id > REST);
        named.or_else(|| {
            let at = self.keys.iter().skip(2).position(|key| &*key.label == text)?;
            Id::try_from(at + 2).ok()
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

    /// Bytes they take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts: usize = self.keys.iter().map(|key| key.name.len() + key.label.len() + 32).sum();
        texts + self.keys.capacity() * size_of::<Key>() + self.ids.capacity() * 17
    }

    /// Writes them as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(self.crowded));
        put(to, self.keys.len() as u64);
        for key in self.keys.iter().skip(2) {
            put_text(to, &key.name); // empty where a number is free
            put_text(to, if key.label == key.name { "" } else { &key.label });
            put(to, key.since.into());
        }
    }

    /// Reads what `write` wrote into keys that are still empty.
    pub fn read(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.crowded = from.byte()? != 0;
        let count = from.length()?;
        for id in 2..Id::try_from(count).ok()? {
            let (name, label, since) = (from.text()?, from.text()?, from.small()?);
            if name.is_empty() {
                self.free.push(id);
            } else {
                self.ids.insert(hash_of(name), id);
            }
            let label = if label.is_empty() { name } else { label };
            self.keys.push(Key { name: name.into(), label: label.into(), since });
        }
        Some(())
    }
}
