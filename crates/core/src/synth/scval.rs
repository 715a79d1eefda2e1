//! Writes contract values (ScVal): the ones contracts are known for, and assorted ones of every arm.

use super::dice::Dice;
use super::writer::{Hash, Writer};
use crate::xdr::discriminants::{ClaimableBalanceIDType, SCAddressType, SCErrorType, SCValType};

/// An ScAddress: who holds, sends or receives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Account(Hash),
    Contract(Hash),
    Muxed(u64, Hash),
    ClaimableBalance(Hash),
    LiquidityPool(Hash),
}

/// Names in ascending order, because the keys of an ScMap must ascend.
const FIELDS: [&str; 14] = [
    "active",
    "admin",
    "amount",
    "balance",
    "count",
    "fee",
    "index",
    "last",
    "name",
    "owner",
    "price",
    "reserve_a",
    "reserve_b",
    "total",
];

/// Where exact integers are easily lost.
const INTEGERS: [i128; 9] = [
    i128::MIN,
    i128::MAX,
    0,
    -1,
    i64::MAX as i128 + 1,
    i64::MAX as i128,
    i64::MIN as i128,
    u64::MAX as i128,
    -10_i128.pow(38),
];

/// Strings that trip text handling: not UTF-8, a NUL, quotes and line ends, several scripts, nothing.
const STRINGS: [&[u8]; 7] = [
    b"",
    b"\xff\xfe odd",
    b"a\0b",
    b"\"quoted\",\n\ttabbed\\",
    "snowman \u{2603} \u{1f680}".as_bytes(),
    b"price feed",
    b"https://example.com/metadata.json",
];

impl Writer {
    pub fn symbol(&mut self, text: &str) {
        self.u32(SCValType::SYMBOL);
        self.var(text.as_bytes());
    }

    pub fn sc_u32(&mut self, value: u32) {
        self.u32(SCValType::U32);
        self.u32(value);
    }

    pub fn sc_u64(&mut self, value: u64) {
        self.u32(SCValType::U64);
        self.u64(value);
    }

    pub fn sc_i128(&mut self, value: i128) {
        self.u32(SCValType::I128);
        self.i128(value);
    }

    pub fn sc_bool(&mut self, value: bool) {
        self.u32(SCValType::BOOL);
        self.bool(value);
    }

    pub fn sc_void(&mut self) {
        self.u32(SCValType::VOID);
    }

    pub fn sc_bytes(&mut self, bytes: &[u8]) {
        self.u32(SCValType::BYTES);
        self.var(bytes);
    }

    pub fn sc_string(&mut self, bytes: &[u8]) {
        self.u32(SCValType::STRING);
        self.var(bytes);
    }

    /// Begin an ScVec: arm, presence of the optional, count.
    pub fn sc_vec(&mut self, count: u32) {
        self.u32(SCValType::VEC);
        self.bool(true);
        self.u32(count);
    }

    /// Begin an ScMap of `count` pairs.
    pub fn sc_map(&mut self, count: u32) {
        self.u32(SCValType::MAP);
        self.bool(true);
        self.u32(count);
    }

    pub fn sc_address(&mut self, address: &Address) {
        self.u32(SCValType::ADDRESS);
        self.address(address);
    }

    pub fn address(&mut self, address: &Address) {
        match address {
            Address::Account(key) => {
                self.u32(SCAddressType::ACCOUNT);
                self.public_key(key);
            }
            Address::Contract(id) => {
                self.u32(SCAddressType::CONTRACT);
                self.raw(id);
            }
            Address::Muxed(id, key) => {
                self.u32(SCAddressType::MUXED_ACCOUNT);
                self.u64(*id);
                self.raw(key);
            }
            Address::ClaimableBalance(id) => {
                self.u32(SCAddressType::CLAIMABLE_BALANCE);
                self.u32(ClaimableBalanceIDType::V0);
                self.raw(id);
            }
            Address::LiquidityPool(id) => {
                self.u32(SCAddressType::LIQUIDITY_POOL);
                self.raw(id);
            }
        }
    }

    /// Write any value: mostly small and plain ones, now and then nested ones and extremes.
    pub fn sc_any(&mut self, dice: &mut Dice, depth: u32, known: &Hash) {
        match dice.below(if depth == 0 { 16 } else { 19 }) {
            0 => self.sc_bool(dice.chance(50)),
            1 => self.sc_void(),
            2 => self.sc_error(dice),
            arm @ (3 | 4) => {
                self.u32(arm as u32);
                self.u32(dice.below(1000) as u32);
            }
            arm @ 5..=8 => {
                self.u32(arm as u32);
                self.u64(dice.below(1000) << dice.below(55));
            }
            arm @ (9 | 10) => {
                self.u32(arm as u32);
                self.i128(integer(dice));
            }
            arm @ (11 | 12) => {
                self.u32(arm as u32);
                self.i128(integer(dice) >> 127);
                self.i128(integer(dice));
            }
            13 => self.sc_bytes(&known[..dice.index(33)]),
            14 => self.sc_string(dice.pick(&STRINGS)),
            15 => self.symbol(dice.pick(&FIELDS)),
            16 => self.sc_any_vec(dice, depth, known),
            17 => self.sc_any_map(dice, depth, known),
            _ => self.sc_any_address(dice, known),
        }
    }

    fn sc_error(&mut self, dice: &mut Dice) {
        let kind = dice.below(10) as u32;
        self.u32(SCValType::ERROR);
        self.u32(kind);
        // Kind 0 carries the contract's own code, the others an ScErrorCode.
        self.u32(dice.below(if kind == SCErrorType::CONTRACT { 1000 } else { 10 }) as u32);
    }

    fn sc_any_vec(&mut self, dice: &mut Dice, depth: u32, known: &Hash) {
        let count = dice.below(4) as u32;
        self.sc_vec(count);
        for _ in 0..count {
            self.sc_any(dice, depth - 1, known);
        }
    }

    fn sc_any_map(&mut self, dice: &mut Dice, depth: u32, known: &Hash) {
        let count = dice.index(4);
        let first = dice.index(FIELDS.len() - count);
        self.sc_map(count as u32);
        for field in &FIELDS[first..first + count] {
            self.symbol(field);
            self.sc_any(dice, depth - 1, known);
        }
    }

    fn sc_any_address(&mut self, dice: &mut Dice, known: &Hash) {
        let address = match dice.below(8) {
            0 => Address::Muxed(dice.below(1 << 40), *known),
            1 => Address::ClaimableBalance(*known),
            2 => Address::LiquidityPool(*known),
            3 | 4 => Address::Account(*known),
            _ => Address::Contract(*known),
        };
        self.sc_address(&address);
    }
}

/// Draw an integer: a tenth are extremes, the others look like amounts, with few digits and many zeros.
pub(super) fn integer(dice: &mut Dice) -> i128 {
    if dice.chance(10) {
        return dice.pick(&INTEGERS);
    }
    let digits = dice.below(12) as u32;
    i128::from(dice.below(1000)) * 10_i128.pow(digits)
}
