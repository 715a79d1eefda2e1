//! The columns of one typed table: what several declarations of one name have in common, once.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

use super::writer::{Names, Writer};
use crate::tables::columns::field;

/// A declared value, its columns still to be placed.
pub struct Wanted {
    /// What its columns are called, and how values are written to them.
    pub writers: Vec<Writer>,
    /// Its type in words.
    pub words: String,
}

/// Where the columns of a declared value are.
pub type Placed = Vec<(usize, Writer)>;

struct Known {
    words: String,
    types: Vec<DataType>,
    first: usize,
}

/// The columns.
pub struct Columns {
    /// In order.
    pub fields: Vec<Field>,
    names: Names,
    known: HashMap<String, Vec<Known>>,
    frozen: bool,
}

/// What a field tells of the declaration it is of: the name, the type in words, the place among the
/// columns of one declared value.
const DECLARED: [&str; 3] = ["declared_name", "declared_type", "declared_part"];

impl Columns {
    /// None yet, and these names are taken.
    pub fn new<'t>(taken: impl IntoIterator<Item = &'t str>) -> Self {
        let names = Names::new(taken);
        Self { fields: Vec::new(), names, known: HashMap::new(), frozen: false }
    }

    /// Begin with columns that are there already; `frozen`, there will be no others.
    pub fn seed(&mut self, fields: &[Field], frozen: bool) {
        self.frozen = frozen;
        let of = |field: &Field| DECLARED.map(|key| field.metadata().get(key).cloned());
        for field in fields {
            let place = self.fields.len();
            self.names.take(field.name().clone());
            self.fields.push(field.clone());
            let [Some(base), Some(words), Some(part)] = of(field) else { continue };
            let groups = self.known.entry(base).or_default();
            match groups.last_mut().filter(|_| part != "0") {
                Some(last) => last.types.push(field.data_type().clone()),
                None => {
                    let types = vec![field.data_type().clone()];
                    groups.push(Known { words, types, first: place });
                }
            }
        }
    }

    /// Columns for these values of one declaration. One that is there under the same name with the
    /// same type is taken again; with another type it gets the suffix.
    pub fn place(&mut self, wanted: Vec<Wanted>, suffix: &str) -> Vec<Placed> {
        let mut wanted: Vec<_> = wanted
            .into_iter()
            .map(|one| {
                let base = one.writers.first().map(|first| first.name.clone()).unwrap_or_default();
                (base, one)
            })
            .collect();
        let found: Vec<_> = wanted.iter().map(|(base, one)| self.find(base, one)).collect();
        for ((base, one), found) in wanted.iter_mut().zip(&found) {
            if found.is_none() && self.known.contains_key(base) {
                rename(base, &mut one.writers, suffix);
            }
        }
        if self.frozen {
            let placed = |((_, one), found): ((String, Wanted), Option<usize>)| {
                found.map_or_else(Vec::new, |first| (first..).zip(one.writers).collect())
            };
            return wanted.into_iter().zip(found).map(placed).collect();
        }
        let fresh = wanted.iter_mut().zip(&found).filter(|(_, found)| found.is_none());
        self.names.settle(fresh.map(|((_, one), _)| &mut one.writers));
        wanted
            .into_iter()
            .zip(found)
            .map(|((base, one), found)| {
                let first = found.unwrap_or_else(|| self.add(base, &one));
                (first..).zip(one.writers).collect()
            })
            .collect()
    }

    fn find(&self, base: &str, wanted: &Wanted) -> Option<usize> {
        let known = self.known.get(base)?;
        let types = || wanted.writers.iter().map(|writer| writer.kind.data_type());
        known
            .iter()
            .find(|one| one.words == wanted.words && one.types.iter().cloned().eq(types()))
            .map(|one| one.first)
    }

    fn add(&mut self, base: String, wanted: &Wanted) -> usize {
        let first = self.fields.len();
        let types: Vec<_> = wanted.writers.iter().map(|writer| writer.kind.data_type()).collect();
        for (part, (writer, data_type)) in wanted.writers.iter().zip(&types).enumerate() {
            let description = format!("{}, as the contract declares it.", wanted.words);
            let made = field(&writer.name, data_type.clone(), true, &description);
            let mut metadata = made.metadata().clone();
            let told = [base.clone(), wanted.words.clone(), part.to_string()];
            metadata.extend(DECLARED.map(str::to_owned).into_iter().zip(told));
            self.fields.push(made.with_metadata(metadata));
        }
        if !types.is_empty() {
            let known = Known { words: wanted.words.clone(), types, first };
            self.known.entry(base).or_default().push(known);
        }
        first
    }
}

fn rename(base: &str, writers: &mut [Writer], suffix: &str) {
    for writer in writers {
        let behind = writer.name.strip_prefix(base).unwrap_or_default();
        writer.name = format!("{base}_{suffix}{behind}");
    }
}
