//! Figures over time windows, as Python sees them; see `_core.pyi`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::PyRecordBatch;
use stellarrow_analytics::analytics::Analytics;
use stellarrow_analytics::series::Room;

use crate::convert::{Data, batch_of};

/// A table, a window, and a key, or none for all together; or what keys are ordered by, and how many.
type Question = (String, String, Option<String>, Option<(String, usize)>);
type Answer = (PyRecordBatch, (u32, u32));

fn answer(counted: &Analytics, question: &Question) -> PyResult<Answer> {
    let (table, window, key, ranked) = question;
    let found = match ranked {
        Some((by, limit)) => counted.foremost(table, window, by, *limit),
        None => counted.series(table, window, key.as_deref()),
    };
    let found = found.map_err(bad)?.ok_or_else(|| bad(format!("{table} has no such figures")))?;
    Ok((PyRecordBatch::new(found), counted.ledgers(table)))
}

/// Every window of everything; any thread may ask while one counts.
#[pyclass(frozen)]
pub struct Figures(Mutex<Analytics>);

fn bad(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Figures {
    fn lock(&self) -> MutexGuard<'_, Analytics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Figures {
    #[new]
    #[pyo3(signature = (most_keys, most_bytes, only = None, keeps_all = false))]
    fn new(most_keys: usize, most_bytes: usize, only: Option<&str>, keeps_all: bool) -> Self {
        let room = Room { most_keys, most_bytes, only, keeps_all };
        Self(Mutex::new(Analytics::new(room)))
    }

    fn feed(
        &self,
        py: Python<'_>,
        tables: Vec<(String, Bound<'_, PyAny>)>,
        ledger: u32,
        closed_at: i64,
    ) -> PyResult<()> {
        let batches = tables.into_iter().map(|(table, batch)| Ok((table, batch_of(&batch)?)));
        let batches = batches.collect::<PyResult<Vec<_>>>()?;
        py.detach(|| {
            let mut counted = self.lock();
            batches.iter().try_for_each(|(table, batch)| {
                counted
                    .add(table, batch, ledger, closed_at)
                    .map_err(|error| bad(format!("{table} cannot be counted: {error}")))
            })
        })
    }

    fn ledgers(&self, table: &str) -> (u32, u32) {
        self.lock().ledgers(table)
    }

    #[getter]
    fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    fn limit(&self, most_bytes: usize) {
        self.lock().limit(most_bytes);
    }

    /// Answers every question at one moment, each with the ledgers of its table that are counted then.
    fn ask(&self, py: Python<'_>, questions: Vec<Question>) -> PyResult<Vec<Answer>> {
        py.detach(|| {
            let counted = self.lock();
            questions.iter().map(|question| answer(&counted, question)).collect()
        })
    }

    fn saved<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.lock().saved());
        PyBytes::new(py, &bytes)
    }

    fn restore(&self, py: Python<'_>, data: Data<'_>) -> PyResult<()> {
        let bytes = data.as_slice();
        py.detach(|| self.lock().restore(bytes)).map_err(bad)
    }
}
