//! What typed tables are, and whose.

use std::collections::HashMap;

use arrow_schema::{FieldRef, SchemaRef};

use super::knowledge::Hash;
use super::routes::StorageRoute;

/// What a table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Events.
    Events,
    /// Changes of storage.
    Storage,
}

/// A typed table.
#[derive(Debug, Clone)]
pub struct TypedTable {
    /// `typed:TARGET/events/NAME` or `typed:TARGET/storage/CASE`.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// What its rows are.
    pub rows: Rows,
    /// The columns of the contract's own.
    pub own: Vec<FieldRef>,
    /// The columns that make a row unique for ever.
    pub key: &'static [&'static str],
}

/// What an interface is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spec {
    /// Code with this hash.
    Wasm(Hash),
    /// The Stellar Asset Contract, up to protocol 22 or from 23 on.
    Asset(bool),
}

/// A target's tables.
pub struct Target {
    /// Its versions' places in the plan.
    pub versions: HashMap<Spec, usize>,
    /// The table of events of no name.
    pub other_events: usize,
    /// Where storage goes of which no interface is known.
    pub other_storage: StorageRoute,
}
