//! zstd (RFC 8878), expanded within bounds.

use std::cell::Cell;
use std::io::Read;

use zstd::zstd_safe;

use crate::error::{Error, Result};

/// What zstd may expand to, whatever it claims: this much, and 256 bytes for each stored one. Real
/// ledgers reach a ratio of about 11.
const EXPANSION: (usize, usize) = (64 << 20, 256);

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether the bytes begin a zstd frame, of data or of what is to be skipped (RFC 8878).
pub fn is_zstd(data: &[u8]) -> bool {
    let skippable = |magic: &[u8; 4]| matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    data.first_chunk::<4>().is_some_and(|magic| *magic == ZSTD_MAGIC || skippable(magic))
}

/// The largest buffer a thread keeps for its next call.
const KEPT: usize = 64 << 20;

thread_local! {
    /// The buffer last decompressed into: to have its pages made anew by the system for every call
    /// costs about as much as to fill them.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Keep a buffer that `decompress` filled for this thread's next call.
pub fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT {
        SPARE.set(buffer);
    }
}

/// The most bytes that so many stored ones may expand to.
pub fn expansion_limit(stored: usize) -> usize {
    let (least, ratio) = EXPANSION;
    least.saturating_add(stored.saturating_mul(ratio))
}

/// Decompress all frames.
pub fn decompress(data: &[u8]) -> Result<Vec<u8>> {
    let most = expansion_limit(data.len());
    let mut out = SPARE.take();
    out.clear();
    // The bound is exact where frames declare their size and nearly so where their blocks are full,
    // and then the bytes are written once, where they stay.
    match zstd_safe::decompress_bound(data) {
        Ok(bound) if bound <= most as u64 => {
            out.reserve(bound as usize);
            zstd::bulk::Decompressor::new()
                .and_then(|mut zstd| zstd.decompress_to_buffer(data, &mut out))
                .map_err(|error| broken(&error))?;
        }
        Ok(_) => {
            let decoder = zstd::stream::read::Decoder::new(data).map_err(|error| broken(&error))?;
            let read = decoder.take(most as u64 + 1).read_to_end(&mut out);
            read.map_err(|error| broken(&error))?;
        }
        Err(code) => return Err(broken(&zstd_safe::get_error_name(code))),
    }
    if out.len() > most { Err(bomb(most)) } else { Ok(out) }
}

/// A stream that is not what it says.
pub fn broken(error: &dyn std::fmt::Display) -> Error {
    Error::data(0, format!("the zstd stream is broken ({error}); fetch the data again"))
}

/// A stream that expands without measure.
pub fn bomb(most: usize) -> Error {
    Error::data(
        0,
        format!(
            "the zstd stream expands to more than {most} bytes; if it is sound, decompress it first"
        ),
    )
}

/// Compress into one frame that declares its size and carries a checksum, as those of public lakes do: no hash of
/// the chain covers every byte of a ledger.
pub fn compress(data: &[u8], level: i32) -> Result<Vec<u8>> {
    let failed = |error| Error::data(0, format!("zstd cannot compress at level {level}: {error}"));
    let mut compressor = zstd::bulk::Compressor::new(level).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    compressor.compress(data).map_err(failed)
}
