//! Figures by key as bytes: most keys have small ones, and there are many keys and windows.

use crate::coding::{Reader, put};
use crate::keys::Id;

/// Of each key, in the order of their numbers, some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    ids: Vec<Id>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Packed {
    /// Adds a key behind all others.
    pub fn push(&mut self, id: Id, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ids.push(id);
        self.ends.push(self.bytes.len());
    }

    /// What there is of a key.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&[u8]> {
        self.at(self.ids.binary_search(&id).ok()?)
    }

    fn at(&self, place: usize) -> Option<&[u8]> {
        let begin =
            place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(begin..*self.ends.get(place)?)
    }

    /// Every key with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &[u8])> {
        self.ids.iter().enumerate().filter_map(|(place, &id)| Some((id, self.at(place)?)))
    }

    /// All of both; `join` writes what is made of a key that both have.
    #[must_use]
    pub fn merged(&self, other: &Self, join: impl Fn(&[u8], &[u8], &mut Vec<u8>)) -> Self {
        let mut both = Self::default();
        both.bytes.reserve(self.bytes.len() + other.bytes.len());
        let ids = self.ids.len().max(other.ids.len());
        both.ids.reserve(ids);
        both.ends.reserve(ids);
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (Some(&(one, ours)), Some(&(two, theirs))) if one == two => {
                    both.push(one, |to| join(ours, theirs, to));
                    left.next();
                    right.next();
                }
                (Some(&(one, ours)), other) if other.is_none_or(|&(two, _)| one < two) => {
                    both.push(one, |to| to.extend_from_slice(ours));
                    left.next();
                }
                (_, Some(&(two, theirs))) => {
                    both.push(two, |to| to.extend_from_slice(theirs));
                    right.next();
                }
                (_, None) => break,
            }
        }
        both.shrunk()
    }

    /// Lets go of room that nothing needs, where it is worth a copy.
    #[must_use]
    pub fn shrunk(mut self) -> Self {
        if self.bytes.len() + self.bytes.len() / 4 < self.bytes.capacity() {
            self.bytes.shrink_to_fit();
        }
        if self.ids.len() + self.ids.len() / 4 < self.ids.capacity() {
            self.ids.shrink_to_fit();
            self.ends.shrink_to_fit();
        }
        self
    }

    /// Bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 8 + self.ids.capacity() * 4
    }

    /// Writes it as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        put(to, self.ids.len() as u64);
        for (id, bytes) in self.iter() {
            put(to, id.into());
            put(to, bytes.len() as u64);
            to.extend_from_slice(bytes);
        }
    }

    /// Reads what `write` wrote.
    #[must_use]
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut packed = Self::default();
        for _ in 0..from.length()? {
            let id = from.small()?;
            let length = from.length()?;
            let bytes = from.bytes(length)?;
            if packed.ids.last().is_some_and(|&last| last >= id) {
                return None;
            }
            packed.push(id, |to| to.extend_from_slice(bytes));
        }
        Some(packed.shrunk())
    }
}
