//! What calls do to the balances that a token contract keeps for other contracts.

use super::call::Call;
use super::contract::Kind;
use super::entry::{Balance, Entry};
use super::event::{Memo, Movement, put_movement};
use super::scval::Address;
use super::soroban::Ask;
use super::storage::lifetime;
use super::world::World;
use super::writer::{Hash, Writer};

/// What one balance takes: its key, and its entry before and after, or once with a new TTL.
const UPDATED: usize = 572;
const CREATED: usize = 396;
/// What an account's deposit takes: its key, its states, the event.
const DEPOSIT: usize = 560;
/// What a balance takes less, each time it is written, where it is a bare number.
const BARE: usize = 72;
/// Below this rest of life, touching a balance extends it by a month, as the SAC does (CAP-46-6).
const SHORT: u32 = 100_000;
const MONTH: u32 = 518_400;

/// A balance that the call works on.
struct Held {
    /// Where its entry is among the contract's.
    entry: usize,
    fresh: bool,
    amount: i128,
    holder: Address,
}

impl Held {
    /// Estimate what its changes and key will take.
    fn bytes(&self, bare: bool) -> usize {
        match (self.fresh, bare) {
            (true, true) => CREATED - BARE,
            (true, false) => CREATED,
            (false, true) => UPDATED - 2 * BARE,
            (false, false) => UPDATED,
        }
    }
}

impl World {
    /// Move tokens among a few holders, one event a movement, then write the balances that come of it.
    pub fn token_calls(&mut self, place: usize, ask: &Ask, call: &mut Call) {
        self.contracts.write_read_only(place, call);
        let most = ask.places(UPDATED + 300, call).clamp(1, 3) as u64;
        let mut held = Vec::new();
        for _ in 0..self.dice.between(most.min(2), most) {
            held.extend(self.hold(place, call));
        }
        if held.is_empty() {
            return self.own_events(place, usize::MAX, ask, call);
        }
        let bare = Kind::of(place) == Kind::Token;
        call.pending = held.iter().map(|balance| balance.bytes(bare)).sum();
        for balance in held.iter_mut().filter(|balance| balance.fresh) {
            self.fund(place, balance, ask, call);
        }
        let mut amount = self.round_amount();
        for step in 0.. {
            if !ask.wants_more(call) {
                break;
            }
            if self.dice.chance(30) {
                amount = self.round_amount();
            }
            self.movement(place, &mut held, (step, amount), call);
        }
        call.pending = 0;
        for balance in &held {
            self.write_balance(place, balance, call);
        }
    }

    /// Choose a holder: a new one while there are few, else the next usable one from anywhere.
    fn hold(&mut self, place: usize, call: &mut Call) -> Option<Held> {
        let holders = self.contracts.all[place].entries.len();
        let wanted = holders < 2 || self.contracts.has_room(place) && self.dice.chance(20);
        if let Some(held) = wanted.then(|| self.hold_new(place, call)).flatten() {
            return Some(held);
        }
        let (now, start) = (self.now, self.dice.index(holders));
        let entries = &self.contracts.all[place].entries;
        let usable = |entry: &Entry| {
            !call.has_touched(&entry.hash) && (now.era.restores() || !entry.expired(now.seq))
        };
        let places = (start..holders).chain(0..start);
        let entry = places.into_iter().find(|place| usable(&entries[*place]))?;
        call.mark(&entries[entry]);
        let Balance { holder, amount, .. } = entries[entry].balance?;
        Some(Held { entry, fresh: false, amount, holder })
    }

    fn hold_new(&mut self, place: usize, call: &mut Call) -> Option<Held> {
        let holder = Address::Contract(self.contracts.some_id(&mut self.dice));
        let contract = &mut self.contracts.all[place];
        let mut entry = Entry::data(&contract.address(), false, |w| {
            w.sc_vec(2);
            w.symbol("Balance");
            w.sc_address(&holder);
        });
        if contract.entries.iter().any(|other| other.hash == entry.hash) {
            return None;
        }
        let clawback = contract.token.admin.is_some_and(may_claw_back);
        entry.balance = Some(Balance { holder, amount: 0, clawback });
        call.mark(&entry);
        contract.entries.push(entry);
        Some(Held { entry: contract.entries.len() - 1, fresh: true, amount: 0, holder })
    }

    /// Give a new holder something: minted, or, for native, paid by an account where there is room for that.
    fn fund(&mut self, place: usize, held: &mut Held, ask: &Ask, call: &mut Call) {
        if place == 0 {
            if ask.places(DEPOSIT, call) == 0 {
                return;
            }
            let amount = self.dice.between(1, 10_000) as i64 * 10_000;
            let payer = self.dice.skewed(self.accounts.receivers.len());
            let payer = &mut self.accounts.receivers[payer];
            payer
                .change(self.now, &mut call.operation.changes, |account| account.balance -= amount);
            payer.write_key(call.soroban.read_write.item());
            held.amount = i128::from(amount);
            let movement = Movement::Transfer(Address::Account(payer.key), held.holder);
            return self.emit(place, &movement, held.amount, call);
        }
        held.amount = match self.dice.below(40) {
            0 => i128::MAX,
            1 => 10_i128.pow(38),
            2 => i128::from(i64::MAX) + 1,
            // A negative balance: a token of its own making may keep one, a SAC never does.
            3 if Kind::of(place) != Kind::Sac => i128::MIN,
            4 if Kind::of(place) != Kind::Sac => -1,
            _ => self.round_amount(),
        };
        if held.amount > 0 {
            self.emit(place, &Movement::Mint(held.holder), held.amount, call);
        }
    }

    /// Draw an amount as people choose them: few digits, many zeros.
    fn round_amount(&mut self) -> i128 {
        let digits = self.dice.below(8) as u32;
        i128::from(self.dice.between(1, 9_999)) * 10_i128.pow(digits)
    }

    /// Transfer from one holder to the next, or mint, burn or claw back; nobody overflows or falls below zero.
    fn movement(
        &mut self,
        place: usize,
        held: &mut [Held],
        (step, amount): (usize, i128),
        call: &mut Call,
    ) {
        let (from, to) = (step % held.len(), (step + 1) % held.len());
        let choice = if place == 0 { 0 } else { self.dice.below(25) };
        let (amount, movement) = match choice {
            1 => (amount, Movement::Mint(held[to].holder)),
            2 => (amount.min(held[from].amount), Movement::Burn(held[from].holder)),
            3 if self.claws_back(place) => {
                (amount.min(held[from].amount), Movement::Clawback(held[from].holder))
            }
            _ => (
                amount.min(held[from].amount),
                Movement::Transfer(held[from].holder, held[to].holder),
            ),
        };
        let room = i128::MAX.saturating_sub(held[to].amount);
        let amount = if matches!(movement, Movement::Burn(_) | Movement::Clawback(_)) {
            amount
        } else {
            amount.min(room)
        };
        let amount = amount.max(0);
        if !matches!(movement, Movement::Mint(_)) {
            held[from].amount -= amount;
        }
        if !matches!(movement, Movement::Burn(_) | Movement::Clawback(_)) {
            held[to].amount += amount;
        }
        self.emit(place, &movement, amount, call);
    }

    fn claws_back(&self, place: usize) -> bool {
        let token = &self.contracts.all[place].token;
        token.admin.is_some_and(may_claw_back)
    }

    fn emit(&mut self, place: usize, movement: &Movement, amount: i128, call: &mut Call) {
        // A muxed destination is known since CAP-67 only.
        let muxed = self.now.era.unified()
            && matches!(movement, Movement::Transfer(..))
            && self.dice.chance(4);
        let memo = if muxed { Memo::Id(self.dice.below(1 << 40)) } else { Memo::None };
        let token = &self.contracts.all[place].token;
        put_movement(&mut call.operation.events, self.now, token, movement, amount, &memo);
    }

    fn write_balance(&mut self, place: usize, held: &Held, call: &mut Call) {
        let (now, bare) = (self.now, Kind::of(place) == Kind::Token);
        let entry = &mut self.contracts.all[place].entries[held.entry];
        let written = call.touch(entry);
        let Some(balance) = &mut entry.balance else {
            return;
        };
        balance.amount = held.amount;
        let balance = *balance;
        let value = |w: &mut Writer| {
            if bare { w.sc_i128(balance.amount) } else { put_balance(w, &balance) }
        };
        let changes = &mut call.operation.changes;
        if held.fresh {
            let until = lifetime(&mut self.dice, now, false);
            entry.create(now.seq, until, value, changes);
        } else if entry.expired(now.seq) {
            call.soroban.restored.push(written);
            entry.restore(now.seq, lifetime(&mut self.dice, now, false), Some(value), changes);
        } else {
            entry.update(now.seq, value, changes);
            if entry.expires_within(now.seq, SHORT) && self.dice.chance(30) {
                entry.extend(now.seq, now.seq.saturating_add(MONTH), changes);
            }
        }
    }
}

/// Tell whether the issuer set the clawback flag: about every other one did.
fn may_claw_back(issuer: Hash) -> bool {
    issuer[0].is_multiple_of(2)
}

/// Write the value of a SAC's balance.
fn put_balance(w: &mut Writer, balance: &Balance) {
    w.sc_map(3);
    w.symbol("amount");
    w.sc_i128(balance.amount);
    w.symbol("authorized");
    w.sc_bool(true);
    w.symbol("clawback");
    w.sc_bool(balance.clawback);
}
