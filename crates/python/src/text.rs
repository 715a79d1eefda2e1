//! Rows as text, as Python sees them; see `_core.pyi`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::buffer::PyArrowBuffer;
use stellarrow_analytics::bloom::{self, Filters};
use stellarrow_text::{Form, rows};

use crate::convert::{Data, batch_of};

/// Text that Python reads where it lies: it is megabytes.
fn written(
    py: Python<'_>,
    batch: &Bound<'_, PyAny>,
    form: &Form<'_>,
) -> PyResult<Option<PyArrowBuffer>> {
    let batch = batch_of(batch)?;
    let text = py.detach(|| rows(&batch, form));
    Ok(text.map(|text| PyArrowBuffer::new(text.into())))
}

#[pyfunction]
pub fn json_text(
    py: Python<'_>,
    batch: &Bound<'_, PyAny>,
    end: &str,
) -> PyResult<Option<PyArrowBuffer>> {
    written(py, batch, &Form::Json(end))
}

#[pyfunction]
pub fn csv_text(py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<Option<PyArrowBuffer>> {
    written(py, batch, &Form::Csv)
}

#[pyclass]
#[derive(Default)]
pub struct TextFilters(Filters);

#[pymethods]
impl TextFilters {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn filter<'py>(
        &mut self,
        py: Python<'py>,
        batch: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let batch = batch_of(batch)?;
        let filter = py.detach(|| self.0.filter_of(batch.columns()));
        Ok(filter.map(|filter| PyBytes::new(py, &filter)))
    }
}

#[pyfunction]
pub fn may_hold(filter: Data<'_>, text: &str) -> bool {
    bloom::may_hold(filter.as_slice(), text)
}
