//! The encodings that are known, by their numbers in parquet.thrift.

/// Values one after the other.
pub const PLAIN: i64 = 0;
/// Runs and packed bits.
pub const RLE: i64 = 3;
/// Of a dictionary's page that is plain, and of pages that have places in it, as older writers number it.
pub const PLAIN_DICTIONARY: i64 = 2;
const RLE_DICTIONARY: i64 = 8;

/// Whether values are places in the dictionary.
pub const fn is_by_dictionary(encoding: i64) -> bool {
    matches!(encoding, PLAIN_DICTIONARY | RLE_DICTIONARY)
}
