//! A declared event made ready (SEP-48): whether an event's topics and data are of it.

use super::fit::{Entries, Fit, elements};
use super::nodes::{Id, Nodes};
use super::type_words::words;
use crate::contract::model::{Event, Format};
use crate::values::escape;
use crate::xdr::discriminants::SCValType as Val;
use crate::xdr::{self, Input, between, skip};

/// A declared value of an event.
pub struct Param {
    /// Its name, as text.
    pub name: String,
    /// Its type.
    pub id: Id,
    /// Its type in words.
    pub words: String,
}

/// A declared event.
pub struct EventSpec {
    /// Its name, as text.
    pub name: String,
    /// In the order declared.
    pub params: Vec<Param>,
    prefix: Vec<Vec<u8>>,
    format: Format,
    /// Which params are topics, in order.
    topics: Vec<usize>,
    /// Which params are in the data, in the order it has them: with the keys of a map.
    data: Vec<(Vec<u8>, usize)>,
    declared: Event,
}

impl EventSpec {
    /// Make a declaration ready; the data of a vector may be in the order of names.
    pub fn of(event: &Event, nodes: &mut Nodes, alphabetical: bool) -> Self {
        let params = event.params.iter().map(|param| Param {
            name: escape::text(&param.field.name).into_owned(),
            id: nodes.add(&param.field.kind),
            words: words(&param.field.kind),
        });
        let places = |topic| {
            let places = event.params.iter().enumerate();
            places.filter(move |(_, param)| param.topic == topic)
        };
        let mut data: Vec<_> =
            places(false).map(|(place, param)| (param.field.name.clone(), place)).collect();
        if event.format == Format::Map || event.format == Format::Vec && alphabetical {
            data.sort();
        }
        Self {
            name: escape::text(&event.name).into_owned(),
            params: params.collect(),
            prefix: event.prefix.clone(),
            format: event.format,
            topics: places(true).map(|(place, _)| place).collect(),
            data,
            declared: event.clone(),
        }
    }

    /// Whether the first topics are what it begins with.
    pub fn begins(&self, topics: &[Input<'_>]) -> bool {
        let is = |(name, topic): (&Vec<u8>, &Input<'_>)| {
            let text = xdr::arm(topic, Val::SYMBOL).or_else(|| xdr::arm(topic, Val::STRING));
            text.and_then(xdr::opaque).is_some_and(|(text, _)| text == name)
        };
        topics.len() >= self.prefix.len() && self.prefix.iter().zip(topics).all(is)
    }

    /// How many topics it declares.
    pub fn topics(&self) -> usize {
        self.prefix.len() + self.topics.len()
    }

    /// Whether all values are of their types; they are then in `values`, in the order of `params`.
    pub fn fits<'a>(
        &self,
        nodes: &Nodes,
        topics: &[Input<'a>],
        data: Input<'a>,
        values: &mut Vec<Option<Input<'a>>>,
    ) -> bool {
        let mut fit = Fit::new(nodes);
        values.clear();
        values.resize(self.params.len(), None);
        let behind = topics.get(self.prefix.len()..).unwrap_or_default();
        for (place, topic) in self.topics.iter().zip(behind) {
            if !self.set(&mut fit, values, *place, topic) {
                return false;
            }
        }
        self.data_fits(&mut fit, nodes.tolerant, data, values).is_some()
    }

    /// Whether it is declared just like another.
    pub fn is_like(&self, other: &Self) -> bool {
        self.declared == other.declared
    }

    fn set<'a>(
        &self,
        fit: &mut Fit<'_>,
        values: &mut [Option<Input<'a>>],
        place: usize,
        value: Input<'a>,
    ) -> bool {
        let (Some(param), Some(cell)) = (self.params.get(place), values.get_mut(place)) else {
            return false;
        };
        *cell = Some(value);
        fit.whole(param.id, value)
    }

    fn data_fits<'a>(
        &self,
        fit: &mut Fit<'_>,
        tolerant: bool,
        data: Input<'a>,
        values: &mut [Option<Input<'a>>],
    ) -> Option<()> {
        let is = |fits: bool| fits.then_some(());
        match (self.format, self.data.as_slice()) {
            (Format::Single, []) => is(xdr::arm(data, Val::VOID).is_some_and(<[u8]>::is_empty)),
            (Format::Single, [(_, place)]) => is(self.set(fit, values, *place, data)),
            (Format::Single, _) => None,
            (Format::Vec, params) => {
                let (count, mut bytes) = elements(data)?;
                is(count as usize == params.len())?;
                for (_, place) in params {
                    let rest = skip::<crate::xdr::layout::SCVal>(bytes)?;
                    is(self.set(fit, values, *place, between(bytes, rest)))?;
                    bytes = rest;
                }
                Some(())
            }
            (Format::Map, params) => {
                let mut entries = Entries::of(data)?;
                is(tolerant || entries.count() <= params.len())?;
                let mut found = 0;
                for (name, place) in params {
                    match entries.find(name) {
                        Some(value) => is(self.set(fit, values, *place, value))?,
                        None => is(fit.optional(self.params.get(*place)?.id))?,
                    }
                    found += usize::from(values.get(*place)?.is_some());
                }
                is(tolerant || found == entries.count())
            }
        }
    }
}
