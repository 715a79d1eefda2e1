//! One example of each shape of key and value that a contract keeps: they tell which columns its
//! storage takes, as keys and values are not declared.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::fit::{Entries, elements};
use crate::values::scval;
use crate::xdr::discriminants::SCValType as Val;
use crate::xdr::layout::SCVal;
use crate::xdr::{self, Input, between, skip};

/// Shapes that are kept of one contract; what has more keeps no columns for the rest.
const MAX_SHAPES: usize = 4096;

/// How deep a shape is looked into.
const MAX_DEPTH: u32 = 12;

/// A key, and a value it had.
#[derive(Debug, Clone)]
pub struct Sample {
    /// SCVal
    pub key: Box<[u8]>,
    /// SCVal; `None` where it was only removed.
    pub val: Option<Box<[u8]>>,
}

/// Of one contract.
#[derive(Debug, Clone, Default)]
pub struct Samples(HashMap<u64, Sample>);

impl Samples {
    /// Keep the key and value where they have a shape not seen before.
    pub fn add(&mut self, key: Input<'_>, val: Option<Input<'_>>) {
        let mut hasher = DefaultHasher::new();
        scval::symbol(key).hash(&mut hasher);
        shape(key, MAX_DEPTH, &mut hasher);
        if let Some(val) = val {
            shape(val, MAX_DEPTH, &mut hasher);
        }
        if self.0.len() < MAX_SHAPES {
            let sample = || Sample { key: key.into(), val: val.map(Into::into) };
            self.0.entry(hasher.finish()).or_insert_with(sample);
        }
    }

    /// All, in the order of their bytes.
    pub fn sorted(&self) -> Vec<&Sample> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by(|one, other| (&one.key, &one.val).cmp(&(&other.key, &other.val)));
        all
    }
}

/// Hash types, names of cases and fields, and lengths of byte arrays; all but the values.
fn shape(value: Input<'_>, depth: u32, hasher: &mut DefaultHasher) {
    let Some((tag, body)) = xdr::u32(value) else { return };
    tag.hash(hasher);
    if depth == 0 {
        return;
    }
    match tag {
        Val::BYTES => xdr::u32(body).map(|(length, _)| length.min(256)).hash(hasher),
        Val::VEC => items(value, depth, hasher),
        Val::MAP => entries(value, depth, hasher),
        _ => {}
    }
}

/// Values of a kind count once, how ever many there are of them.
fn items(value: Input<'_>, depth: u32, hasher: &mut DefaultHasher) {
    let Some((count, mut bytes)) = elements(value) else { return };
    let mut last = 0;
    for place in 0..count {
        let Some(rest) = skip::<SCVal>(bytes) else { return };
        let one = between(bytes, rest);
        if place == 0 {
            scval::symbol(one).hash(hasher);
        }
        last = distinct(one, depth - 1, last, hasher);
        bytes = rest;
    }
    (count.min(16)).hash(hasher);
}

fn distinct(value: Input<'_>, depth: u32, last: u64, hasher: &mut DefaultHasher) -> u64 {
    let mut one = DefaultHasher::new();
    shape(value, depth, &mut one);
    let shape = one.finish();
    if shape != last {
        shape.hash(hasher);
    }
    shape
}

fn entries(value: Input<'_>, depth: u32, hasher: &mut DefaultHasher) {
    let Some(mut entries) = Entries::of(value) else { return };
    let named = entries.count() <= 64;
    let mut last = 0;
    while let Some((key, value)) = entries.advance() {
        if named && scval::symbol(key).is_some() {
            scval::symbol(key).hash(hasher);
            shape(value, depth - 1, hasher);
        } else {
            last = distinct(key, 0, last, hasher);
            last = distinct(value, depth - 1, last, hasher);
        }
    }
}
