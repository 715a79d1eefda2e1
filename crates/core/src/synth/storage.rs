//! What calls do to a contract's own storage: create, update, remove, restore, extend.

use super::call::Call;
use super::dice::Dice;
use super::entry::Entry;
use super::now::Now;
use super::scval::Address;
use super::soroban::Ask;
use super::world::World;
use super::writer::{Hash, Writer};

/// About what one touched entry takes: key, states before and after. Some take twice that.
const TOUCHED: usize = 640;

/// Draw how long a new entry lives. A few expire soon, so that evictions and restorals happen within a short run.
pub(super) fn lifetime(dice: &mut Dice, now: Now, temporary: bool) -> u32 {
    let ledgers = match temporary {
        true => dice.between(17, 80),
        false if dice.chance(10) => dice.between(20, 60),
        false => dice.between(400_000, 2_000_000),
    };
    now.seq.saturating_add(ledgers as u32)
}

impl World {
    pub fn storage_calls(&mut self, place: usize, ask: &Ask, call: &mut Call) {
        for _ in 0..self.dice.between(1, 4) {
            if ask.places(2 * TOUCHED, call) == 0 {
                return;
            }
            let known = self.contracts.some_id(&mut self.dice);
            let vacant = self.contracts.all[place].entries.is_empty();
            if vacant || self.contracts.has_room(place) && self.dice.chance(40) {
                self.create_entry(place, &known, call);
            } else {
                self.change_entry(place, &known, call);
            }
        }
        if ask.places(2 * TOUCHED, call) > 0 && self.dice.chance(20) {
            self.update_instance(place, call);
        }
    }

    fn create_entry(&mut self, place: usize, known: &Hash, call: &mut Call) {
        let (now, dice) = (self.now, &mut self.dice);
        let contract = &mut self.contracts.all[place];
        let temporary = dice.chance(20);
        let mut entry = Entry::data(&contract.address(), temporary, |w| put_key(w, dice, known));
        let taken = contract.entries.iter().any(|other| other.hash == entry.hash);
        if taken || call.has_touched(&entry.hash) {
            return;
        }
        call.touch(&entry);
        let until = lifetime(dice, now, temporary);
        entry.create(now.seq, until, |w| put_value(w, dice, known), &mut call.operation.changes);
        contract.entries.push(entry);
    }

    fn change_entry(&mut self, place: usize, known: &Hash, call: &mut Call) {
        let (now, dice) = (self.now, &mut self.dice);
        let entries = &mut self.contracts.all[place].entries;
        let chosen = dice.index(entries.len());
        let entry = &mut entries[chosen];
        if call.has_touched(&entry.hash) {
            return;
        }
        if entry.expired(now.seq) {
            if !entry.temporary && now.era.restores() {
                let (restored, until) = (call.touch(entry), lifetime(dice, now, false));
                call.soroban.restored.push(restored);
                if !restore(entry, now.seq, until, dice, known, call) {
                    entries.swap_remove(chosen);
                }
            }
            return;
        }
        call.touch(entry);
        let changes = &mut call.operation.changes;
        match dice.below(100) {
            0..75 => entry.update(now.seq, |w| put_value(w, dice, known), changes),
            75..88 => {
                entry.remove(changes);
                entries.swap_remove(chosen);
            }
            _ => {
                let until = entry.until.saturating_add(dice.between(10, 1000) as u32);
                entry.extend(now.seq, until, changes);
            }
        }
    }
}

/// Bring an archived entry back, as it was, changed, or to be removed; tell whether it stays.
fn restore(
    entry: &mut Entry,
    seq: u32,
    until: u32,
    dice: &mut Dice,
    known: &Hash,
    call: &mut Call,
) -> bool {
    let changes = &mut call.operation.changes;
    match dice.below(4) {
        0 => {
            entry.restore_and_remove(seq, until, changes);
            return false;
        }
        1 => entry.restore(seq, until, None::<fn(&mut Writer)>, changes),
        _ => entry.restore(seq, until, Some(|w: &mut Writer| put_value(w, dice, known)), changes),
    }
    true
}

/// Write a key: what contracts commonly use, or any value at all.
fn put_key(w: &mut Writer, dice: &mut Dice, known: &Hash) {
    let name = dice.pick(&["Position", "Allowance", "Order", "Balance", "Pool"]);
    match dice.below(6) {
        0 => w.symbol(name),
        1 | 2 => {
            w.sc_vec(2);
            w.symbol(name);
            w.sc_address(&Address::Contract(*known));
        }
        3 => {
            w.sc_vec(2);
            w.symbol(name);
            w.sc_u32(dice.below(10_000) as u32);
        }
        _ => w.sc_any(dice, 1, known),
    }
}

/// Write a value: a pool's reserves, or any value at all.
fn put_value(w: &mut Writer, dice: &mut Dice, known: &Hash) {
    if dice.chance(60) {
        return w.sc_any(dice, 2, known);
    }
    w.sc_map(2);
    for name in ["reserve_a", "reserve_b"] {
        w.symbol(name);
        w.sc_i128(super::scval::integer(dice));
    }
}
