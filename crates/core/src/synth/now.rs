//! When a ledger is made, and what the protocol is then.

/// Ledgers before unified (CAP-67) events, and before protocol 23.
const PLAIN_LEDGERS: u32 = 30;
pub const V1_LEDGERS: u32 = 50;

/// What the network's protocol and the node's settings write at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// LedgerCloseMeta V1 with TransactionMeta V3.
    V1,
    /// LedgerCloseMeta V1 with TransactionMeta V4 and CAP-67 events.
    V1Unified,
    /// LedgerCloseMeta V2 with TransactionMeta V4.
    V2,
}

impl Era {
    pub fn of(index: u32) -> Self {
        match index {
            0..PLAIN_LEDGERS => Self::V1,
            PLAIN_LEDGERS..V1_LEDGERS => Self::V1Unified,
            _ => Self::V2,
        }
    }

    pub fn protocol(self) -> u32 {
        if self == Self::V2 { 23 } else { 22 }
    }

    pub fn unified(self) -> bool {
        self != Self::V1
    }

    /// Tell whether archived entries come back as RESTORED changes (CAP-66).
    pub fn restores(self) -> bool {
        self == Self::V2
    }
}

/// The ledger being made.
#[derive(Clone, Copy)]
pub struct Now {
    pub seq: u32,
    /// Close time in Unix seconds.
    pub time: u64,
    pub era: Era,
}

impl Now {
    pub fn at(first: u32, index: u32) -> Option<Self> {
        let seq = first.checked_add(index)?;
        Some(Self { seq, time: 1_700_000_000 + 5 * u64::from(index), era: Era::of(index) })
    }
}
