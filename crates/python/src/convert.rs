//! What crosses the border: bytes on the way in, errors on the way out.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use pyo3_arrow::{PyArray, PyRecordBatch};
use stellarrow_core::error::Error;

pyo3::create_exception!(
    _core,
    CoreError,
    PyException,
    "What the core refuses: args are (kind, message, ledger, path, offset)."
);

/// An error as `CoreError`.
pub fn refused(error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Decode { ledger, path, offset, .. } => {
            CoreError::new_err(("decode", message, *ledger, path.clone(), *offset))
        }
        Error::Network { ledger, .. } => place("network", message, Some(*ledger)),
        Error::Chain { ledger, .. } => place("chain", message, Some(*ledger)),
        Error::Config(_) => place("config", message, None),
    }
}

fn place(kind: &'static str, message: String, ledger: Option<u32>) -> PyErr {
    CoreError::new_err((kind, message, ledger, None::<String>, None::<usize>))
}

/// Bytes-like data: `bytes` and Arrow's arrays of bytes as they lie, since nobody changes them; anything else
/// copied, as it may change while we read.
pub enum Data<'py> {
    /// As they lie.
    Bytes(Bound<'py, PyBytes>),
    /// As they lie, in an array that whoever made it keeps until we let go of it.
    Array(PrimitiveArray<UInt8Type>),
    /// A copy.
    Copied(Vec<u8>),
}

impl<'py> Data<'py> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Array(bytes) => bytes.values(),
            Self::Copied(bytes) => bytes,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Data<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.to_owned()));
        }
        if object.hasattr("__arrow_c_array__")? {
            let (array, _) = object.extract::<PyArray>()?.into_inner();
            let bytes =
                array.as_primitive_opt::<UInt8Type>().filter(|bytes| bytes.null_count() == 0);
            let refused =
                || PyTypeError::new_err("an array of bytes is one of uint8, none of them null");
            return bytes.cloned().map(Self::Array).ok_or_else(refused);
        }
        PyBuffer::<u8>::get(&object)?.to_vec(object.py()).map(Self::Copied)
    }
}

/// Bytes-like data, one or a list of them.
pub struct Pieces<'py>(pub Vec<Data<'py>>);

impl<'py> FromPyObject<'_, 'py> for Pieces<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyList>() {
            Ok(list) => list.iter().map(|one| one.extract()).collect::<PyResult<_>>().map(Self),
            Err(_) => Ok(Self(vec![object.extract()?])),
        }
    }
}

/// A batch of the core as it is, any other through the C data interface.
pub fn batch_of(object: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    match object.cast::<PyRecordBatch>() {
        Ok(ours) => Ok(ours.get().as_ref().clone()),
        Err(_) => Ok(object.extract::<PyRecordBatch>()?.into_inner()),
    }
}
