//! Writes contract events: those of tokens (SEP-41, CAP-67) and assorted ones.

use super::dice::Dice;
use super::now::Now;
use super::scval::Address;
use super::writer::{Array, Hash, Writer};

const SYSTEM: u32 = 0;
const CONTRACT: u32 = 1;
const DIAGNOSTIC: u32 = 2;

const NAMES: [&str; 8] =
    ["swap", "sync", "deposit", "withdraw", "price", "vote", "claim", "new_pair"];

/// A contract that speaks as a token.
pub(super) struct Token {
    pub id: Hash,
    /// SEP-11 name, the last topic of a SAC's events; None for a token of its own making.
    pub asset: Option<String>,
    pub admin: Option<Hash>,
}

pub(super) enum Movement {
    Transfer(Address, Address),
    Mint(Address),
    Burn(Address),
    Clawback(Address),
}

/// A transaction's memo; without a muxed destination it becomes the event's `to_muxed_id` (CAP-67).
pub(super) enum Memo {
    None,
    Text(Vec<u8>),
    Id(u64),
    Hash(Hash),
    Return(Hash),
}

impl Memo {
    pub fn random(dice: &mut Dice) -> Self {
        match dice.below(12) {
            0 => Self::Text(b"invoice \xe2\x84\x96 7".to_vec()),
            1 => Self::Text(vec![0xff, b'x', 0x80]),
            2 => Self::Id(dice.word() >> dice.below(40)),
            3 => Self::Hash(dice.bytes()),
            4 => Self::Return(dice.bytes()),
            _ => Self::None,
        }
    }

    pub fn write(&self, w: &mut Writer) {
        match self {
            Self::None => w.u32(0),
            Self::Text(text) => {
                w.u32(1);
                w.var(text);
            }
            Self::Id(id) => {
                w.u32(2);
                w.u64(*id);
            }
            Self::Hash(hash) => {
                w.u32(3);
                w.raw(hash);
            }
            Self::Return(hash) => {
                w.u32(4);
                w.raw(hash);
            }
        }
    }

    /// Write the event's data: the amount, or a map of it and where within the destination it goes.
    fn write_amount(&self, w: &mut Writer, amount: i128) {
        if matches!(self, Self::None) {
            return w.sc_i128(amount);
        }
        w.sc_map(2);
        w.symbol("amount");
        w.sc_i128(amount);
        w.symbol("to_muxed_id");
        match self {
            Self::None => w.sc_void(),
            Self::Text(text) => w.sc_string(text),
            Self::Id(id) => w.sc_u64(*id),
            Self::Hash(hash) | Self::Return(hash) => w.sc_bytes(hash),
        }
    }
}

/// Write a ContractEvent; `body` writes the topics and the data.
fn put(w: &mut Writer, kind: u32, contract: &Hash, topics: u32, body: impl FnOnce(&mut Writer)) {
    w.u32(0);
    w.u32(1);
    w.raw(contract);
    w.u32(kind);
    w.u32(0);
    w.u32(topics);
    body(w);
}

/// Write a token's event. Before CAP-67, `mint` and `clawback` named the admin too.
pub(super) fn put_movement(
    out: &mut Array,
    now: Now,
    token: &Token,
    movement: &Movement,
    amount: i128,
    memo: &Memo,
) {
    let (name, parties) = match movement {
        Movement::Transfer(from, to) => ("transfer", [Some(from), Some(to)]),
        Movement::Mint(to) => ("mint", [None, Some(to)]),
        Movement::Burn(from) => ("burn", [Some(from), None]),
        Movement::Clawback(from) => ("clawback", [Some(from), None]),
    };
    let admin = token.admin.filter(|_| !now.era.unified() && matches!(name, "mint" | "clawback"));
    let admin = admin.map(Address::Account);
    let addresses = || admin.iter().chain(parties.iter().copied().flatten());
    let topics = 1 + addresses().count() + usize::from(token.asset.is_some());
    put(out.item(), CONTRACT, &token.id, topics as u32, |w| {
        w.symbol(name);
        addresses().for_each(|address| w.sc_address(address));
        if let Some(asset) = &token.asset {
            w.sc_string(asset.as_bytes());
        }
        memo.write_amount(w, amount);
    });
}

/// Write the TransactionEvent of a fee charged, or refunded where negative (CAP-67).
pub(super) fn put_fee(out: &mut Array, stage: u32, native: &Hash, payer: &Hash, amount: i64) {
    let w = out.item();
    w.u32(stage);
    put(w, CONTRACT, native, 2, |w| {
        w.symbol("fee");
        w.sc_address(&Address::Account(*payer));
        w.sc_i128(i128::from(amount));
    });
}

/// Write an event of a contract's own: mostly a trade, else none to four topics and data of any kind.
pub(super) fn put_custom(out: &mut Array, dice: &mut Dice, contract: &Hash, other: &Hash) {
    if dice.chance(60) {
        return put_trade(out, dice, contract, other);
    }
    let topics = dice.pick(&[0, 1, 1, 2, 2, 2, 3, 4]);
    put(out.item(), CONTRACT, contract, topics, |w| {
        for place in 0..topics {
            if place == 0 && dice.chance(90) {
                w.symbol(dice.pick(&NAMES));
            } else {
                w.sc_any(dice, 0, other);
            }
        }
        w.sc_any(dice, 2, other);
    });
}

fn put_trade(out: &mut Array, dice: &mut Dice, contract: &Hash, other: &Hash) {
    put(out.item(), CONTRACT, contract, 2, |w| {
        w.symbol("trade");
        w.sc_address(&Address::Contract(*other));
        w.sc_vec(2);
        w.sc_i128(i128::from(dice.between(1, 100)) * 1_000_000);
        w.sc_i128(-50_000_000);
    });
}

/// Write the system event of a contract that exchanges its code.
pub(super) fn put_code_exchange(out: &mut Array, contract: &Hash, old: &Hash, new: &Hash) {
    put(out.item(), SYSTEM, contract, 3, |w| {
        w.symbol("executable_update");
        for code in [old, new] {
            w.sc_vec(2);
            w.symbol("Wasm");
            w.sc_bytes(code);
        }
        w.sc_vec(0);
    });
}

/// Write the DiagnosticEvent of a call.
pub(super) fn put_call(out: &mut Array, contract: &Hash, successful: bool) {
    let w = out.item();
    w.bool(successful);
    put(w, DIAGNOSTIC, contract, 3, |w| {
        w.symbol("fn_call");
        w.sc_bytes(contract);
        w.symbol("swap");
        w.sc_void();
    });
}
