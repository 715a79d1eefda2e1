//! Rows of a batch, one behind the other.

use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;

use crate::cells::Cells;
use crate::quoting;

/// Columns at the front that are compared with those of the row before.
const ALIKE: usize = 6;
/// Bytes behind a row, more or less.
const END: usize = 2;

/// How rows are written.
pub enum Form<'a> {
    /// An object a row, with every column, and this behind it.
    Json(&'a str),
    /// A line a row, without the header.
    Csv,
}

struct Column<'a> {
    head: Vec<u8>,
    cells: Cells<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl Column<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether a row has the same as the one before.
    fn repeats(&self, row: usize) -> bool {
        match (self.is_null(row), self.is_null(row - 1)) {
            (false, false) => self.cells.is_same(row, row - 1),
            (is_null, was_null) => is_null == was_null,
        }
    }
}

/// The rows of a batch as text; none where a column is of a type that no table has.
pub fn rows(batch: &RecordBatch, form: &Form<'_>) -> Option<Vec<u8>> {
    let fields = batch.schema_ref().fields();
    let columns = batch.columns().iter().zip(fields).enumerate().map(|(at, (column, field))| {
        Some(Column {
            head: head(form, at == 0, field.name()),
            cells: Cells::of(column)?,
            nulls: column.nulls(),
        })
    });
    let columns = columns.collect::<Option<Vec<_>>>()?;
    let count = batch.num_rows();
    let size = |column: &Column<'_>| column.head.len() * count + column.cells.size(count);
    let mut out = Vec::with_capacity(columns.iter().map(size).sum::<usize>() + END * count);
    let mut before = Before::default();
    for row in 0..count {
        match form {
            Form::Json(end) => object(&columns, row, &mut before, end, &mut out),
            Form::Csv => line(&columns, row, &mut before, &mut out),
        }
    }
    Some(out)
}

/// What stands before each value of a column.
fn head(form: &Form<'_>, is_first: bool, name: &str) -> Vec<u8> {
    match form {
        Form::Json(_) => {
            let mut head = vec![if is_first { b'{' } else { b',' }];
            quoting::json(name, &mut head);
            head.push(b':');
            head
        }
        Form::Csv if is_first => Vec::new(),
        Form::Csv => vec![b','],
    }
}

/// Where the row before begins, and where the first of its columns end: rows of a transaction begin alike.
#[derive(Default)]
struct Before {
    start: usize,
    ends: [usize; ALIKE],
}

impl Before {
    /// Copy what a row begins with like the one before; how many columns that is.
    fn repeat(&mut self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) -> usize {
        let like = |column: &&Column<'_>| row > 0 && column.repeats(row);
        let alike = columns.iter().take(ALIKE).take_while(like).count();
        let start = std::mem::replace(&mut self.start, out.len());
        let ended = alike.checked_sub(1).and_then(|last| self.ends.get(last));
        if let Some(size) = ended {
            out.extend_from_within(start..start + size);
        }
        alike
    }

    /// Note where a column ends.
    fn note(&mut self, column: usize, out: &[u8]) {
        if let Some(end) = self.ends.get_mut(column) {
            *end = out.len() - self.start;
        }
    }
}

fn object(columns: &[Column<'_>], row: usize, before: &mut Before, end: &str, out: &mut Vec<u8>) {
    let alike = before.repeat(columns, row, out);
    for (at, column) in columns.iter().enumerate().skip(alike) {
        out.extend_from_slice(&column.head);
        if column.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            column.cells.json(row, out);
        }
        before.note(at, out);
    }
    out.push(b'}');
    out.extend_from_slice(end.as_bytes());
}

fn line(columns: &[Column<'_>], row: usize, before: &mut Before, out: &mut Vec<u8>) {
    let alike = before.repeat(columns, row, out);
    for (at, column) in columns.iter().enumerate().skip(alike) {
        out.extend_from_slice(&column.head);
        if !column.is_null(row) {
            column.cells.csv(row, out);
        }
        before.note(at, out);
    }
    out.push(b'\n');
}
