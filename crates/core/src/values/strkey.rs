//! Addresses as people write them (SEP-23): version byte, payload and CRC-16/XMODEM in base32.

// Indices are constants or masked to the length of what they index.
#![allow(clippy::indexing_slicing)]

use crate::xdr::discriminants::SCAddressType;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// G…: an account's ed25519 key.
pub const ACCOUNT: u8 = 6 << 3;
/// C…: a contract.
pub const CONTRACT: u8 = 2 << 3;
const MUXED_ACCOUNT: u8 = 12 << 3;
const CLAIMABLE_BALANCE: u8 = 1 << 3;
/// L…: a liquidity pool.
pub const LIQUIDITY_POOL: u8 = 11 << 3;
const MUXED_CONTRACT: u8 = 22 << 3;

/// Characters of a strkey with a payload of 32 bytes.
pub const LENGTH: usize = 56;

const fn crc_step(crc: u16, byte: u8) -> u16 {
    let mut crc = crc ^ (byte as u16) << 8;
    let mut bit = 0;
    while bit < 8 {
        crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        bit += 1;
    }
    crc
}

/// What a byte adds to the CRC of a 33-byte message, by its distance from the end: the CRC is
/// linear, so 33 independent look-ups replace 33 that wait for each other.
static CRC_AT: [[u16; 256]; 33] = {
    let mut table = [[0u16; 256]; 33];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = crc_step(0, byte as u8);
        let mut distance = 0;
        while distance < 33 {
            table[distance][byte] = crc;
            crc = crc_step(crc, 0);
            distance += 1;
        }
        byte += 1;
    }
    table
};

/// Ten bits as two characters.
static PAIRS: [[u8; 2]; 1024] = {
    let mut pairs = [[0u8; 2]; 1024];
    let mut value = 0;
    while value < 1024 {
        pairs[value] = [ALPHABET[value >> 5], ALPHABET[value & 31]];
        value += 1;
    }
    pairs
};

/// Write a 32-byte payload as a strkey.
pub fn encode(version: u8, payload: &[u8; 32]) -> [u8; LENGTH] {
    let mut raw = [0u8; 35];
    raw[0] = version;
    raw[1..33].copy_from_slice(payload);
    let mut crc = 0u16;
    for (table, &byte) in CRC_AT.iter().rev().zip(&raw[..33]) {
        crc ^= table[byte as usize];
    }
    raw[33..].copy_from_slice(&crc.to_le_bytes());
    let mut out = [0u8; LENGTH];
    for (group, text) in raw.as_chunks::<5>().0.iter().zip(out.as_chunks_mut::<8>().0) {
        let &[a, b, c, d, e] = group;
        let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        for (index, pair) in text.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = PAIRS[(bits >> (30 - 10 * index)) as usize & 1023];
        }
    }
    out
}

/// Slots for strkeys that were written, as a power of two.
const RECENT: usize = 1 << 12;

/// The strkeys last written, by the first bits of their payload: the same contracts and accounts come
/// again and again. Memory grows with how many come.
pub struct Recent {
    version: u8,
    /// Where in `written` a strkey is; at 0 lies that of zeros.
    slots: Vec<u16>,
    written: Vec<([u8; 32], [u8; LENGTH])>,
}

impl Recent {
    /// Strkeys of this version.
    pub fn new(version: u8) -> Self {
        let written = vec![([0; 32], encode(version, &[0; 32]))];
        Self { version, slots: vec![0; RECENT], written }
    }

    /// What a strkey is made of.
    #[inline]
    pub fn raw(&self, payload: &[u8; 32]) -> [u8; 33] {
        let mut raw = [self.version; 33];
        raw[1..].copy_from_slice(payload);
        raw
    }

    /// Write a 32-byte payload as a strkey.
    #[inline]
    pub fn encode(&mut self, payload: &[u8; 32]) -> &[u8; LENGTH] {
        let slot = usize::from(u16::from_le_bytes([payload[0], payload[1]])) % RECENT;
        let mut place = usize::from(self.slots[slot]);
        if self.written[place].0 != *payload {
            place = self.write(slot, payload);
        }
        &self.written[place].1
    }

    #[cold]
    fn write(&mut self, slot: usize, payload: &[u8; 32]) -> usize {
        let one = (*payload, encode(self.version, payload));
        let place = usize::from(self.slots[slot]);
        if place > 0 {
            self.written[place] = one;
            return place;
        }
        self.slots[slot] = self.written.len() as u16;
        self.written.push(one);
        self.written.len() - 1
    }
}

/// Write any payload as a strkey; slower, for the rare kinds.
fn encode_any(version: u8, payload: &[&[u8]]) -> String {
    let mut raw = vec![version];
    payload.iter().for_each(|part| raw.extend_from_slice(part));
    let crc = raw.iter().fold(0, |crc, &byte| crc_step(crc, byte));
    raw.extend_from_slice(&crc.to_le_bytes());
    let mut text = String::with_capacity(raw.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0u32, 0);
    for byte in raw {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
        }
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held)) as usize & 31]));
    }
    text
}

/// Write a multiplexed account, M….
pub fn muxed_account(key: &[u8; 32], id: u64) -> String {
    encode_any(MUXED_ACCOUNT, &[key, &id.to_be_bytes()])
}

/// Write a multiplexed contract.
pub fn muxed_contract(id: &[u8; 32], muxed: u64) -> String {
    encode_any(MUXED_CONTRACT, &[id, &muxed.to_be_bytes()])
}

/// Write a claimable balance, B…; its type 0 stands before the hash.
pub fn claimable_balance(id: &[u8; 32]) -> String {
    encode_any(CLAIMABLE_BALANCE, &[&[0], id])
}

/// Read a multiplexed account, M…: its key and id.
pub fn decode_muxed_account(text: &str) -> Option<([u8; 32], u64)> {
    let raw = decode_any(text)?;
    let key = raw.get(1..33)?.try_into().ok()?;
    let id = u64::from_be_bytes(raw.get(33..41)?.try_into().ok()?);
    (muxed_account(&key, id) == text).then_some((key, id))
}

/// Read a claimable balance, B….
pub fn decode_claimable_balance(text: &str) -> Option<[u8; 32]> {
    let id = decode_any(text)?.get(2..34)?.try_into().ok()?;
    (claimable_balance(&id) == text).then_some(id)
}

/// The bytes of base32 text; what is left over of the last character is dropped.
fn decode_any(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut raw) = (0u32, 0, Vec::new());
    for char in text.bytes().take(2 * LENGTH) {
        bits = bits << 5 | ALPHABET.iter().position(|&letter| letter == char)? as u32;
        held += 5;
        if held >= 8 {
            held -= 8;
            raw.push((bits >> held) as u8);
        }
    }
    Some(raw)
}

/// Write an XDR SCAddress as a strkey; `None` where it is not one.
pub fn address(xdr: &[u8]) -> Option<String> {
    let (arm, body) = xdr.split_first_chunk::<4>()?;
    let key = || body.last_chunk::<32>();
    let plain = |version, key: &[u8; 32]| encode_any(version, &[key]);
    Some(match u32::from_be_bytes(*arm) {
        SCAddressType::ACCOUNT => plain(ACCOUNT, key()?),
        SCAddressType::CONTRACT => plain(CONTRACT, key()?),
        SCAddressType::MUXED_ACCOUNT => {
            encode_any(MUXED_ACCOUNT, &[key()?, body.first_chunk::<8>()?])
        }
        SCAddressType::CLAIMABLE_BALANCE => encode_any(CLAIMABLE_BALANCE, &[&[0], key()?]),
        SCAddressType::LIQUIDITY_POOL => plain(LIQUIDITY_POOL, key()?),
        SCAddressType::MUXED_CONTRACT => {
            encode_any(MUXED_CONTRACT, &[key()?, body.first_chunk::<8>()?])
        }
        _ => return None,
    })
}

/// Read a strkey with a 32-byte payload of this version; `None` where it is not one.
pub fn decode(version: u8, text: &str) -> Option<[u8; 32]> {
    let text: &[u8; LENGTH] = text.as_bytes().try_into().ok()?;
    let mut raw = [0u8; 35];
    for (group, chars) in raw.as_chunks_mut::<5>().0.iter_mut().zip(text.as_chunks::<8>().0) {
        let mut bits = 0u64;
        for char in chars {
            let digit = ALPHABET.iter().position(|letter| letter == char)?;
            bits = bits << 5 | digit as u64;
        }
        group.copy_from_slice(bits.to_be_bytes().last_chunk::<5>()?);
    }
    let payload = raw.get(1..33)?.try_into().ok()?;
    (encode(version, &payload) == *text).then_some(payload)
}
