//! Figures over time windows, as Python sees them; see `_core.pyi`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3_arrow::PyRecordBatch;
use stellarrow_analytics::answers;
use stellarrow_analytics::contracts::ActivityWindows;
use stellarrow_analytics::network::LedgerWindows;
use stellarrow_analytics::transfers::TransferWindows;

struct Counted {
    ledgers: LedgerWindows,
    transfers: TransferWindows,
    events: ActivityWindows,
    entries: ActivityWindows,
}

/// Every window of everything; any thread may ask while one counts.
#[pyclass(frozen)]
pub struct Figures(Mutex<Counted>);

fn bad(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Figures {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Figures {
    #[new]
    fn new(most_keys: usize, most_bytes: usize) -> Self {
        Self(Mutex::new(Counted {
            ledgers: LedgerWindows::default(),
            transfers: TransferWindows::new(most_keys, most_bytes / 2),
            events: ActivityWindows::new(most_keys, most_bytes / 4),
            entries: ActivityWindows::new(most_keys, most_bytes / 4),
        }))
    }

    /// Counts one table's rows of whole ledgers.
    fn add(&self, py: Python<'_>, table: &str, batch: PyRecordBatch) -> PyResult<()> {
        let batch = batch.into_inner();
        py.detach(|| {
            let mut counted = self.lock();
            match table {
                "ledgers" => counted.ledgers.add(&batch),
                "token_transfers" => counted.transfers.add(&batch),
                "contract_events" => counted.events.add_events(&batch),
                "contract_data" => counted.entries.add_entries(&batch),
                _ => Ok(()),
            }
        })
        .map_err(bad)
    }

    /// Says that every row of a table up to a ledger, which closed at a time in seconds, has come.
    fn complete(&self, table: &str, ledger: u32, closed_at: i64) {
        let mut counted = self.lock();
        match table {
            "token_transfers" => counted.transfers.complete(ledger, closed_at),
            "contract_events" => counted.events.complete(ledger, closed_at),
            "contract_data" => counted.entries.complete(ledger, closed_at),
            _ => {}
        }
    }

    /// The first and the last ledger of a table that are counted; (0, 0) before there is one.
    fn ledgers(&self, table: &str) -> (u32, u32) {
        let counted = self.lock();
        match table {
            "ledgers" => (counted.ledgers.series().first(), counted.ledgers.series().last()),
            "token_transfers" => {
                (counted.transfers.series().first(), counted.transfers.series().last())
            }
            "contract_events" => (counted.events.series().first(), counted.events.series().last()),
            "contract_data" => (counted.entries.series().first(), counted.entries.series().last()),
            _ => (0, 0),
        }
    }

    /// Bytes of all, about.
    #[getter]
    fn bytes(&self) -> usize {
        let counted = self.lock();
        counted.ledgers.series().bytes()
            + counted.transfers.series().bytes()
            + counted.events.series().bytes()
            + counted.entries.series().bytes()
    }

    /// The windows of a kind, for one key or all together; None where the key is not known.
    fn series(
        &self,
        py: Python<'_>,
        table: &str,
        window: &str,
        key: Option<&str>,
    ) -> PyResult<Option<PyRecordBatch>> {
        let found = py.detach(|| {
            let counted = self.lock();
            match table {
                "ledgers" => answers::series(counted.ledgers.series(), window, key),
                "token_transfers" => answers::series(counted.transfers.series(), window, key),
                "contract_events" => answers::series(counted.events.series(), window, key),
                "contract_data" => answers::series(counted.entries.series(), window, key),
                _ => Ok(None),
            }
        });
        Ok(found.map_err(bad)?.map(PyRecordBatch::new))
    }

    /// The foremost keys in the open window of a kind; None where nothing can be ordered so.
    fn foremost(
        &self,
        py: Python<'_>,
        table: &str,
        window: &str,
        by: &str,
        limit: usize,
    ) -> PyResult<Option<PyRecordBatch>> {
        let found = py.detach(|| {
            let counted = self.lock();
            match table {
                "token_transfers" => {
                    answers::foremost(counted.transfers.series(), window, by, limit)
                }
                "contract_events" => answers::foremost(counted.events.series(), window, by, limit),
                "contract_data" => answers::foremost(counted.entries.series(), window, by, limit),
                _ => Ok(None),
            }
        });
        Ok(found.map_err(bad)?.map(PyRecordBatch::new))
    }
}
