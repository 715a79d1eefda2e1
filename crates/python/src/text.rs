//! Rows as text, as Python sees them; see `_core.pyi`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stellarrow_text::{Form, rows};

use crate::convert::batch_of;

fn written<'py>(
    py: Python<'py>,
    batch: &Bound<'_, PyAny>,
    form: &Form<'_>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let batch = batch_of(batch)?;
    let text = py.detach(|| rows(&batch, form));
    Ok(text.map(|text| PyBytes::new(py, &text)))
}

#[pyfunction]
pub fn json_text<'py>(
    py: Python<'py>,
    batch: &Bound<'_, PyAny>,
    end: &str,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    written(py, batch, &Form::Json(end))
}

#[pyfunction]
pub fn csv_text<'py>(
    py: Python<'py>,
    batch: &Bound<'_, PyAny>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    written(py, batch, &Form::Csv)
}
