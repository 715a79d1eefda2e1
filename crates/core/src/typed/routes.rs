//! Where the values of one contract's rows go, under one interface.

use std::collections::HashMap;
use std::sync::Arc;

use super::columns::Placed;
use super::interface::{Interface, Key, Value};

/// An interface and its routes.
pub struct Version {
    /// The interface.
    pub interface: Arc<Interface>,
    /// The code it is of; `None` for the Stellar Asset Contract.
    pub wasm: Option<[u8; 32]>,
    /// By the event's place in the interface.
    pub events: Vec<EventRoute>,
    /// By the union's and the case's place in the interface.
    pub cases: HashMap<(usize, usize), StorageRoute>,
    /// By symbol.
    pub symbols: HashMap<Vec<u8>, StorageRoute>,
    /// For keys of no name.
    pub other: StorageRoute,
}

/// Where an event goes.
pub struct EventRoute {
    /// The table.
    pub table: usize,
    /// The columns of each param.
    pub params: Vec<Placed>,
}

/// Where a storage item goes.
#[derive(Default)]
pub struct StorageRoute {
    /// The table.
    pub table: usize,
    /// The case's or symbol's name.
    pub name: Option<String>,
    /// The columns of each of the case's values.
    pub arguments: Vec<Placed>,
    /// The columns of keys without a name.
    pub keys: HashMap<Value, Placed>,
    /// The columns of values.
    pub values: HashMap<Value, Placed>,
}

impl Version {
    /// Where items with this key go.
    pub fn storage(&self, key: Key, symbol: Option<&[u8]>) -> &StorageRoute {
        let found = match key {
            Key::Case { union, case } => self.cases.get(&(union, case)),
            Key::Symbol => symbol.and_then(|symbol| self.symbols.get(symbol)),
            Key::Other => None,
        };
        found.unwrap_or(&self.other)
    }
}
