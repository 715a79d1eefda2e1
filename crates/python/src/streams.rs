//! Streams of ledgers: cut into pieces, put into framings, made up.

use arrow_buffer::Buffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::buffer::PyArrowBuffer;
use stellarrow_core::decode;
use stellarrow_core::frame::{self, Framing};
use stellarrow_core::synth::{self, Recipe};

use crate::convert::{CoreError, Data, refused};

/// Cuts a stream into pieces of whole ledgers; see `_core.pyi`.
#[pyclass]
pub struct Splitter(frame::Splitter);

fn pieces(pieces: Vec<Vec<u8>>) -> Vec<PyArrowBuffer> {
    pieces.into_iter().map(|piece| PyArrowBuffer::new(Buffer::from_vec(piece))).collect()
}

#[pymethods]
impl Splitter {
    #[new]
    #[pyo3(signature = (framing = "auto", piece_bytes = 33_554_432))]
    fn new(framing: &str, piece_bytes: usize) -> PyResult<Self> {
        let framing = Framing::parse(framing).map_err(|error| refused(&error))?;
        Ok(Self(frame::Splitter::new(framing, piece_bytes)))
    }

    fn feed(&mut self, py: Python<'_>, data: Data<'_>) -> PyResult<Vec<PyArrowBuffer>> {
        let data = data.as_slice();
        py.detach(|| self.0.feed(data)).map(pieces).map_err(|error| refused(&error))
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Vec<PyArrowBuffer>> {
        py.detach(|| self.0.finish()).map(pieces).map_err(|error| refused(&error))
    }

    /// The framing of the pieces.
    #[getter]
    fn framing(&self) -> &'static str {
        Framing::RecordMarked.name()
    }
}

/// What ledgers lie in where that is not the data, its framing, and each ledger's sequence, begin and end there.
type Places = (Option<PyArrowBuffer>, &'static str, Vec<(u32, usize, usize)>);

/// Find each ledger in the data, decompressed where need be; see `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (data, framing = "auto"))]
pub fn cut(py: Python<'_>, data: Data<'_>, framing: &str) -> PyResult<Places> {
    let framing = Framing::parse(framing).map_err(|error| refused(&error))?;
    let data = data.as_slice();
    let cut = py.detach(|| decode::cut(data, framing)).map_err(|error| refused(&error))?;
    let bytes = cut.bytes.map(|bytes| PyArrowBuffer::new(Buffer::from_vec(bytes)));
    let places = cut.ledgers.into_iter().map(|(ledger, place)| (ledger, place.start, place.end));
    Ok((bytes, cut.framing.name(), places.collect()))
}

/// An endless run of synthetic ledgers; see `_core.pyi`.
#[pyclass]
pub struct Synth(synth::Synth);

#[pymethods]
impl Synth {
    #[new]
    #[pyo3(signature = (*, seed, first, contracts, ledger_bytes, passphrase))]
    fn new(
        seed: u64,
        first: u32,
        contracts: u32,
        ledger_bytes: Option<usize>,
        passphrase: String,
    ) -> PyResult<Self> {
        let recipe = Recipe { seed, first, contracts, ledger_bytes, passphrase };
        let refuse = |message| {
            CoreError::new_err(("config", message, None::<u32>, None::<String>, None::<usize>))
        };
        synth::Synth::new(recipe).map(Self).map_err(refuse)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let ledger = py.detach(|| self.0.next());
        ledger.map(|ledger| PyBytes::new(py, &ledger))
    }
}

/// Put ledgers into a framing, in zstd where a level is given.
#[pyfunction]
#[pyo3(name = "frame", signature = (ledgers, framing, compression_level = None))]
pub fn write<'py>(
    py: Python<'py>,
    ledgers: Vec<Data<'py>>,
    framing: &str,
    compression_level: Option<i32>,
) -> PyResult<Bound<'py, PyBytes>> {
    let ledgers: Vec<&[u8]> = ledgers.iter().map(Data::as_slice).collect();
    let write = || {
        let framing = Framing::parse(framing)?.unwrap_or(Framing::RecordMarked);
        let framed = frame::write(&ledgers, framing)?;
        match compression_level {
            Some(level) => frame::compress(&framed, level),
            None => Ok(framed),
        }
    };
    let framed = py.detach(write).map_err(|error| refused(&error))?;
    Ok(PyBytes::new(py, &framed))
}
