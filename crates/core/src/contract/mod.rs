//! What a contract's WebAssembly says of the contract.

pub mod model;
pub(crate) mod spec;
pub mod wasm;
