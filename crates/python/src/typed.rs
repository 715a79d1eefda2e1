//! Typed tables of contracts, as Python sees them; see `_core.pyi`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::{PyRecordBatch, PySchema};
use stellarrow_core::decode::typed as ledgers;
use stellarrow_core::decode::{self, Request};
use stellarrow_core::error::{Error, Result};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;
use stellarrow_core::typed::{Executable, Hash, Knowledge, Plan, Rows, Targets, TypedTable, loose};
use stellarrow_core::values::key_of;

use crate::convert::{Data, refused};
use crate::runs::PyRun;

/// Known of contracts; any thread may ask while one learns.
#[pyclass(frozen, name = "Knowledge")]
pub struct PyKnowledge(Mutex<Knowledge>);

fn request(passphrase: &str, framing: &str, ledgers: Option<(u32, u32)>) -> Result<Request> {
    let request = Request::new(&[], passphrase, &Wanted::default())?;
    Ok(request.framing(Framing::parse(framing)?).ledgers(ledgers))
}

fn told<T>(made: Result<T>) -> PyResult<T> {
    made.map_err(|error| refused(&error))
}

fn executable(hash: Option<&str>) -> Result<Executable> {
    hash.map_or(Ok(Executable::StellarAsset), |hash| Ok(Executable::Wasm(key_of(hash)?)))
}

type Ran = (Option<u32>, Option<String>);

#[pymethods]
impl PyKnowledge {
    #[new]
    fn new(targets: Vec<String>) -> PyResult<Self> {
        let mut read = Targets::default();
        told(targets.iter().try_for_each(|target| read.add(target)))?;
        Ok(Self(Mutex::new(Knowledge::new(read))))
    }

    #[pyo3(signature = (data, passphrase, framing = "auto", ledgers = None, verify_chain = true))]
    fn learn(
        &self,
        py: Python<'_>,
        data: Data<'_>,
        passphrase: &str,
        framing: &str,
        ledgers: Option<(u32, u32)>,
        verify_chain: bool,
    ) -> PyResult<()> {
        let request = told(request(passphrase, framing, ledgers))?.verify_chain(verify_chain);
        let data = data.as_slice();
        told(py.detach(|| ledgers::learn(data, &request, &mut self.lock())))
    }

    fn add_code(&self, py: Python<'_>, hash: &str, code: Data<'_>) -> PyResult<()> {
        let hash = told(key_of(hash))?;
        let code = code.as_slice();
        py.detach(|| self.lock().add_code(hash, code));
        Ok(())
    }

    fn pin(&self, contract: &str, hash: Option<&str>) -> PyResult<()> {
        let (contract, executable) = (told(key_of(contract))?, told(executable(hash))?);
        self.lock().pin(contract, executable);
        Ok(())
    }

    fn note(&self, contract: &str, ledger: u32, hash: Option<&str>) -> PyResult<()> {
        let (contract, executable) = (told(key_of(contract))?, told(executable(hash))?);
        self.lock().note(contract, ledger, executable);
        Ok(())
    }

    fn sample(&self, contract: &str, items: Vec<Item<'_>>) -> PyResult<()> {
        let contract = told(key_of(contract))?;
        let mut known = self.lock();
        for (key, val) in &items {
            known.sample(contract, key.as_bytes(), val.as_ref().map(|val| val.as_bytes()));
        }
        Ok(())
    }

    fn history(&self, contract: &str) -> PyResult<Vec<Ran>> {
        let contract = told(key_of(contract))?;
        let word = |(executable, ledger)| match executable {
            Executable::Wasm(hash) => (ledger, Some(decode::hash_text(&hash))),
            Executable::StellarAsset | Executable::External(_) => (ledger, None),
        };
        let known = self.lock();
        let ran = known.history(&contract).map(|history| history.executables());
        Ok(ran.unwrap_or_default().into_iter().map(word).collect())
    }

    fn seed(&self, name: &str, columns: PySchema, interfaces: &str) {
        let own = columns.into_inner();
        let own = own.fields().iter().map(|field| field.as_ref().clone()).collect();
        self.lock().seed(name, own, interfaces);
    }

    fn freeze(&self) {
        self.lock().freeze();
    }

    #[getter]
    fn changes(&self) -> u64 {
        self.lock().changes()
    }

    fn missing(&self) -> Vec<String> {
        self.lock().missing().iter().map(decode::hash_text).collect()
    }

    fn plan(&self, py: Python<'_>) -> TypedPlan {
        py.detach(|| TypedPlan(Arc::new(Plan::of(&self.lock()))))
    }
}

impl PyKnowledge {
    fn lock(&self) -> MutexGuard<'_, Knowledge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Typed tables, compiled; any number of threads may decode with it.
#[pyclass(frozen)]
pub struct TypedPlan(Arc<Plan>);

type Described = (String, &'static str, Vec<&'static str>);
type Batches = Vec<Option<PyRecordBatch>>;
type Decoded = (Batches, Option<PyRun>);
type Event<'py> = (Vec<Bound<'py, PyBytes>>, Bound<'py, PyBytes>);
type Item<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);

#[pymethods]
impl TypedPlan {
    fn tables(&self) -> Vec<Described> {
        let row = |table: &TypedTable| {
            let rows = match table.rows {
                Rows::Events => "events",
                Rows::Storage => "storage",
            };
            (table.name.clone(), rows, table.key.to_vec())
        };
        self.0.tables.iter().map(row).collect()
    }

    fn schema(&self, place: usize) -> PyResult<PySchema> {
        Ok(PySchema::new(self.table(place)?.schema.clone()))
    }

    fn own(&self, place: usize) -> PyResult<PySchema> {
        let table = self.table(place)?;
        let metadata = table.schema.metadata().clone();
        Ok(PySchema::new(Arc::new(Schema::new_with_metadata(table.own.clone(), metadata))))
    }

    #[getter]
    fn lacking(&self) -> Vec<(String, String)> {
        self.0.lacking.clone()
    }

    #[pyo3(signature = (data, names, passphrase, framing = "auto", ledgers = None,
        verify_chain = true, verify_hashes = false))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn decode(
        &self,
        py: Python<'_>,
        data: Data<'_>,
        names: Vec<String>,
        passphrase: &str,
        framing: &str,
        ledgers: Option<(u32, u32)>,
        verify_chain: bool,
        verify_hashes: bool,
    ) -> PyResult<Decoded> {
        let request = told(request(passphrase, framing, ledgers))?;
        let request = request.verify_chain(verify_chain).verify_hashes(verify_hashes);
        let wanted = self.wanted(&names);
        let data = data.as_slice();
        let made = py.detach(|| ledgers::decode(data, &request, &self.0, &wanted));
        let (batches, run) = told(made)?;
        Ok((as_python(batches), run.map(PyRun::from)))
    }

    fn rows(
        &self,
        contract: &str,
        names: Vec<String>,
        protocol: u32,
        events: Vec<Event<'_>>,
        items: Vec<Item<'_>>,
    ) -> PyResult<Batches> {
        let contract: Hash = told(key_of(contract))?;
        let wanted = self.wanted(&names);
        let event = |(topics, data): &'_ Event<'_>| -> (Vec<Vec<u8>>, Vec<u8>) {
            (topics.iter().map(|one| one.as_bytes().to_vec()).collect(), data.as_bytes().to_vec())
        };
        let held: Vec<_> = events.iter().map(event).collect();
        let events: Vec<_> = held
            .iter()
            .map(|(topics, data)| (topics.iter().map(Vec::as_slice).collect(), data.as_slice()))
            .collect();
        let items: Vec<_> = items
            .iter()
            .map(|(key, val)| (key.as_bytes(), val.as_ref().map(|val| val.as_bytes())))
            .collect();
        let made = loose::rows(&self.0, &wanted, &contract, protocol, &events, &items);
        Ok(as_python(told(made)?))
    }
}

impl TypedPlan {
    fn wanted(&self, names: &[String]) -> Vec<bool> {
        let names: HashSet<&String> = names.iter().collect();
        self.0.tables.iter().map(|table| names.contains(&table.name)).collect()
    }

    fn table(&self, place: usize) -> PyResult<&TypedTable> {
        let unknown = || Error::Config(format!("there is no typed table {place}"));
        told(self.0.tables.get(place).ok_or_else(unknown))
    }
}

fn as_python(batches: Vec<Option<RecordBatch>>) -> Batches {
    batches.into_iter().map(|batch| batch.map(PyRecordBatch::new)).collect()
}
