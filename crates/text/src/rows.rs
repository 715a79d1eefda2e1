//! Rows of a batch, one behind the other.

use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;

use crate::cells::Cells;
use crate::quoting;

/// What a cell takes, more or less: the buffer grows where it is more.
const CELL_BYTES: usize = 32;

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
    let mut out = Vec::with_capacity(batch.num_rows() * columns.len() * CELL_BYTES);
    for row in 0..batch.num_rows() {
        match form {
            Form::Json(end) => object(&columns, row, end, &mut out),
            Form::Csv => line(&columns, row, &mut out),
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

fn object(columns: &[Column<'_>], row: usize, end: &str, out: &mut Vec<u8>) {
    for column in columns {
        out.extend_from_slice(&column.head);
        if column.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
        } else {
            column.cells.json(row, out);
        }
    }
    out.push(b'}');
    out.extend_from_slice(end.as_bytes());
}

fn line(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    for column in columns {
        out.extend_from_slice(&column.head);
        if column.nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            column.cells.csv(row, out);
        }
    }
    out.push(b'\n');
}
