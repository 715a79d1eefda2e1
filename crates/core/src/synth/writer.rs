//! Writes XDR (RFC 4506).

use sha2::{Digest, Sha256};

pub(super) type Hash = [u8; 32];

/// Hash the parts as if they were one run of bytes.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A growing run of XDR.
#[derive(Clone, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.u32(value.cast_unsigned());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.u64(value.cast_unsigned());
    }

    /// Write Int128Parts: the high half first, as a big-endian i128 lies.
    pub fn i128(&mut self, value: i128) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// Write bytes as they are: an opaque of fixed length, or XDR written elsewhere.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Write an opaque or string of variable length: length, bytes, zeros to a multiple of four.
    pub fn var(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.raw(bytes);
        self.raw(&[0; 3][..bytes.len().wrapping_neg() % 4]);
    }

    pub fn array(&mut self, array: &Array) {
        self.u32(array.count);
        self.raw(&array.items.0);
    }

    /// Write an AccountID or NodeID: a PublicKey of ed25519.
    pub fn public_key(&mut self, key: &Hash) {
        self.u32(0);
        self.raw(key);
    }

    pub fn sha256(&self) -> Hash {
        sha256(&[&self.0])
    }
}

/// A variable-length array that is counted while it is written.
#[derive(Clone, Default)]
pub(super) struct Array {
    count: u32,
    items: Writer,
}

impl Array {
    /// Begin one more item: write exactly one into what this returns.
    pub fn item(&mut self) -> &mut Writer {
        self.count += 1;
        &mut self.items
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn bytes(&self) -> usize {
        self.items.len() + 4
    }

    pub fn append(&mut self, other: &Self) {
        self.count += other.count;
        self.items.raw(&other.items.0);
    }
}
