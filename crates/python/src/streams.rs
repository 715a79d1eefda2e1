//! Streams of ledgers: cut into pieces, put into framings, made up.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stellarrow_core::frame::{self, Framing};
use stellarrow_core::synth::{self, Recipe};

use crate::convert::{CoreError, Data, refused};

/// Cuts a stream into pieces of whole ledgers; see `_core.pyi`.
#[pyclass]
pub struct Splitter(frame::Splitter);

fn pieces(py: Python<'_>, pieces: Vec<Vec<u8>>) -> Vec<Bound<'_, PyBytes>> {
    pieces.iter().map(|piece| PyBytes::new(py, piece)).collect()
}

#[pymethods]
impl Splitter {
    #[new]
    #[pyo3(signature = (framing = "auto", piece_bytes = 33_554_432))]
    fn new(framing: &str, piece_bytes: usize) -> PyResult<Self> {
        let framing = Framing::parse(framing).map_err(|error| refused(&error))?;
        Ok(Self(frame::Splitter::new(framing, piece_bytes)))
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: Data<'_>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let data = data.as_slice();
        let cut = py.detach(|| self.0.feed(data)).map_err(|error| refused(&error))?;
        Ok(pieces(py, cut))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let cut = py.detach(|| self.0.finish()).map_err(|error| refused(&error))?;
        Ok(pieces(py, cut))
    }

    /// The framing of the pieces.
    #[getter]
    fn framing(&self) -> &'static str {
        Framing::RecordMarked.name()
    }
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
    ledgers: Vec<Bound<'py, PyBytes>>,
    framing: &str,
    compression_level: Option<i32>,
) -> PyResult<Bound<'py, PyBytes>> {
    let ledgers: Vec<&[u8]> = ledgers.iter().map(|ledger| ledger.as_bytes()).collect();
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
