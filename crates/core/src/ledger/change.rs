//! Changes of ledger entries, as a transaction's meta tells them.

use crate::fixed_text::Word;
use crate::xdr::discriminants::{LedgerEntryChangeType, LedgerEntryType};
use crate::xdr::layout::{
    ContractCodeEntryExt, ContractDataDurability, LedgerEntry, LedgerEntryChange, LedgerEntryData,
    LedgerEntryExt, LedgerKey, SCAddress, SCVal,
};
use crate::xdr::{self, Input, between, skip};

/// Which entry types are wanted: bit N for LedgerEntryType N.
pub type EntryTypes = u16;
/// Contract data, as `EntryTypes`.
pub const CONTRACT_DATA: EntryTypes = 1 << LedgerEntryType::CONTRACT_DATA;
/// Contract code, as `EntryTypes`.
pub const CONTRACT_CODE: EntryTypes = 1 << LedgerEntryType::CONTRACT_CODE;
/// Time to live of contract data and code, as `EntryTypes`.
pub const TTL: EntryTypes = 1 << LedgerEntryType::TTL;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It came into being.
    Created,
    /// It was written again.
    Updated,
    /// It is gone.
    Removed,
    /// It came back from the archive (CAP-66).
    Restored,
}

static CREATED: Word = Word::new("created");
static UPDATED: Word = Word::new("updated");
static REMOVED: Word = Word::new("removed");
static RESTORED: Word = Word::new("restored");

impl Kind {
    /// The kind's name in every table.
    #[inline]
    pub fn word(self) -> &'static Word {
        match self {
            Self::Created => &CREATED,
            Self::Updated => &UPDATED,
            Self::Removed => &REMOVED,
            Self::Restored => &RESTORED,
        }
    }
}

/// One change; a removed entry is shown as it was last.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What happened.
    pub kind: Kind,
    /// The operation's index; `None` for what belongs to the whole transaction.
    pub operation: Option<u32>,
    /// Ledger of the entry's last change; `None` for a removal without the state before it.
    pub last_modified: Option<u32>,
    /// The entry.
    pub entry: Entry<'a>,
}

/// An entry of a type that some table wants.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// A value in a contract's storage.
    ContractData(ContractData<'a>),
    /// A contract's code.
    ContractCode(ContractCode<'a>),
    /// How long contract data or code lives.
    Ttl(Ttl<'a>),
}

/// ContractDataEntry; each field as XDR.
#[derive(Debug, Clone, Copy)]
pub struct ContractData<'a> {
    /// Contract, key and durability as they lie: a LedgerKey without its type.
    pub ledger_key: &'a [u8],
    /// SCAddress
    pub contract: &'a [u8],
    /// SCVal
    pub key: &'a [u8],
    /// ContractDataDurability
    pub durability: u32,
    /// SCVal; `None` for a removal without the state before it.
    pub val: Option<&'a [u8]>,
}

/// ContractCodeEntry
#[derive(Debug, Clone, Copy)]
pub struct ContractCode<'a> {
    /// sha256 of the code.
    pub hash: &'a [u8; 32],
    /// WebAssembly; `None` for a removal without the state before it.
    pub code: Option<&'a [u8]>,
    /// Instructions and functions in it, where they were counted (since protocol 21).
    pub costs: Option<(u32, u32)>,
}

/// TTLEntry
#[derive(Debug, Clone, Copy)]
pub struct Ttl<'a> {
    /// sha256 of the LedgerKey it is about.
    pub key_hash: &'a [u8; 32],
    /// The last ledger it lives in; `None` for a removal without the state before it.
    pub live_until: Option<u32>,
}

impl<'a> Entry<'a> {
    /// The contract's code it is, if it is one.
    pub fn contract_code(&self) -> Option<&ContractCode<'a>> {
        if let Self::ContractCode(code) = self { Some(code) } else { None }
    }

    /// The time to live it is, if it is one.
    pub fn ttl(&self) -> Option<&Ttl<'a>> {
        if let Self::Ttl(ttl) = self { Some(ttl) } else { None }
    }

    /// LedgerEntryType and the LedgerKey's bytes behind it: they order and identify entries.
    fn key(&self) -> (u32, &'a [u8]) {
        match self {
            Self::ContractData(data) => (LedgerEntryType::CONTRACT_DATA, data.ledger_key),
            Self::ContractCode(code) => (LedgerEntryType::CONTRACT_CODE, code.hash),
            Self::Ttl(ttl) => (LedgerEntryType::TTL, ttl.key_hash),
        }
    }
}

/// Read a group of changes into `changes`: those of wanted entries, ordered by LedgerKey, each
/// removal with the state before it.
pub fn read<'a>(
    bytes: Input<'a>,
    wanted: EntryTypes,
    operation: Option<u32>,
    changes: &mut Vec<Change<'a>>,
) -> Option<Input<'a>> {
    let (count, mut bytes) = xdr::u32(bytes)?;
    let first = changes.len();
    let mut before: Option<Before<'a>> = None;
    for _ in 0..count {
        let (arm, body) = xdr::u32(bytes)?;
        let Some(kind) = kind(arm)? else {
            before = Some(Before::Unread(body));
            bytes = skip::<LedgerEntry>(body)?;
            continue;
        };
        let found = match kind {
            Kind::Removed => removed(body, wanted, &mut before)?,
            _ => {
                before = Some(Before::Unread(body));
                entry(body, wanted)?
            }
        };
        bytes = found.1;
        if let Some((last_modified, entry)) = found.0 {
            changes.push(Change { kind, operation, last_modified, entry });
        }
    }
    if let Some(group) = changes.get_mut(first..) {
        order(group);
    }
    Some(bytes)
}

/// What happened, by LedgerEntryChangeType; nothing where only a state is told.
#[inline(always)]
fn kind(arm: u32) -> Option<Option<Kind>> {
    Some(match arm {
        LedgerEntryChangeType::CREATED => Some(Kind::Created),
        LedgerEntryChangeType::UPDATED => Some(Kind::Updated),
        LedgerEntryChangeType::REMOVED => Some(Kind::Removed),
        LedgerEntryChangeType::STATE => None,
        LedgerEntryChangeType::RESTORED => Some(Kind::Restored),
        _ => return None,
    })
}

/// The changes whose entries `pick` takes, each with its place among them: a table's change_index.
pub fn numbered<'c, 'a, E>(
    changes: &'c [Change<'a>],
    pick: impl Fn(&'c Entry<'a>) -> Option<E>,
) -> impl Iterator<Item = (u32, &'c Change<'a>, E)> {
    let picked = changes.iter().filter_map(move |change| Some((change, pick(&change.entry)?)));
    (0..).zip(picked).map(|(index, (change, entry))| (index, change, entry))
}

/// Order by LedgerKey as the chain's Go SDK does; what concerns the same key keeps its order.
fn order(group: &mut [Change<'_>]) {
    if group.len() > 1 {
        group.sort_by(|one, other| one.entry.key().cmp(&other.entry.key()));
    }
}

/// Pass over a group of changes.
pub fn pass(bytes: Input<'_>) -> Option<Input<'_>> {
    skip::<xdr::schema::Array<LedgerEntryChange>>(bytes)
}

/// The ledger of an entry's last change, and the entry.
type State<'a> = (Option<u32>, Entry<'a>);
type Found<'a> = (Option<State<'a>>, Input<'a>);

/// The entry before a change. Only a removal makes its reading worth while, and that once: many may follow it.
#[derive(Clone, Copy)]
enum Before<'a> {
    /// LedgerEntry
    Unread(Input<'a>),
    Read(State<'a>),
}

fn entry<'a>(bytes: Input<'a>, wanted: EntryTypes) -> Option<Found<'a>> {
    let (last_modified, data) = xdr::u32(bytes)?;
    let (entry_type, body) = xdr::u32(data)?;
    let (entry, rest) = match entry_type {
        LedgerEntryType::CONTRACT_DATA if wanted & CONTRACT_DATA != 0 => {
            let ext = skip::<xdr::layout::ExtensionPoint>(body)?;
            let (data, val) = contract_data_key(ext)?;
            let rest = skip::<SCVal>(val)?;
            let data = ContractData { val: Some(between(val, rest)), ..data };
            (Some(Entry::ContractData(data)), rest)
        }
        LedgerEntryType::CONTRACT_CODE if wanted & CONTRACT_CODE != 0 => {
            let (code, rest) = contract_code(body)?;
            (Some(Entry::ContractCode(code)), rest)
        }
        LedgerEntryType::TTL if wanted & TTL != 0 => {
            let (key_hash, rest) = xdr::array(body)?;
            let (live_until, rest) = xdr::u32(rest)?;
            (Some(Entry::Ttl(Ttl { key_hash, live_until: Some(live_until) })), rest)
        }
        _ => (None, skip::<LedgerEntryData>(data)?),
    };
    let rest = skip::<LedgerEntryExt>(rest)?;
    Some((entry.map(|entry| (Some(last_modified), entry)), rest))
}

/// A removal carries only a key; the entry is the one just before it, which is forgotten where it is another.
fn removed<'a>(
    bytes: Input<'a>,
    wanted: EntryTypes,
    before: &mut Option<Before<'a>>,
) -> Option<Found<'a>> {
    let last = before.take();
    let (entry_type, body) = xdr::u32(bytes)?;
    let (entry, rest) = match entry_type {
        LedgerEntryType::CONTRACT_DATA if wanted & CONTRACT_DATA != 0 => {
            let (data, rest) = contract_data_key(body)?;
            (Entry::ContractData(data), rest)
        }
        LedgerEntryType::CONTRACT_CODE if wanted & CONTRACT_CODE != 0 => {
            let (hash, rest) = xdr::array(body)?;
            (Entry::ContractCode(ContractCode { hash, code: None, costs: None }), rest)
        }
        LedgerEntryType::TTL if wanted & TTL != 0 => {
            let (key_hash, rest) = xdr::array(body)?;
            (Entry::Ttl(Ttl { key_hash, live_until: None }), rest)
        }
        _ => return Some((None, skip::<LedgerKey>(bytes)?)),
    };
    let last = match last {
        Some(Before::Unread(last)) => self::entry(last, wanted)?.0,
        Some(Before::Read(last)) => Some(last),
        None => None,
    };
    let found = last.filter(|(_, last)| last.key() == entry.key());
    *before = found.map(Before::Read);
    Some((found.or(Some((None, entry))), rest))
}

fn contract_data_key(bytes: Input<'_>) -> Option<(ContractData<'_>, Input<'_>)> {
    let key = skip::<SCAddress>(bytes)?;
    let durability = skip::<SCVal>(key)?;
    let rest = skip::<ContractDataDurability>(durability)?;
    let data = ContractData {
        ledger_key: between(bytes, rest),
        contract: between(bytes, key),
        key: between(key, durability),
        durability: xdr::u32(durability)?.0,
        val: None,
    };
    Some((data, rest))
}

/// ContractCodeEntry: its ext holds the cost inputs, instructions and functions first.
fn contract_code(bytes: Input<'_>) -> Option<(ContractCode<'_>, Input<'_>)> {
    let ext = skip::<ContractCodeEntryExt>(bytes)?;
    let costs = match between(bytes, ext).get(12..) {
        Some(costs) => {
            let (instructions, rest) = xdr::u32(costs)?;
            Some((instructions, xdr::u32(rest)?.0))
        }
        None => None,
    };
    let (hash, rest) = xdr::array(ext)?;
    let (code, rest) = xdr::opaque(rest)?;
    Some((ContractCode { hash, code: Some(code), costs }, rest))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{CONTRACT_DATA, Change, Entry, read};
    use crate::xdr::discriminants::{
        ContractDataDurability, LedgerEntryChangeType, LedgerEntryType, SCAddressType, SCValType,
    };

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// The state of an entry that holds so many values, and so many removals of it.
    fn removed(times: u32, values: u32) -> Vec<u8> {
        let contract = [&numbers(&[SCAddressType::CONTRACT])[..], &[7; 32]].concat();
        let durability = numbers(&[SCValType::VOID, ContractDataDurability::PERSISTENT]);
        let key = [contract, durability].concat();
        let state = numbers(&[LedgerEntryChangeType::STATE, 77, LedgerEntryType::CONTRACT_DATA, 0]);
        let held = numbers(&[SCValType::VEC, 1, values]);
        let voids = numbers(&[SCValType::VOID]).repeat(values as usize);
        let ext = numbers(&[0]);
        let removal = numbers(&[LedgerEntryChangeType::REMOVED, LedgerEntryType::CONTRACT_DATA]);
        let removals = [removal, key.clone()].concat().repeat(times as usize);
        [numbers(&[1 + times]), state, key, held, voids, ext, removals].concat()
    }

    /// Read removals, and tell how long that took.
    fn timed(group: &[u8], times: u32) -> Duration {
        let (began, mut changes) = (Instant::now(), Vec::new());
        assert_eq!(read(group, CONTRACT_DATA, None, &mut changes), Some(&[][..]));
        assert_eq!(changes.len(), times as usize);
        let is_whole = |change: &Change<'_>| {
            matches!(change.entry, Entry::ContractData(data) if data.val.is_some())
                && change.last_modified == Some(77)
        };
        assert!(changes.iter().all(is_whole));
        began.elapsed()
    }

    #[test]
    fn an_entry_that_is_removed_again_and_again_is_read_once() {
        let values = 1 << 18;
        let (once, often) = (removed(1, values), removed(500, values));
        let once = (0..5).map(|_| timed(&once, 1)).min();
        let often = (0..5).map(|_| timed(&often, 500)).min();
        assert!(often < once.map(|once| 50 * once), "{often:?} after {once:?}");
    }
}
