//! Which rows of a row group have some texts, and those rows.

use std::cell::RefCell;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::column::{Chunk, Column};
use crate::inflate::Inflater;
use crate::picked::{array, is_known};

const MOST_ROWS: usize = 1 << 24; // of a row group

thread_local! {
    static INFLATER: RefCell<Option<Inflater>> = const { RefCell::new(None) };
}

/// A text that a row has in one of these columns.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The columns, by their places.
    pub columns: Vec<usize>,
    /// The text.
    pub text: String,
}

/// Alternatives, of each all that a row must have.
pub type Term = Vec<Vec<Wanted>>;

/// A row group: of each column of a schema its bytes; none where the file has no such column.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The columns, which are all of nulls where the file has none.
    pub schema: SchemaRef,
    /// Their bytes.
    pub chunks: Vec<Option<Chunk<'a>>>,
    /// How many rows there are.
    pub rows: usize,
}

impl Group<'_> {
    /// The rows that every term is true of, where they are not more than `most`.
    #[must_use]
    pub fn few(&self, terms: &[Term], most: usize) -> Option<RecordBatch> {
        INFLATER.with_borrow_mut(|held| {
            if held.is_none() {
                *held = Inflater::new();
            }
            let mut reading =
                Reading::of(self, held.as_mut()?).filter(|_| self.rows <= MOST_ROWS)?;
            let found = self.read(&mut reading, terms, most);
            reading.close();
            found
        })
    }

    fn read(
        &self,
        reading: &mut Reading<'_, '_>,
        terms: &[Term],
        most: usize,
    ) -> Option<RecordBatch> {
        let mut meant = vec![true; self.rows];
        for term in terms {
            reading.keep(&mut meant, term)?;
            if !meant.contains(&true) {
                break;
            }
        }
        let places: Vec<usize> =
            meant.iter().enumerate().filter(|(_, is_meant)| **is_meant).map(|(at, _)| at).collect();
        if places.is_empty() {
            return Some(RecordBatch::new_empty(self.schema.clone()));
        }
        if places.len() > most { None } else { reading.rows(&places) }
    }
}

/// Columns are taken apart when they are needed.
struct Reading<'g, 'a> {
    group: &'g Group<'a>,
    columns: Vec<Option<Column<'a>>>,
    inflater: &'g mut Inflater,
}

impl<'g, 'a> Reading<'g, 'a> {
    fn of(group: &'g Group<'a>, inflater: &'g mut Inflater) -> Option<Self> {
        let fields = group.schema.fields();
        let are_known = fields.iter().zip(&group.chunks).all(|(field, chunk)| match chunk {
            Some(chunk) => is_known(field.data_type(), chunk.physical),
            None => field.is_nullable(),
        });
        (are_known && fields.len() == group.chunks.len()).then_some(())?;
        let columns = fields.iter().map(|_| None).collect();
        Some(Self { group, columns, inflater })
    }

    fn keep(&mut self, meant: &mut [bool], term: &Term) -> Option<()> {
        let mut any = vec![false; meant.len()];
        for alternative in term {
            let mut all = vec![true; meant.len()];
            for wanted in alternative {
                let has = self.having(wanted)?;
                all.iter_mut().zip(has).for_each(|(all, has)| *all &= has);
            }
            any.iter_mut().zip(all).for_each(|(any, all)| *any |= all);
        }
        meant.iter_mut().zip(any).for_each(|(meant, any)| *meant &= any);
        Some(())
    }

    /// Of each row whether it has a text in one of some columns.
    fn having(&mut self, wanted: &Wanted) -> Option<Vec<bool>> {
        let mut has = vec![false; self.group.rows];
        for &at in &wanted.columns {
            if self.group.chunks.get(at)?.is_none() {
                continue;
            }
            let (column, inflater) = self.column(at)?;
            for place in column.places_of(inflater, &wanted.text)? {
                *has.get_mut(place)? = true;
            }
        }
        Some(has)
    }

    fn rows(&mut self, places: &[usize]) -> Option<RecordBatch> {
        let schema = self.group.schema.clone();
        let mut arrays = Vec::with_capacity(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            let values = if self.group.chunks.get(at)?.is_some() {
                let (column, inflater) = self.column(at)?;
                let values = column.values(inflater, places)?;
                column.close(inflater);
                values
            } else {
                vec![None; places.len()]
            };
            arrays.push(array(field.data_type(), values)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        RecordBatch::try_new_with_options(schema, arrays, &options).ok()
    }

    fn close(&mut self) {
        for column in self.columns.iter_mut().flatten() {
            column.close(self.inflater);
        }
    }

    fn column(&mut self, at: usize) -> Option<(&mut Column<'a>, &mut Inflater)> {
        let slot = self.columns.get_mut(at)?;
        if slot.is_none() {
            let chunk = self.group.chunks.get(at)?.as_ref()?;
            *slot = Some(Column::read(chunk, self.inflater, self.group.rows)?);
        }
        Some((slot.as_mut()?, self.inflater))
    }
}
