//! Which rows of a row group have some texts, and those rows.

use std::cell::RefCell;
use std::thread;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::column::{Chunk, Column};
use crate::inflate::Inflater;
use crate::picked::{array, is_known};

const MOST_ROWS: usize = 1 << 24; // of a row group
const SHARED: usize = 64 << 10; // bytes of each half: of fewer, a thread takes longer than it saves

thread_local! {
    static INFLATERS: RefCell<Option<[Inflater; 2]>> = const { RefCell::new(None) };
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
        INFLATERS.with_borrow_mut(|held| {
            if held.is_none() {
                *held = Some([Inflater::new()?, Inflater::new()?]);
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

/// Columns are taken apart when they are needed, in two halves that have about as many bytes: each half is read by a
/// thread of its own, since decompressing takes nearly all of the time.
struct Reading<'g, 'a> {
    group: &'g Group<'a>,
    halves: [Half<'g, 'a>; 2],
    is_shared: bool,
}

impl<'g, 'a> Reading<'g, 'a> {
    fn of(group: &'g Group<'a>, inflaters: &'g mut [Inflater; 2]) -> Option<Self> {
        let fields = group.schema.fields();
        let are_known = fields.iter().zip(&group.chunks).all(|(field, chunk)| match chunk {
            Some(chunk) => is_known(field.data_type(), chunk.physical),
            None => field.is_nullable(),
        });
        (are_known && fields.len() == group.chunks.len()).then_some(())?;
        let mut halves = inflaters.each_mut().map(|inflater| Half {
            rows: group.rows,
            columns: Vec::new(),
            inflater,
            size: 0,
        });
        for (at, chunk) in group.chunks.iter().enumerate() {
            let [one, other] = &mut halves;
            let half = if one.size <= other.size { one } else { other };
            half.size += chunk.map_or(0, |chunk| chunk.bytes.len());
            half.columns.push((at, chunk.as_ref(), None));
        }
        let is_shared = halves.iter().all(|half| half.size >= SHARED);
        Some(Self { group, halves, is_shared })
    }

    fn keep(&mut self, meant: &mut [bool], term: &Term) -> Option<()> {
        let wanted: Vec<&Wanted> = term.iter().flatten().collect();
        let mut columns = wanted.iter().flat_map(|one| &one.columns);
        if columns.any(|at| *at >= self.group.chunks.len()) {
            return None;
        }
        let [one, other] = self.both(|half| wanted.iter().map(|one| half.places_of(one)).collect());
        let (one, other): (Vec<_>, Vec<_>) = (one?, other?);
        let mut places = one.into_iter().zip(other);
        let mut any = vec![false; meant.len()];
        for alternative in term {
            let mut all = vec![true; meant.len()];
            for (one, other) in places.by_ref().take(alternative.len()) {
                let mut has = vec![false; meant.len()];
                for place in one.into_iter().chain(other) {
                    *has.get_mut(place)? = true;
                }
                all.iter_mut().zip(has).for_each(|(all, has)| *all &= has);
            }
            any.iter_mut().zip(all).for_each(|(any, all)| *any |= all);
        }
        meant.iter_mut().zip(any).for_each(|(meant, any)| *meant &= any);
        Some(())
    }

    fn rows(&mut self, places: &[usize]) -> Option<RecordBatch> {
        let schema = self.group.schema.clone();
        let [one, other] = self.both(|half| half.values(&schema, places));
        let mut arrays: Vec<(usize, ArrayRef)> = one?.into_iter().chain(other?).collect();
        arrays.sort_unstable_by_key(|(at, _)| *at);
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        RecordBatch::try_new_with_options(schema, arrays, &options).ok()
    }

    /// What both halves say, at the same time where it is worth a thread.
    fn both<T: Send>(
        &mut self,
        ask: impl Fn(&mut Half<'g, 'a>) -> Option<T> + Sync,
    ) -> [Option<T>; 2] {
        let [one, other] = &mut self.halves;
        if !self.is_shared {
            return [ask(one), ask(other)];
        }
        thread::scope(|threads| {
            let other = thread::Builder::new().spawn_scoped(threads, || ask(other));
            [ask(one), other.ok().and_then(|other| other.join().ok().flatten())]
        })
    }

    fn close(&mut self) {
        self.halves.iter_mut().for_each(Half::close);
    }
}

/// Some columns by their places, and what alone decompresses their pages.
struct Half<'g, 'a> {
    rows: usize,
    columns: Vec<(usize, Option<&'g Chunk<'a>>, Option<Column<'a>>)>,
    inflater: &'g mut Inflater,
    size: usize,
}

impl Half<'_, '_> {
    fn places_of(&mut self, wanted: &Wanted) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for (at, chunk, column) in &mut self.columns {
            if let Some(chunk) = chunk
                && wanted.columns.contains(at)
            {
                let column = taken(column, chunk, self.inflater, self.rows)?;
                found.extend(column.places_of(self.inflater, &wanted.text)?);
            }
        }
        Some(found)
    }

    fn values(&mut self, schema: &SchemaRef, places: &[usize]) -> Option<Vec<(usize, ArrayRef)>> {
        let mut found = Vec::with_capacity(self.columns.len());
        for (at, chunk, column) in &mut self.columns {
            let values = if let Some(chunk) = chunk {
                let column = taken(column, chunk, self.inflater, self.rows)?;
                let values = column.values(self.inflater, places)?;
                column.close(self.inflater);
                values
            } else {
                vec![None; places.len()]
            };
            found.push((*at, array(schema.fields().get(*at)?.data_type(), values)?));
        }
        Some(found)
    }

    fn close(&mut self) {
        for (_, _, column) in &mut self.columns {
            if let Some(column) = column {
                column.close(self.inflater);
            }
        }
    }
}

fn taken<'c, 'a>(
    column: &'c mut Option<Column<'a>>,
    chunk: &Chunk<'a>,
    inflater: &mut Inflater,
    rows: usize,
) -> Option<&'c mut Column<'a>> {
    if column.is_none() {
        *column = Some(Column::read(chunk, inflater, rows)?);
    }
    column.as_mut()
}
