//! A few rows of Parquet files, as Python sees them; see `_core.pyi`.

use pyo3::prelude::*;
use pyo3_arrow::{PyRecordBatch, PySchema};
use stellarrow_pages::{Chunk, Codec, Group, Physical, Term, Wanted};

use crate::convert::Data;

/// Where a column lies in the bytes, how many it has, its physical type, the length of a value, whether it may have
/// nulls, and its codec.
type Told = (usize, usize, String, usize, bool, String);
/// Columns by their places, and a text.
type AskedText = (Vec<usize>, String);

#[pyfunction]
pub fn few_rows(
    py: Python<'_>,
    data: Data<'_>,
    schema: PySchema,
    chunks: Vec<Option<Told>>,
    rows: usize,
    terms: Vec<Vec<Vec<AskedText>>>,
    most: usize,
) -> Option<PyRecordBatch> {
    let data = data.as_slice();
    let chunks = chunks
        .into_iter()
        .map(|told| match told {
            Some(told) => chunk(data, &told).map(Some),
            None => Some(None),
        })
        .collect::<Option<Vec<_>>>()?;
    let group = Group { schema: schema.into_inner(), chunks, rows };
    let terms: Vec<Term> = terms.into_iter().map(term).collect();
    py.detach(|| group.few(&terms, most)).map(PyRecordBatch::new)
}

fn chunk<'a>(data: &'a [u8], told: &Told) -> Option<Chunk<'a>> {
    let (start, size, physical, length, is_nullable, codec) = told;
    let physical = match physical.as_str() {
        "BOOLEAN" => Physical::Bit,
        "INT32" => Physical::Fixed(4),
        "INT64" => Physical::Fixed(8),
        "FIXED_LEN_BYTE_ARRAY" => Physical::Fixed(*length),
        "BYTE_ARRAY" => Physical::Bytes,
        _ => return None,
    };
    let codec = match codec.as_str() {
        "UNCOMPRESSED" => Codec::Plain,
        "ZSTD" => Codec::Zstd,
        _ => return None,
    };
    let bytes = data.get(*start..start.checked_add(*size)?)?;
    Some(Chunk { bytes, physical, is_nullable: *is_nullable, codec })
}

fn term(alternatives: Vec<Vec<AskedText>>) -> Term {
    let wanted = |(columns, text)| Wanted { columns, text };
    alternatives.into_iter().map(|all| all.into_iter().map(wanted).collect()).collect()
}
