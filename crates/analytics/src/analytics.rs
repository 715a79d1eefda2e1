//! Every window of everything, by the table it is counted from.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::answers;
use crate::coding::Reader;
use crate::columns::BadRows;
use crate::contracts::ActivityWindows;
use crate::hashing::hash_of_bytes;
use crate::network::LedgerWindows;
use crate::series::Room;
use crate::transfers::TransferWindows;

/// What saved figures begin with; another version of what follows has another one.
const MARK: &[u8] = b"stellarrow figures 1\n";
const TRANSFERS_SHARE: usize = 22; // of 32 parts of the bytes
const CONTRACTS_SHARE: usize = 5; // of events, and of entries
const CHECKSUM_BYTES: usize = 8;

/// Figures of a network.
pub struct Analytics {
    ledgers: LedgerWindows,
    transfers: TransferWindows,
    events: ActivityWindows,
    entries: ActivityWindows,
}

/// Does the same with the windows of a table; none where nothing is counted from it.
macro_rules! of_table {
    ($self:ident, $table:expr, $windows:ident => $made:expr) => {
        match $table {
            "ledgers" => Some({
                let $windows = &$self.ledgers;
                $made
            }),
            "token_transfers" => Some({
                let $windows = &$self.transfers;
                $made
            }),
            "contract_events" => Some({
                let $windows = &$self.events;
                $made
            }),
            "contract_data" => Some({
                let $windows = &$self.entries;
                $made
            }),
            _ => None,
        }
    };
}

impl Analytics {
    /// Keeps so much: two thirds of the bytes for transfers, the rest for events and entries of contracts.
    #[must_use]
    pub fn new(room: Room<'_>) -> Self {
        let part = |share| Room { most_bytes: room.most_bytes / 32 * share, ..room };
        Self {
            ledgers: LedgerWindows::new(room),
            transfers: TransferWindows::new(part(TRANSFERS_SHARE)),
            events: ActivityWindows::new(part(CONTRACTS_SHARE)),
            entries: ActivityWindows::new(part(CONTRACTS_SHARE)),
        }
    }

    /// Lets bytes have another limit from now on.
    pub fn limit(&mut self, most_bytes: usize) {
        self.transfers.series.limit(most_bytes / 32 * TRANSFERS_SHARE);
        self.events.series.limit(most_bytes / 32 * CONTRACTS_SHARE);
        self.entries.series.limit(most_bytes / 32 * CONTRACTS_SHARE);
    }

    /// Counts a table's rows of whole ledgers, the last of which closed at a time in seconds.
    ///
    /// # Errors
    ///
    /// Where the batch is no part of the table; nothing is counted then.
    pub fn add(
        &mut self,
        table: &str,
        batch: &RecordBatch,
        ledger: u32,
        closed_at: i64,
    ) -> Result<(), BadRows> {
        match table {
            "ledgers" => self.ledgers.add(batch)?,
            "token_transfers" => {
                self.transfers.add(batch)?;
                self.transfers.series.complete(ledger, closed_at);
            }
            "contract_events" => {
                self.events.add_events(batch)?;
                self.events.series.complete(ledger, closed_at);
            }
            "contract_data" => {
                self.entries.add_entries(batch)?;
                self.entries.series.complete(ledger, closed_at);
            }
            _ => {}
        }
        Ok(())
    }

    /// The first and the last ledger of a table that are counted; 0 and 0 before there is one.
    #[must_use]
    pub fn ledgers(&self, table: &str) -> (u32, u32) {
        of_table!(self, table, one => (one.series.first(), one.series.last())).unwrap_or_default()
    }

    /// Bytes of all, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ledgers.series.bytes()
            + self.transfers.series.bytes()
            + self.events.series.bytes()
            + self.entries.series.bytes()
    }

    /// The windows of a kind, for one key or all together; none where nothing is counted from the table.
    ///
    /// # Errors
    ///
    /// None that rows of ours could lead to.
    pub fn series(
        &self,
        table: &str,
        window: &str,
        key: Option<&str>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        of_table!(self, table, one => answers::series(&one.series, window, key)).unwrap_or(Ok(None))
    }

    /// The foremost keys in the open window of a kind; none where nothing can be ordered so.
    ///
    /// # Errors
    ///
    /// None that rows of ours could lead to.
    pub fn foremost(
        &self,
        table: &str,
        window: &str,
        by: &str,
        limit: usize,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        of_table!(self, table, one => answers::foremost(&one.series, window, by, limit))
            .unwrap_or(Ok(None))
    }

    /// All of it as bytes, between ledgers.
    #[must_use]
    pub fn saved(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        self.ledgers.write(&mut bytes);
        self.transfers.series.write(&mut bytes);
        self.events.series.write(&mut bytes);
        self.entries.series.write(&mut bytes);
        let checksum = hash_of_bytes(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Goes on from what was saved; must be empty still.
    ///
    /// # Errors
    ///
    /// Where the bytes are not what was saved.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), BadRows> {
        let (held, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .filter(|(held, _)| held.starts_with(MARK))
            .ok_or_else(|| BadRows("these are no saved figures of this version".into()))?;
        if hash_of_bytes(held) != u64::from_le_bytes(*checksum) {
            return Err(BadRows("the checksum of saved figures is another".into()));
        }
        self.read(held).ok_or_else(|| BadRows("saved figures cannot be read".into()))
    }

    fn read(&mut self, held: &[u8]) -> Option<()> {
        let mut from = Reader(held.get(MARK.len()..)?);
        self.ledgers.read(&mut from)?;
        self.transfers.series.read(&mut from)?;
        self.events.series.read(&mut from)?;
        self.entries.series.read(&mut from)?;
        from.0.is_empty().then_some(())
    }
}
