//! What a contract's WebAssembly says of the contract.

pub(crate) mod spec;
pub mod wasm;
