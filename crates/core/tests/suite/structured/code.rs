//! Contract code: WebAssembly with an interface in a custom section, sometimes a damaged one.

use stellar_xdr::{
    ContractCodeEntry, LedgerEntry, LedgerEntryChange, LedgerEntryData, LedgerKey, ScSpecEntry,
};

use crate::dice::Dice;
use crate::mutate::mutate;
use crate::sealed::encode;

/// Add what happens to some code.
pub fn changes(dice: &mut Dice, changes: &mut Vec<LedgerEntryChange>) {
    use LedgerEntryChange::{Created, Removed, Restored, State, Updated};
    let data = LedgerEntryData::ContractCode(ContractCodeEntry {
        ext: dice.arbitrary(128),
        hash: dice.arbitrary(32),
        code: code(dice).try_into().unwrap(),
    });
    let entry = LedgerEntry { data, ..dice.arbitrary(64) };
    let key: LedgerKey = entry.to_key();
    match dice.below(6) {
        0 => changes.push(Created(entry)),
        1 => changes.extend([State(entry.clone()), Updated(entry)]),
        2 => changes.push(Restored(entry)),
        3 => changes.push(Removed(key)),
        _ => changes.extend([State(entry), Removed(key)]),
    }
}

/// Code with sections of all kinds, some of them damaged.
pub fn code(dice: &mut Dice) -> Vec<u8> {
    let mut code = b"\0asm\x01\0\0\0".to_vec();
    for _ in 0..dice.below(4) {
        let entries = (0..dice.below(4)).flat_map(|_| encode(&dice.arbitrary::<ScSpecEntry>(256)));
        let mut content: Vec<u8> = entries.collect();
        if dice.one_in(6) {
            mutate(dice, &mut content, 0);
        }
        let name = if dice.one_in(4) { &b"name"[..] } else { b"contractspecv0" };
        let section = [&leb128(name.len())[..], name, &content].concat();
        code.push(if dice.one_in(8) { 1 } else { 0 });
        code.extend(leb128(section.len()));
        code.extend(section);
    }
    if dice.one_in(8) {
        mutate(dice, &mut code, 0);
    }
    code
}

/// LEB128, as WebAssembly writes numbers.
pub fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = value >= 0x80;
        bytes.push(value as u8 & 0x7f | u8::from(more) << 7);
        value >>= 7;
        if !more {
            return bytes;
        }
    }
}
