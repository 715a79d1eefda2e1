//! Ledgers in, record batches out: framing, integrity, walk and tables put together.

mod cutting;
mod faults;
mod room;
pub mod typed;

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::error::{Error, Result, invalid};
use crate::filter::{Filter, Wanted};
use crate::frame::{self, Frame, Framing, Opened};
use crate::ledger::header::{self, Ledger};
pub use crate::ledger::integrity::hash_text;
use crate::ledger::integrity::{self, network_id};
use crate::ledger::visitor::Totals;
use crate::ledger::walk::Walk;
pub use crate::tables::Rows;
use crate::tables::{Settings, Table, Tables, Transfers};
use crate::xdr::layout::LedgerCloseMeta;
use crate::xdr::{between, skip};
pub use cutting::{Cut, cut, sequences};
use faults::{fault, misplaced, refused, trailing};
use room::Learned;

/// Room made beyond what is expected: some ledgers have a little more than others.
const SPARE: f64 = 1.05;

/// What to decode and how; checked once, good for any number of calls.
#[derive(Debug, Clone)]
pub struct Request {
    tables: Vec<Table>,
    settings: Settings,
    passphrase: String,
    framing: Option<Framing>,
    ledgers: Option<(u32, u32)>,
    verify_chain: bool,
    verify_hashes: bool,
    learned: Arc<Learned>,
}

impl Request {
    /// Ask for these tables of the network with this passphrase.
    pub fn new(tables: &[Table], passphrase: &str, wanted: &Wanted) -> Result<Self> {
        let network_id = network_id(passphrase);
        let filter = Arc::new(Filter::new(wanted, &network_id)?);
        Ok(Self {
            tables: tables.to_vec(),
            settings: Settings {
                network_id,
                filter,
                diagnostics: false,
                decoded: false,
                transfers: Transfers::Derive,
                dictionaries: false,
            },
            passphrase: passphrase.to_owned(),
            framing: None,
            ledgers: None,
            verify_chain: true,
            verify_hashes: false,
            learned: Arc::default(),
        })
    }

    /// sha256 of the network's passphrase.
    pub fn network_id(&self) -> [u8; 32] {
        self.settings.network_id
    }

    /// Take the framing as given instead of finding it.
    pub fn framing(mut self, framing: Option<Framing>) -> Self {
        self.framing = framing;
        self
    }

    /// Keep to ledgers from the first to the last of these.
    pub fn ledgers(mut self, ledgers: Option<(u32, u32)>) -> Self {
        self.ledgers = ledgers;
        self
    }

    /// Make diagnostic events rows of `contract_events` too.
    pub fn diagnostics(mut self, diagnostics: bool) -> Self {
        self.settings.diagnostics = diagnostics;
        self
    }

    /// What `token_transfers` are read from.
    pub fn transfers(mut self, transfers: Transfers) -> Self {
        self.settings.transfers = transfers;
        self
    }

    /// Make the columns too that are made only on request, such as values in JSON.
    pub fn decoded(mut self, decoded: bool) -> Self {
        self.settings.decoded = decoded;
        self
    }

    /// Hand texts that repeat over as dictionaries, each text once.
    pub fn dictionaries(mut self, dictionaries: bool) -> Self {
        self.settings.dictionaries = dictionaries;
        self
    }

    /// Whether each ledger must follow the one before.
    pub fn verify_chain(mut self, verify_chain: bool) -> Self {
        self.verify_chain = verify_chain;
        self
    }

    /// Whether transaction sets and results must be those that the headers commit to.
    pub fn verify_hashes(mut self, verify_hashes: bool) -> Self {
        self.verify_hashes = verify_hashes;
        self
    }
}

/// The ledgers that were decoded, and the hashes that link them to their neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub count: u32,
    /// Sequence number of the first.
    pub first: u32,
    /// Sequence number of the last.
    pub last: u32,
    /// When the first closed, unix seconds.
    pub first_closed_at: u64,
    /// When the last closed, unix seconds.
    pub last_closed_at: u64,
    /// Hash of the ledger before the first.
    pub previous_hash: [u8; 32],
    /// Hash of the last.
    pub last_hash: [u8; 32],
    /// Bytes of XDR.
    pub size: u64,
    /// Transactions, failed ones too.
    pub transactions: u64,
}

/// Takes ledgers in, data by data, until the batches are asked for.
pub struct Decoder<'r, R = Tables> {
    request: &'r Request,
    tables: R,
    run: Option<Run>,
    network_proven: bool,
    /// Bytes of XDR taken in since the last batches were handed over.
    taken: usize,
    /// How many times the first data's bytes are to come, its own among them.
    expected: f64,
}

/// Decode all ledgers of the data: a batch a table in the order they were asked for, and which
/// ledgers they are of; `None` where no ledger was in range.
pub fn decode(data: &[u8], request: &Request) -> Result<(Vec<RecordBatch>, Option<Run>)> {
    decode_all(&[data], request)
}

/// The same of data after data, whose ledgers go on from each other.
pub fn decode_all(pieces: &[&[u8]], request: &Request) -> Result<(Vec<RecordBatch>, Option<Run>)> {
    let mut decoder = Decoder::new(request)?;
    let size: usize = pieces.iter().map(|data| data.len()).sum();
    let first = pieces.first().map_or(1, |data| data.len().max(1));
    decoder.expected = size as f64 / first as f64;
    for data in pieces {
        decoder.push(data)?;
    }
    decoder.finish()
}

impl<'r> Decoder<'r> {
    /// A decoder that has seen nothing yet.
    pub fn new(request: &'r Request) -> Result<Self> {
        Ok(Self::with(request, Tables::new(&request.tables, &request.settings)?))
    }

    /// Hand over the batches, and begin anew.
    pub fn finish(&mut self) -> Result<(Vec<RecordBatch>, Option<Run>)> {
        self.request.learned.note(std::mem::take(&mut self.taken), self.tables.sizes());
        let batches = self.tables.finish().map_err(invalid)?;
        Ok((batches, self.run.take()))
    }
}

impl<'r, R: Rows> Decoder<'r, R> {
    /// A decoder that shows ledgers to others than the tables asked for.
    pub fn with(request: &'r Request, tables: R) -> Self {
        Self { request, tables, run: None, network_proven: false, taken: 0, expected: 1.0 }
    }

    /// What was shown the ledgers, and which they were.
    pub fn into_parts(self) -> (R, Option<Run>) {
        (self.tables, self.run)
    }

    /// Take in the ledgers of this data. Those before a bad one stay, the bad one leaves nothing.
    pub fn push(&mut self, data: &[u8]) -> Result<()> {
        let opened = frame::open(data, self.request.framing)?;
        self.ledgers(&opened)
    }

    fn ledgers(&mut self, opened: &Opened<'_>) -> Result<()> {
        let mut frames = opened.frames();
        let network_id = self.request.settings.network_id;
        let mut walk = Walk::new(self.tables.needs(), network_id, self.request.verify_hashes);
        // What comes later was reckoned with when the first came.
        let mut reserved = self.taken > 0 || self.reserve_as_learned(opened.size());
        while let Some(frame) = frames.advance()? {
            let rest = self.ledger(&mut walk, &frame)?;
            if !frame.exact {
                frames.consumed(rest);
            }
            if !reserved {
                let read = frame.bytes.len() - if frame.exact { 0 } else { rest.len() };
                let times = self.awaited(opened.size()) / read.max(1) as f64;
                self.tables.reserve(&self.tables.sizes(), times);
                reserved = true;
            }
        }
        self.taken += opened.size();
        Ok(())
    }

    /// Make room for what earlier ledgers let expect of so many bytes; tells whether there were any.
    fn reserve_as_learned(&mut self, bytes: usize) -> bool {
        let Some((before, sizes)) = self.request.learned.last() else { return false };
        self.tables.reserve(&sizes, self.awaited(bytes) / before as f64);
        true
    }

    /// Bytes to make room for where the first data has so many.
    fn awaited(&self, bytes: usize) -> f64 {
        bytes as f64 * self.expected * SPARE
    }

    /// Take in one ledger, whole or not at all.
    fn ledger<'a>(&mut self, walk: &mut Walk<'a>, frame: &Frame<'a>) -> Result<&'a [u8]> {
        let (ledger, body) = header::read(frame.bytes).ok_or_else(|| fault(None, frame))?;
        let sequence = Some(ledger.sequence);
        if frame.sequence.is_some() && frame.sequence != sequence {
            return Err(misplaced(&ledger, frame));
        }
        if self
            .request
            .ledgers
            .is_some_and(|(first, last)| !(first..=last).contains(&ledger.sequence))
        {
            return pass(frame).ok_or_else(|| fault(sequence, frame));
        }
        self.check(&ledger, frame.base)?;
        if !self.network_proven {
            let network_id = &self.request.settings.network_id;
            walk.expect(integrity::first_transaction(network_id, ledger.meta_version, body));
        }
        let rows = self.tables.rows();
        let walked = self.walk(walk, &ledger, frame, body);
        if walked.is_err() {
            self.tables.truncate(&rows);
        }
        walked
    }

    fn check(&self, ledger: &Ledger<'_>, base: usize) -> Result<()> {
        integrity::check(ledger, base)?;
        match &self.run {
            Some(run) if self.request.verify_chain => {
                integrity::follows(ledger, run.last, &run.last_hash)
            }
            _ => Ok(()),
        }
    }

    fn walk<'a>(
        &mut self,
        walk: &mut Walk<'a>,
        ledger: &Ledger<'a>,
        frame: &Frame<'a>,
        body: &'a [u8],
    ) -> Result<&'a [u8]> {
        let awaited = walk.still_expects();
        let (transactions, successful, rest) = walk
            .body(ledger, body, &mut self.tables)
            .ok_or_else(|| fault(Some(ledger.sequence), frame))?;
        if frame.exact && !rest.is_empty() {
            return Err(trailing(ledger, frame, rest));
        }
        if let Some(contents) = walk.contents() {
            let set_at = frame.base + frame.bytes.len() - body.len();
            contents.check(ledger, set_at)?;
        }
        if awaited && transactions > 0 {
            if walk.still_expects() {
                let passphrase = self.request.passphrase.clone();
                return Err(Error::Network { ledger: ledger.sequence, passphrase });
            }
            self.network_proven = true;
        }
        if let Some(refusal) = walk.refusal().or_else(|| self.tables.refusal()) {
            return Err(refused(ledger, frame, refusal));
        }
        let size = between(frame.bytes, rest).len();
        let totals = Totals { transactions, successful, size, evicted: walk.evicted() };
        self.tables.ledger(ledger, &totals);
        if let Some(column) = self.tables.oversized() {
            let (ledger, path) = (Some(ledger.sequence), String::new());
            let reason =
                format!("column {column} has outgrown 2 GiB; decode fewer ledgers in one call");
            return Err(Error::Decode { ledger, path, offset: frame.base, reason });
        }
        self.add(ledger, &totals);
        Ok(rest)
    }

    fn add(&mut self, ledger: &Ledger<'_>, totals: &Totals<'_, '_>) {
        let run = self.run.get_or_insert(Run {
            count: 0,
            first: ledger.sequence,
            last: ledger.sequence,
            first_closed_at: ledger.close_time,
            last_closed_at: ledger.close_time,
            previous_hash: *ledger.previous_hash,
            last_hash: *ledger.hash,
            size: 0,
            transactions: 0,
        });
        run.count += 1;
        run.last = ledger.sequence;
        run.last_closed_at = ledger.close_time;
        run.last_hash = *ledger.hash;
        run.size += totals.size as u64;
        run.transactions += u64::from(totals.transactions);
    }
}

/// Pass over a ledger that is not wanted.
fn pass<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    if frame.exact { Some(&[]) } else { skip::<LedgerCloseMeta>(frame.bytes) }
}
