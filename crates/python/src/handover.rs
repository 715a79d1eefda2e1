//! Batches that Python makes, handed on as an Arrow stream. Whatever goes wrong is told as its message alone: a
//! stream of pyarrow's own would tell its traceback.

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader, PySchema};

/// A pass over batches; dropping it closes the generator that makes them.
struct Handover {
    schema: SchemaRef,
    batches: Py<PyIterator>,
}

impl Iterator for Handover {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| {
            let made = self.batches.bind(py).clone().next()?;
            let batch = made.and_then(|batch| batch.extract::<PyRecordBatch>());
            Some(batch.map(PyRecordBatch::into_inner).map_err(|error| told(py, &error)))
        })
    }
}

impl RecordBatchReader for Handover {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        // Where the interpreter is gone, so is the generator; what closing raises, nobody can be told. An error that
        // is on its way while the stream is let go of must not be lost.
        Python::try_attach(|py| {
            let pending = PyErr::take(py);
            let _ = self.batches.call_method0(py, "close");
            pending.into_iter().for_each(|error| error.restore(py));
        });
    }
}

fn told(py: Python<'_>, error: &PyErr) -> ArrowError {
    ArrowError::ExternalError(error.value(py).to_string().into())
}

#[pyfunction]
#[pyo3(name = "stream")]
pub fn py_stream(schema: PySchema, batches: Py<PyIterator>) -> PyRecordBatchReader {
    PyRecordBatchReader::new(Box::new(Handover { schema: schema.into_inner(), batches }))
}
