//! Contract events read as events of a token: SEP-41, and CAP-67 for meta of version 4.

use crate::ledger::event::Event;
use crate::values::address::Address;
use crate::values::scval;
use crate::xdr::discriminants::{ContractEventType, SCValType};
use crate::xdr::layout::SCVal;
use crate::xdr::{self, between, skip};

/// What an event is called: its first topic, if that is a symbol.
pub fn name<'a>(topics: &[&'a [u8]]) -> Option<&'a [u8]> {
    topics.first().and_then(|topic| scval::symbol(topic))
}

/// What happened to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It changed hands.
    Transfer,
    /// It came into being.
    Mint,
    /// Its holder destroyed it.
    Burn,
    /// Its issuer took it back.
    Clawback,
    /// It paid for a transaction, or was paid back.
    Fee,
}

/// The names of `Kind`, in its order.
pub const KIND_NAMES: [&str; 5] = ["transfer", "mint", "burn", "clawback", "fee"];

/// Who a payment was meant for beyond its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memo<'a> {
    /// Nobody in particular.
    None,
    /// A text.
    Text(&'a [u8]),
    /// A number.
    Id(u64),
    /// Bytes, of a hash or whatever the contract says.
    Hash(&'a [u8]),
}

/// An event of a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenEvent<'a> {
    /// What happened.
    pub kind: Kind,
    /// Whose it was.
    pub from: Option<Address>,
    /// Whose it is.
    pub to: Option<Address>,
    /// How much.
    pub amount: i128,
    /// Who it was meant for beyond the address.
    pub memo: Memo<'a>,
    /// The asset's SEP-11 name that a Stellar Asset Contract adds; a claim until compared with the
    /// contract's id.
    pub asset: Option<&'a [u8]>,
}

/// What a contract event turned out to be.
#[derive(Debug, Clone, Copy)]
pub enum Reading<'a> {
    /// An event of a token.
    Token(TokenEvent<'a>),
    /// Called as one, but not as the standard has it, for this reason.
    Deviant(&'static str),
    /// Something else.
    Other,
}

impl<'a> Reading<'a> {
    /// Read an event of an operation. Its topics alone decide its shape, whatever the version of
    /// the meta: contracts built years apart are called in one ledger.
    #[inline]
    pub fn of_operation(event: &Event<'a>, topics: &[&'a [u8]]) -> Self {
        let kind = match name(topics) {
            Some(b"transfer") => Kind::Transfer,
            Some(b"mint") => Kind::Mint,
            Some(b"burn") => Kind::Burn,
            Some(b"clawback") => Kind::Clawback,
            _ => return Self::Other,
        };
        match token(event, topics, kind) {
            Ok(event) => Self::Token(event),
            Err(reason) => Self::Deviant(reason),
        }
    }

    /// Read an event of the whole transaction: a fee, if it is one of a token.
    pub fn of_transaction(
        event: &Event<'a>,
        topics: &[&'a [u8]],
        native_contract: &[u8; 32],
    ) -> Self {
        if name(topics) != Some(b"fee") {
            return Self::Other;
        }
        match fee(event, topics, native_contract) {
            Ok(event) => Self::Token(event),
            Err(reason) => Self::Deviant(reason),
        }
    }
}

fn checked(event: &Event<'_>) -> Result<(), &'static str> {
    match event {
        Event { contract: None, .. } => Err("no contract is named"),
        Event { event_type: ContractEventType::CONTRACT, .. } => Ok(()),
        _ => Err("the event is not of type contract"),
    }
}

fn token<'a>(
    event: &Event<'a>,
    topics: &[&'a [u8]],
    kind: Kind,
) -> Result<TokenEvent<'a>, &'static str> {
    checked(event)?;
    let Topics { addresses, asset } = Topics::read(topics)?;
    let (from, to) = match (kind, addresses) {
        (Kind::Transfer, (from, Some(to))) => (Some(from), Some(to)),
        // Up to CAP-67 the contract's administrator stood before the holder.
        (Kind::Mint, (to, None) | (_, Some(to))) => (None, Some(to)),
        (Kind::Clawback, (from, None) | (_, Some(from))) => (Some(from), None),
        (Kind::Burn, (from, None)) => (Some(from), None),
        (Kind::Transfer, (_, None)) => return Err("there are too few topics"),
        _ => return Err("there are too many topics"),
    };
    let (amount, memo) = amount_with_memo(event.data)?;
    Ok(TokenEvent { kind, from, to, amount, memo, asset })
}

/// What stands behind a token event's name: one or two addresses, then at most one string.
struct Topics<'a> {
    addresses: (Address, Option<Address>),
    asset: Option<&'a [u8]>,
}

impl<'a> Topics<'a> {
    fn read(topics: &[&'a [u8]]) -> Result<Self, &'static str> {
        let (second, others) = match topics {
            [] | [_] => return Err("there are too few topics"),
            [_, second, others @ ..] if others.len() <= 2 => (second, others),
            _ => return Err("there are too many topics"),
        };
        let first = Address::of_value(second).ok_or("the second topic is not an address")?;
        let (second, asset) = match *others {
            [] => (None, None),
            [third] => match Address::of_value(third) {
                None => {
                    let name = scval::string(third);
                    (None, Some(name.ok_or("the third topic is neither an address nor a string")?))
                }
                holder => (holder, None),
            },
            [third, fourth, ..] => {
                let holder = Address::of_value(third).ok_or("the third topic is not an address")?;
                let name = scval::string(fourth).ok_or("the fourth topic is not a string")?;
                (Some(holder), Some(name))
            }
        };
        Ok(Self { addresses: (first, second), asset })
    }
}

fn fee<'a>(
    event: &Event<'a>,
    topics: &[&'a [u8]],
    native: &[u8; 32],
) -> Result<TokenEvent<'a>, &'static str> {
    checked(event)?;
    let [_, payer] = topics else { return Err("there are not exactly two topics") };
    if event.contract != Some(native) {
        return Err("the contract is not that of the native asset");
    }
    let from = Address::of_value(payer).ok_or("the second topic is not an address")?;
    let amount = amount(event.data).ok_or("the data is not an i128")?;
    let (from, memo) = (Some(from), Memo::None);
    Ok(TokenEvent { kind: Kind::Fee, from, to: None, amount, memo, asset: None })
}

/// The number in an SCVal that is an i128.
fn amount(value: &[u8]) -> Option<i128> {
    let (amount, _) = xdr::array(xdr::arm(value, SCValType::I128)?)?;
    Some(i128::from_be_bytes(*amount))
}

/// An i128, or a map of at least `amount`, with `to_muxed_id` where the payment has one (CAP-67).
fn amount_with_memo(data: &[u8]) -> Result<(i128, Memo<'_>), &'static str> {
    let Some(map) = xdr::arm(data, SCValType::MAP) else {
        let amount = amount(data).ok_or("the data is neither an i128 nor a map")?;
        return Ok((amount, Memo::None));
    };
    let Some((true, entries)) = xdr::present(map) else { return Err("the data's map is empty") };
    let (mut found, mut memo) = (None, Memo::None);
    let (count, mut bytes) = xdr::u32(entries).unwrap_or_default();
    for _ in 0..count {
        let entry = || {
            let value = skip::<SCVal>(bytes)?;
            let rest = skip::<SCVal>(value)?;
            Some((between(bytes, value), between(value, rest), rest))
        };
        let (key, value, rest) = entry().ok_or("the data's map is malformed")?;
        match scval::symbol(key).ok_or("a key of the data's map is not a symbol")? {
            b"amount" => found = Some(amount(value).ok_or("the amount is not an i128")?),
            b"to_muxed_id" => memo = muxed_id(value, memo)?,
            _ => {}
        }
        bytes = rest;
    }
    Ok((found.ok_or("the data's map has no amount")?, memo))
}

/// Void is how contracts older than CAP-86 say that there is none.
fn muxed_id<'a>(value: &'a [u8], otherwise: Memo<'a>) -> Result<Memo<'a>, &'static str> {
    let read = || match xdr::u32(value)? {
        (SCValType::VOID, _) => Some(otherwise),
        (SCValType::U64, rest) => Some(Memo::Id(xdr::u64(rest)?.0)),
        (SCValType::BYTES, rest) => Some(Memo::Hash(xdr::opaque(rest)?.0)),
        (SCValType::STRING, rest) => Some(Memo::Text(xdr::opaque(rest)?.0)),
        _ => None,
    };
    read().ok_or("to_muxed_id is neither a u64, bytes, a string nor void")
}
