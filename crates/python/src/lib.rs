//! The Python face of the core: convert, let go of the GIL, call, wrap.

mod convert;
mod figures;
mod gathered;
mod handover;
mod options;
mod pages;
mod runs;
mod streams;
mod text;
mod typed;

use std::borrow::Cow;

use mimalloc::MiMalloc;
use pyo3::prelude::*;
use pyo3_arrow::{PyRecordBatch, PySchema};
use stellarrow_core::contract::wasm;
use stellarrow_core::decode;
use stellarrow_core::filter;
use stellarrow_core::frame::{self, Framing};
use stellarrow_core::tables::{TABLES, Table};
use stellarrow_core::values::{describe, escape};

use convert::{CoreError, Data, Pieces, refused};
use figures::Figures;
use gathered::{PyGathered, PyGatherer, PyOrder, text_size};
use handover::py_stream;
use options::Options;
use pages::few_rows;
use runs::PyRun;
use streams::{Splitter, Synth, cut, write};
use text::{TextFilters, csv_text, json_text, may_hold};
use typed::{PyKnowledge, TypedPlan};

/// Column buffers come and go by the megabyte; the system's allocator gives them back and faults
/// them in again each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[pyfunction]
#[pyo3(name = "decode", signature = (data, options, framing = "auto", ledgers = None, verify_hashes = false))]
fn py_decode(
    py: Python<'_>,
    data: Pieces<'_>,
    options: &Bound<'_, Options>,
    framing: &str,
    ledgers: Option<(u32, u32)>,
    verify_hashes: bool,
) -> PyResult<(Vec<PyRecordBatch>, Option<PyRun>)> {
    let framing = Framing::parse(framing).map_err(|error| refused(&error))?;
    let request = options.get().0.clone();
    let request = request.framing(framing).ledgers(ledgers).verify_hashes(verify_hashes);
    let pieces: Vec<_> = data.0.iter().map(Data::as_slice).collect();
    let decoded = py.detach(|| decode::decode_all(&pieces, &request));
    let (batches, run) = decoded.map_err(|error| refused(&error))?;
    Ok((batches.into_iter().map(PyRecordBatch::new).collect(), run.map(PyRun::from)))
}

#[pyfunction]
#[pyo3(signature = (data, framing = "auto"))]
fn sequences(py: Python<'_>, data: Data<'_>, framing: &str) -> PyResult<Vec<u32>> {
    let framing = Framing::parse(framing).map_err(|error| refused(&error))?;
    let data = data.as_slice();
    py.detach(|| decode::sequences(data, framing)).map_err(|error| refused(&error))
}

#[pyfunction]
fn framing(py: Python<'_>, data: Data<'_>) -> PyResult<&'static str> {
    let data = data.as_slice();
    let opened = py.detach(|| frame::open(data, None).map(|opened| opened.framing()));
    opened.map(Framing::name).map_err(|error| refused(&error))
}

/// The CRC-32 of zip and PNG, as Python's zlib has it, at the speed of the processor's own instructions;
/// `value` is that of what lies before the data.
#[pyfunction]
#[pyo3(signature = (data, value = 0))]
fn crc32(py: Python<'_>, data: Data<'_>, value: u32) -> u32 {
    let data = data.as_slice();
    py.detach(|| {
        let mut hasher = crc32fast::Hasher::new_with_initial(value);
        hasher.update(data);
        hasher.finalize()
    })
}

#[pyfunction]
fn tables() -> Vec<(&'static str, &'static str, &'static str)> {
    TABLES.iter().map(|table| (table.name, table.version, table.description)).collect()
}

fn find(table: &str) -> PyResult<Table> {
    Table::find(table).map_err(|error| refused(&error))
}

#[pyfunction]
#[pyo3(signature = (table, decoded = false))]
fn schema(table: &str, decoded: bool) -> PyResult<PySchema> {
    Ok(PySchema::new(find(table)?.schema(decoded)))
}

#[pyfunction]
fn spec_json(py: Python<'_>, code: Data<'_>) -> Option<String> {
    let code = code.as_slice();
    py.detach(|| wasm::spec_json(code))
}

#[pyfunction]
fn spec_status(py: Python<'_>, code: Data<'_>) -> &'static str {
    let code = code.as_slice();
    py.detach(|| wasm::Interface::of(code).word())
}

#[pyfunction]
fn meta_json(py: Python<'_>, code: Data<'_>) -> Option<String> {
    let code = code.as_slice();
    py.detach(|| wasm::meta_json(code))
}

#[pyfunction]
#[pyo3(name = "describe")]
fn py_describe(scval: &str) -> PyResult<String> {
    describe::describe(scval).map_err(|error| refused(&error))
}

#[pyfunction]
fn unescape(text: &str) -> Option<Cow<'static, [u8]>> {
    escape::bytes(text).map(Cow::Owned)
}

#[pyfunction]
fn keys(table: &str) -> PyResult<Vec<&'static str>> {
    Ok(find(table)?.key.to_vec())
}

#[pyfunction]
fn event_words(table: &str) -> Vec<&'static str> {
    filter::event_words(table)
}

#[pymodule]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::{
        CoreError, Figures, Options, PyGathered, PyGatherer, PyKnowledge, PyOrder, PyRun, Splitter,
        Synth, TextFilters, TypedPlan, crc32, csv_text, cut, event_words, few_rows, framing,
        json_text, keys, may_hold, meta_json, py_decode, py_describe, py_stream, schema, sequences,
        spec_json, spec_status, tables, text_size, unescape, write,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
