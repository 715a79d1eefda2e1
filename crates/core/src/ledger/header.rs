//! What a ledger says of itself: LedgerCloseMeta as far as its transaction set.

use crate::xdr::layout::{
    LedgerCloseMetaExt, LedgerHeaderExt, LedgerHeaderHistoryEntryExt, StellarValueExt, UpgradeType,
};
use crate::xdr::schema::{Array, Opaque};
use crate::xdr::{self, Input, between, skip};

/// What the ledger's header says.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// The arm of LedgerCloseMeta: 0, 1 or 2.
    pub meta_version: u32,
    /// The hash that stands beside the header.
    pub hash: &'a [u8; 32],
    /// LedgerHeader as XDR.
    pub header: &'a [u8],
    /// Where the header begins in the LedgerCloseMeta.
    pub header_at: usize,
    /// Protocol version.
    pub protocol: u32,
    /// Hash of the ledger before.
    pub previous_hash: &'a [u8; 32],
    /// What it says is the hash of its transaction set.
    pub tx_set_hash: &'a [u8; 32],
    /// What it says is the hash of its transactions' results.
    pub results_hash: &'a [u8; 32],
    /// The arm of StellarValueExt.
    pub value_kind: u32,
    /// Unix time in seconds.
    pub close_time: u64,
    /// Sequence number.
    pub sequence: u32,
    /// Where the sequence number stands in the LedgerCloseMeta.
    pub sequence_at: usize,
    /// Stroops in existence.
    pub total_coins: i64,
    /// Stroops in the fee pool.
    pub fee_pool: i64,
    /// Stroops.
    pub base_fee: u32,
    /// Stroops.
    pub base_reserve: u32,
    /// Transactions, up to protocol 10; operations since.
    pub max_tx_set_size: u32,
}

impl Ledger<'_> {
    /// When it closed, in microseconds since the epoch; that this fits, `integrity::check` has seen.
    pub fn closed_at(&self) -> i64 {
        (self.close_time as i64).wrapping_mul(1_000_000)
    }

    /// The path of what stands there in its LedgerHeaderHistoryEntry.
    pub fn path(&self, field: &str) -> String {
        format!("v{}.ledger_header.{field}", self.meta_version)
    }
}

/// Read a LedgerCloseMeta as far as its transaction set.
pub fn read(bytes: Input<'_>) -> Option<(Ledger<'_>, Input<'_>)> {
    let whole = bytes;
    let (meta_version, bytes) = xdr::u32(bytes)?;
    let bytes = match meta_version {
        0 => bytes,
        1 | 2 => skip::<LedgerCloseMetaExt>(bytes)?,
        _ => return None,
    };
    let (hash, header) = xdr::array(bytes)?;
    let header_at = between(whole, header).len();
    let (ledger, end) = fields(meta_version, hash, header_at, header)?;
    Some((ledger, skip::<LedgerHeaderHistoryEntryExt>(end)?))
}

/// Read a LedgerHeader, given what stands before it.
#[inline]
fn fields<'a>(
    meta_version: u32,
    hash: &'a [u8; 32],
    header_at: usize,
    start: Input<'a>,
) -> Option<(Ledger<'a>, Input<'a>)> {
    let (protocol, bytes) = xdr::u32(start)?;
    let (previous_hash, bytes) = xdr::array(bytes)?;
    let (tx_set_hash, bytes) = xdr::array(bytes)?;
    let (close_time, bytes) = xdr::u64(bytes)?;
    let (value_kind, bytes) = value_ext(skip::<Array<UpgradeType, 6>>(bytes)?)?;
    let (results_hash, bytes) = xdr::array(bytes)?;
    let bytes = skip::<Opaque<32>>(bytes)?;
    let sequence_at = header_at + between(start, bytes).len();
    let (sequence, bytes) = xdr::u32(bytes)?;
    let (total_coins, bytes) = xdr::i64(bytes)?;
    let (fee_pool, bytes) = xdr::i64(bytes)?;
    let (base_fee, bytes) = xdr::u32(skip::<Opaque<12>>(bytes)?)?;
    let (base_reserve, bytes) = xdr::u32(bytes)?;
    let (max_tx_set_size, bytes) = xdr::u32(bytes)?;
    let end = skip::<LedgerHeaderExt>(skip::<Opaque<128>>(bytes)?)?;
    let header = between(start, end);
    #[rustfmt::skip] // a field a line says nothing more
    let ledger = Ledger {
        meta_version, hash, header, header_at, protocol, previous_hash, tx_set_hash, results_hash,
        value_kind, close_time, sequence, sequence_at, total_coins, fee_pool, base_fee,
        base_reserve, max_tx_set_size,
    };
    Some((ledger, end))
}

/// Read which arm of StellarValueExt there is, and pass over it.
#[inline]
fn value_ext(bytes: Input<'_>) -> Option<(u32, Input<'_>)> {
    Some((xdr::u32(bytes)?.0, skip::<StellarValueExt>(bytes)?))
}
