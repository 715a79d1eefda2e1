//! Batches in, the rows of all of them out.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::column::Column;
use crate::kinds::column;
use crate::order::{Order, spans};
use crate::sizes::text_size;

/// Columns that were used and are free.
type Spare = Arc<Mutex<Vec<Vec<Box<dyn Column>>>>>;

/// The most rows' columns that are kept for others: of those being written, and of those waiting for it.
const SPARE: usize = 2;

/// Takes batches in. Columns go round: fresh memory costs as much as filling it.
///
/// Rows of a batch that have the same value of the column they will be sorted by are kept together, in their order:
/// then a sorted block is copied in pieces, and not row by row from all over.
pub struct Gatherer {
    schema: SchemaRef,
    sort_by: Option<usize>,
    columns: Vec<Box<dyn Column>>,
    rows: usize,
    /// Whether some columns hold values of a batch that others refused.
    is_torn: bool,
    spare: Spare,
}

fn columns_of(schema: &SchemaRef) -> Vec<Box<dyn Column>> {
    schema.fields().iter().map(|field| column(field)).collect()
}

impl Gatherer {
    /// Rows of a schema, to be sorted by a column where one is named; where it has dictionaries, the batches may have
    /// plain texts.
    pub fn new(schema: SchemaRef, sort_by: Option<&str>) -> Result<Self, ArrowError> {
        let columns = columns_of(&schema);
        let sort_by = sort_by.map(|name| schema.index_of(name)).transpose()?;
        Ok(Self { schema, sort_by, columns, rows: 0, is_torn: false, spare: Spare::default() })
    }

    /// Take in the rows of a batch. Behind one that was refused nothing is taken in before all rows are handed over:
    /// its values would be paired with those of others.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = self.rows + batch.num_rows();
        if batch.num_columns() != self.columns.len() || rows >= u32::MAX as usize {
            return Err(ArrowError::SchemaError(
                "a batch of another table, or too many rows".into(),
            ));
        }
        if self.is_torn {
            return Err(ArrowError::SchemaError("a batch before this one was refused".into()));
        }
        self.is_torn = true;
        let order = self.bring_together(batch)?;
        for (at, (column, values)) in self.columns.iter_mut().zip(batch.columns()).enumerate() {
            if Some(at) != self.sort_by {
                column.append(values, order.as_deref())?;
            }
        }
        self.rows = rows;
        self.is_torn = false;
        Ok(())
    }

    /// Take in the rows of a batch that are fewer than so many, of less text than so many bytes, and say how many bytes
    /// they have. None where they are not, and stay out.
    pub fn fit(
        &mut self,
        batch: &RecordBatch,
        rows: usize,
        text: usize,
    ) -> Result<Option<usize>, ArrowError> {
        if batch.num_rows() >= rows {
            return Ok(None);
        }
        let held = Some(text_size(batch)).filter(|&held| held < text);
        held.map(|held| self.append(batch).map(|()| held)).transpose()
    }

    /// Take in the values that rows will be sorted by; the order in which the others follow.
    fn bring_together(&mut self, batch: &RecordBatch) -> Result<Option<Vec<u32>>, ArrowError> {
        let Some(at) = self.sort_by else { return Ok(None) };
        let Some(column) = self.columns.get_mut(at) else { return Ok(None) };
        column.append(batch.column(at), None)?;
        Ok(column.bring_together(self.rows))
    }

    /// Hand over all rows, and begin anew.
    pub fn take(&mut self) -> Gathered {
        let free = self.spare.lock().ok().and_then(|mut spare| spare.pop());
        let next = free.unwrap_or_else(|| columns_of(&self.schema));
        self.is_torn = false;
        Gathered {
            schema: self.schema.clone(),
            columns: std::mem::replace(&mut self.columns, next),
            rows: std::mem::take(&mut self.rows),
            spare: self.spare.clone(),
        }
    }
}

/// All rows of some batches.
pub struct Gathered {
    schema: SchemaRef,
    columns: Vec<Box<dyn Column>>,
    rows: usize,
    spare: Spare,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let mut columns = std::mem::take(&mut self.columns);
        columns.iter_mut().for_each(|column| column.clear());
        if let Ok(mut spare) = self.spare.lock()
            && spare.len() < SPARE
        {
            spare.push(columns);
        }
    }
}

impl Gathered {
    /// How many.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows' order by a column, and before that by a place, of which each row has one; rows alike in both stay as
    /// they came. And where the rows of each place end.
    pub fn order(
        &self,
        sort_by: Option<&str>,
        places: Option<&[u32]>,
    ) -> Result<(Order, Vec<usize>), ArrowError> {
        let mut order = Order::of(self.rows);
        let mut ends = vec![self.rows];
        if let Some(name) = sort_by {
            let at = self.schema.index_of(name)?;
            let ranks = self.columns.get(at).and_then(|column| column.ranks());
            let (ranks, count) = ranks.ok_or_else(|| {
                ArrowError::SchemaError(format!(
                    "rows cannot be sorted by {name}, which is no text that repeats"
                ))
            })?;
            order.by(&ranks, count);
        }
        if let Some(places) = places {
            let count = places.iter().max().map_or(0, |&most| most as usize + 1);
            ends = order.by(places, count);
        }
        Ok((order, ends))
    }

    /// Rows of an order, of these columns, of all where none is named.
    pub fn block(
        &self,
        order: &Order,
        part: Range<usize>,
        names: Option<&[String]>,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = order.rows.get(part).unwrap_or_default();
        let all = || (0..self.columns.len()).collect();
        let named =
            |names: &[String]| names.iter().map(|name| self.schema.index_of(name)).collect();
        let chosen: Vec<usize> = names.map_or_else(|| Ok(all()), named)?;
        let schema = self.schema.project(&chosen)?;
        let columns = chosen.iter().filter_map(|&at| self.columns.get(at));
        let spans = spans(rows);
        let columns = columns.map(|column| column.gather(&spans)).collect::<Result<_, _>>()?;
        RecordBatch::try_new(schema.into(), columns)
    }
}
