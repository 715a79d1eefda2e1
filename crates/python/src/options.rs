//! What to decode and how, checked once.

use pyo3::prelude::*;
use stellarrow_core::decode::Request;
use stellarrow_core::error::Result;
use stellarrow_core::filter::Wanted;
use stellarrow_core::tables::{Table, Transfers};

use crate::convert::refused;

/// What to decode and how; see `_core.pyi`.
#[pyclass(frozen)]
pub struct Options(pub Request);

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (tables, *, passphrase,
        contract_ids = vec![], asset_codes = vec![], asset_issuers = vec![], event_names = vec![],
        event_types = vec![], accounts = vec![], include_deleted = true, diagnostics = false,
        decoded = false, transfers = "derive", verify_chain = true,
        dictionaries = false))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        tables: Vec<String>,
        passphrase: &str,
        contract_ids: Vec<String>,
        asset_codes: Vec<String>,
        asset_issuers: Vec<String>,
        event_names: Vec<String>,
        event_types: Vec<String>,
        accounts: Vec<String>,
        include_deleted: bool,
        diagnostics: bool,
        decoded: bool,
        transfers: &str,
        verify_chain: bool,
        dictionaries: bool,
    ) -> PyResult<Self> {
        let exclude_deleted = !include_deleted;
        let wanted = Wanted {
            contract_ids,
            asset_codes,
            asset_issuers,
            event_names,
            event_types,
            accounts,
            exclude_deleted,
        };
        let request = || -> Result<Request> {
            let tables: Vec<_> =
                tables.iter().map(|name| Table::find(name)).collect::<Result<_>>()?;
            Ok(Request::new(&tables, passphrase, &wanted)?
                .diagnostics(diagnostics)
                .decoded(decoded)
                .transfers(Transfers::parse(transfers)?)
                .verify_chain(verify_chain)
                .dictionaries(dictionaries))
        };
        request().map(Self).map_err(|error| refused(&error))
    }
}
