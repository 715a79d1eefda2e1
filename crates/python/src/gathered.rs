//! Rows of many batches, as Python sees them; see `_core.pyi`.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_schema::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3_arrow::{PyRecordBatch, PySchema};
use stellarrow_runs::{self as runs, Gathered, Gatherer, Order};

use crate::convert::batch_of;

fn refused(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pyfunction]
pub fn text_size(py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<usize> {
    let batch = batch_of(batch)?;
    Ok(py.detach(|| runs::text_size(&batch)))
}

/// Takes batches in; see `_core.pyi`.
#[pyclass(name = "Gatherer")]
pub struct PyGatherer(Gatherer);

#[pymethods]
impl PyGatherer {
    #[new]
    #[pyo3(signature = (schema, sort_by = None))]
    fn new(schema: PySchema, sort_by: Option<&str>) -> PyResult<Self> {
        Gatherer::new(schema.into_inner(), sort_by).map(Self).map_err(refused)
    }

    fn append(&mut self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<()> {
        let batch = batch_of(batch)?;
        py.detach(|| self.0.append(&batch)).map_err(refused)
    }

    fn fit(
        &mut self,
        py: Python<'_>,
        batch: &Bound<'_, PyAny>,
        rows: usize,
        text: usize,
    ) -> PyResult<Option<usize>> {
        let batch = batch_of(batch)?;
        py.detach(|| self.0.fit(&batch, rows, text)).map_err(refused)
    }

    fn take(&mut self) -> PyGathered {
        PyGathered(Arc::new(self.0.take()))
    }
}

/// All rows of some batches; see `_core.pyi`.
#[pyclass(name = "Gathered", frozen)]
pub struct PyGathered(Arc<Gathered>);

#[pymethods]
impl PyGathered {
    fn __len__(&self) -> usize {
        self.0.rows()
    }

    #[pyo3(signature = (sort_by = None, places = None))]
    fn order(
        &self,
        py: Python<'_>,
        sort_by: Option<&str>,
        places: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyOrder> {
        let places = places.map(batch_of).transpose()?;
        let rows = self.0.clone();
        py.detach(|| {
            let held = places.as_ref().and_then(|batch| batch.columns().first());
            let places = held.and_then(|column| column.as_primitive_opt::<UInt32Type>());
            let (order, ends) = rows.order(sort_by, places.map(|places| &**places.values()))?;
            Ok(PyOrder { rows: rows.clone(), order, ends })
        })
        .map_err(refused)
    }
}

/// Rows in an order; see `_core.pyi`.
#[pyclass(name = "Order", frozen)]
pub struct PyOrder {
    rows: Arc<Gathered>,
    order: Order,
    /// Where the rows of each place end.
    #[pyo3(get)]
    ends: Vec<usize>,
}

#[pymethods]
impl PyOrder {
    #[pyo3(signature = (start, stop, names = None))]
    fn block(
        &self,
        py: Python<'_>,
        start: usize,
        stop: usize,
        names: Option<Vec<String>>,
    ) -> PyResult<PyRecordBatch> {
        let made = py.detach(|| self.rows.block(&self.order, start..stop, names.as_deref()));
        made.map(PyRecordBatch::new).map_err(refused)
    }
}
