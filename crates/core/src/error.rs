//! What can go wrong, each with the place and the remedy.

use arrow_schema::ArrowError;

use crate::xdr::Fault;

/// Why nothing came out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not what they should be.
    #[error("{}{} at byte {offset}: {reason}", place(.ledger), or_data(.path))]
    Decode {
        /// The ledger's sequence number, where it could be read.
        ledger: Option<u32>,
        /// The value's path in the protocol's own names.
        path: String,
        /// Bytes from the start of the data, uncompressed and as XDR.
        offset: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The ledgers are another network's.
    #[error(
        "ledger {ledger}: no transaction's hash fits the network passphrase {passphrase:?}; \
         name the network these ledgers come from"
    )]
    Network {
        /// The first ledger with a transaction.
        ledger: u32,
        /// The passphrase that does not fit.
        passphrase: String,
    },
    /// A ledger does not follow the one before it.
    #[error("ledger {ledger}: {reason}")]
    Chain {
        /// The ledger that does not follow.
        ledger: u32,
        /// Both hashes or numbers, and what to do.
        reason: String,
    },
    /// The caller asked for what there is not.
    #[error("{0}")]
    Config(String),
}

fn place(ledger: &Option<u32>) -> String {
    ledger.map_or_else(String::new, |ledger| format!("ledger {ledger}: "))
}

fn or_data(path: &str) -> &str {
    if path.is_empty() { "the data" } else { path }
}

impl Error {
    /// Data that is bad as a whole, at an offset.
    pub fn data(offset: usize, reason: impl Into<String>) -> Self {
        Self::Decode { ledger: None, path: String::new(), offset, reason: reason.into() }
    }

    /// A fault the second pass found in a ledger that begins at `base`.
    pub fn fault(ledger: Option<u32>, base: usize, fault: Fault) -> Self {
        let Fault { path, offset, reason } = fault;
        Self::Decode { ledger, path, offset: base + offset, reason }
    }
}

/// What came out, or why not.
pub type Result<T> = std::result::Result<T, Error>;

/// What was read does not fit its columns, which is nobody's fault but ours.
pub(crate) fn invalid(error: ArrowError) -> Error {
    Error::data(0, format!("what was read does not make valid Arrow columns: {error}"))
}
