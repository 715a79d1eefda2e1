//! Soroban transactions: deployments, calls, and the upkeep of entries.

use super::call::{Call, INVOKE};
use super::contract::Kind;
use super::dice::Dice;
use super::entry::Entry;
use super::event::{put_call, put_custom};
use super::ledger::Draft;
use super::now::Now;
use super::scval::Address;
use super::world::World;
use super::writer::Writer;

pub(super) const EXTEND_TTL: u32 = 25;
pub(super) const RESTORE_FOOTPRINT: u32 = 26;

/// What a transaction takes beside keys, changes and events; with unified events, those of fees come to it.
const BASE: usize = 1_260;
const FEE_EVENTS: usize = 280;
/// With less, every byte counts.
const ROOMY: usize = 3_500;
/// What a fee bump wraps around.
const FEE_BUMP: usize = 170;
/// Half an event: the last one may miss the target by as much.
const HALF_EVENT: usize = 100;

/// How much a transaction should hold.
pub(super) struct Ask {
    /// Bytes for keys, changes and events.
    room: usize,
    events: usize,
    /// Take events until the room is used up.
    fill: bool,
    bumped: bool,
}

impl Ask {
    /// Ask for what a usual call holds, within `room`.
    pub fn some(dice: &mut Dice, room: usize, now: Now) -> Self {
        let events = dice.between(5, 24) as usize;
        Self { events, fill: false, ..Self::fill(dice, room, now) }
    }

    /// Ask for a transaction of `room` bytes.
    pub fn fill(dice: &mut Dice, room: usize, now: Now) -> Self {
        let bumped = dice.chance(12) && room > ROOMY;
        let fees = if now.era.unified() { FEE_EVENTS } else { 0 };
        let outer = if bumped { FEE_BUMP } else { 0 };
        Self { room: room.saturating_sub(BASE + fees + outer), events: 0, fill: true, bumped }
    }

    /// Ask for as many events as the busiest real transactions hold.
    pub fn burst() -> Self {
        Self { room: usize::MAX, events: 11_000, fill: false, bumped: false }
    }

    fn is_burst(&self) -> bool {
        self.events >= 11_000
    }

    pub fn wants_more(&self, call: &Call) -> bool {
        let fits = call.bytes() + HALF_EVENT < self.room;
        fits && (self.fill || call.operation.events.len() < self.events)
    }

    /// Tell how many entries of about `bytes` each may still be touched.
    pub fn places(&self, bytes: usize, call: &Call) -> usize {
        self.room.saturating_sub(call.bytes()) / bytes
    }
}

impl World {
    /// Add one Soroban transaction.
    pub fn soroban(&mut self, draft: &mut Draft, ask: &Ask) {
        let free = !ask.fill && !ask.is_burst();
        let choice = if free { self.dice.below(100) } else { 99 };
        let undeployed = self.contracts.all.len() - self.contracts.live;
        let (kind, mut call) = match choice {
            _ if free && self.contracts.wants_first_code() => (INVOKE, self.upload()),
            _ if self.contracts.live == 0 => (INVOKE, self.deploy(ask)),
            0..8 => return self.trap(ask, draft),
            8..23 if undeployed > 0 => (INVOKE, self.deploy(ask)),
            23..26 => (EXTEND_TTL, self.extend_footprint()),
            26..28 if self.now.era.restores() => (RESTORE_FOOTPRINT, self.restore_footprint()),
            28..32 if self.contracts.wants_code() => (INVOKE, self.upload()),
            _ => (INVOKE, self.invoke(ask)),
        };
        call.settle(kind, true);
        self.submit(call, true, ask.bumped, draft);
    }

    fn submit(&mut self, mut call: Call, successful: bool, bumped: bool, draft: &mut Draft) {
        let soroban = &mut call.soroban;
        soroban.non_refundable = self.dice.between(2, 40) as i64 * 1000;
        soroban.rent = self.dice.below(4) as i64 * 5000;
        soroban.refund = self.dice.between(1, 20) as i64 * 500;
        soroban.refundable = soroban.rent + soroban.refund + 1000;
        let fee = 100 + soroban.resource_fee();
        let mut begun = self.begin(fee, successful, bumped, Some(call.soroban));
        begun.tx.operations.push(call.operation);
        self.finish(begun, draft);
    }

    /// Call a contract: its own storage, a token's balances, and the events of both.
    fn invoke(&mut self, ask: &Ask) -> Call {
        let mut call = Call::new(INVOKE);
        let place = if ask.is_burst() {
            (self.contracts.live - 1).min(2)
        } else {
            self.contracts.pick(&mut self.dice)
        };
        self.put_invocation(place, &mut call);
        if ask.places(1500, &call) > 0 && self.dice.chance(12) {
            self.authorize(&mut call);
        } else {
            call.operation.body.u32(0);
        }
        if self.dice.chance(5) {
            put_call(&mut call.soroban.diagnostics, &self.contracts.all[place].token.id, true);
        }
        if Kind::of(place).is_token() {
            self.token_calls(place, ask, &mut call);
        } else {
            self.program_calls(place, ask, &mut call);
        }
        self.put_returned(place, &mut call);
        call
    }

    /// Call a contract that is no token: its storage, its events, and often a token through it.
    fn program_calls(&mut self, place: usize, ask: &Ask, call: &mut Call) {
        self.storage_calls(place, ask, call);
        self.contracts.write_read_only(place, call);
        let own = if ask.is_burst() { 9_000 } else { self.dice.below(4) as usize };
        self.own_events(place, own, ask, call);
        if ask.places(1100, call) > 0 && self.dice.chance(60) {
            let token = self.contracts.pick_sac(&mut self.dice);
            self.token_calls(token, ask, call);
        } else {
            self.own_events(place, usize::MAX, ask, call);
        }
    }

    /// Emit up to `most` events of the contract's own.
    pub fn own_events(&mut self, place: usize, most: usize, ask: &Ask, call: &mut Call) {
        for _ in 0..most {
            if !ask.wants_more(call) {
                return;
            }
            let other = self.contracts.some_id(&mut self.dice);
            let id = &self.contracts.all[place].token.id;
            put_custom(&mut call.operation.events, &mut self.dice, id, &other);
        }
    }

    /// Add a call that runs into an error: it leaves nothing but its fee.
    fn trap(&mut self, ask: &Ask, draft: &mut Draft) {
        let mut call = Call::new(INVOKE);
        let place = self.contracts.pick(&mut self.dice);
        self.put_invocation(place, &mut call);
        call.operation.body.u32(0);
        self.contracts.write_read_only(place, &mut call);
        if self.dice.chance(50) {
            put_call(&mut call.soroban.diagnostics, &self.contracts.all[place].token.id, false);
        }
        call.settle(INVOKE, false);
        self.submit(call, false, ask.bumped, draft);
    }

    /// Write the HostFunction of a call: contract, function name, arguments.
    fn put_invocation(&mut self, place: usize, call: &mut Call) {
        let w = &mut call.operation.body;
        let other = self.contracts.some_id(&mut self.dice);
        w.u32(0);
        w.address(&self.contracts.all[place].address());
        if Kind::of(place).is_token() {
            w.var(b"transfer");
            w.u32(3);
            w.sc_address(&Address::Contract(other));
            w.sc_address(&self.contracts.deployer);
            w.sc_i128(self.dice.below(1 << 40).into());
        } else {
            w.var(b"swap_chained");
            w.u32(2);
            w.sc_address(&Address::Contract(other));
            w.sc_any(&mut self.dice, 1, &other);
        }
    }

    /// Let an account other than the source sign for the call; its nonce becomes a short-lived entry.
    fn authorize(&mut self, call: &mut Call) {
        let signer = self.accounts.some_receiver(&mut self.dice);
        let (nonce, expires) = (self.dice.word(), self.now.seq.saturating_add(16));
        // After the operation's kind and the host function's arm: the InvokeContractArgs.
        let invocation = call.operation.body.0[8..].to_vec();
        let w = &mut call.operation.body;
        w.u32(1);
        w.u32(1);
        w.address(&Address::Account(signer));
        w.u64(nonce);
        w.u32(expires);
        w.sc_vec(1);
        w.sc_map(2);
        w.symbol("public_key");
        w.sc_bytes(&signer);
        w.symbol("signature");
        w.sc_bytes(&self.dice.bytes::<64>());
        w.u32(0);
        w.raw(&invocation);
        w.u32(0);
        let mut entry = Entry::data(&Address::Account(signer), true, |w| {
            w.u32(21);
            w.u64(nonce);
        });
        call.touch(&entry);
        entry.create(self.now.seq, expires, Writer::sc_void, &mut call.operation.changes);
        self.contracts.nonces.push_back(entry);
    }

    fn put_returned(&mut self, place: usize, call: &mut Call) {
        let known = &self.contracts.all[place].token.id;
        call.soroban.returned = Writer::default();
        if self.dice.chance(60) {
            call.soroban.returned.sc_void();
        } else {
            call.soroban.returned.sc_any(&mut self.dice, 1, known);
        }
    }
}
