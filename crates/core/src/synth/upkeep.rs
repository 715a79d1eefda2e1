//! Transactions that bring contracts and codes into being and keep entries alive.

use super::asset::{Asset, write_deployer_preimage};
use super::call::{Call, INVOKE};
use super::contract::Kind;
use super::entry::{Entry, LONGEST_LIFE};
use super::event::put_code_exchange;
use super::soroban::{Ask, EXTEND_TTL, RESTORE_FOOTPRINT};
use super::world::World;
use super::writer::Writer;
use crate::xdr::discriminants::SCValType;

impl World {
    /// Deploy up to eight contracts at once, as factories do; the last one goes to work immediately.
    pub fn deploy(&mut self, ask: &Ask) -> Call {
        let mut call = Call::new(INVOKE);
        let undeployed = self.contracts.all.len() - self.contracts.live;
        let count = self.dice.between(1, 8) as usize;
        let count = count.min(ask.places(600, &call)).clamp(1, undeployed);
        for _ in 0..count {
            self.create_instance(&mut call);
        }
        let place = self.contracts.live - 1;
        self.put_creation(place, &mut call);
        call.soroban.returned.sc_address(&self.contracts.all[place].address());
        if Kind::of(place).is_token() {
            self.token_calls(place, ask, &mut call);
        } else {
            self.own_events(place, usize::MAX, ask, &mut call);
        }
        call
    }

    fn create_instance(&mut self, call: &mut Call) {
        let place = self.contracts.live;
        self.contracts.live += 1;
        let code = self.dice.index(self.contracts.codes.len());
        self.contracts.all[place].code = code;
        if self.contracts.all[place].asset.is_none() {
            call.read(&self.contracts.codes[code].entry);
        }
        let address = self.contracts.all[place].address();
        let mut instance =
            Entry::data(&address, false, |w| w.u32(SCValType::LEDGER_KEY_CONTRACT_INSTANCE));
        call.touch(&instance);
        let value = self.instance_value(place);
        let until = self.now.seq.saturating_add(LONGEST_LIFE);
        instance.create(self.now.seq, until, |w| w.raw(&value.0), &mut call.operation.changes);
        self.contracts.all[place].instance = Some(instance);
    }

    fn instance_value(&self, place: usize) -> Writer {
        let contract = &self.contracts.all[place];
        let forged = match Kind::of(place) {
            Kind::Forger => self
                .contracts
                .all
                .get(4)
                .and_then(|real| real.asset.as_ref())
                .or(Some(&Asset::Native)),
            _ => None,
        };
        let mut value = Writer::default();
        contract.write_instance(&self.contracts.codes[contract.code].hash, forged, &mut value);
        value
    }

    /// Write the HostFunction: CreateContract from an asset, or CreateContractV2 without constructor arguments.
    fn put_creation(&mut self, place: usize, call: &mut Call) {
        let contract = &self.contracts.all[place];
        let w = &mut call.operation.body;
        w.u32(if contract.asset.is_some() { 1 } else { 3 });
        match &contract.asset {
            Some(asset) => asset.write_preimage(w),
            None => write_deployer_preimage(w, &self.contracts.deployer, &contract.salt),
        }
        contract.write_executable(&self.contracts.codes[contract.code].hash, w);
        if contract.asset.is_none() {
            w.u32(0);
        }
        w.u32(0);
    }

    /// Count a call in the instance's storage; now and then exchange the code.
    pub fn update_instance(&mut self, place: usize, call: &mut Call) {
        let Some(mut instance) = self.contracts.all[place].instance.take() else {
            return;
        };
        let contract = &mut self.contracts.all[place];
        contract.calls += 1;
        if self.dice.chance(10) {
            let code = self.dice.index(self.contracts.codes.len());
            let (old, new) =
                (self.contracts.codes[contract.code].hash, self.contracts.codes[code].hash);
            put_code_exchange(&mut call.operation.events, &contract.token.id, &old, &new);
            contract.code = code;
        }
        let value = self.instance_value(place);
        call.touch(&instance);
        instance.update(self.now.seq, |w| w.raw(&value.0), &mut call.operation.changes);
        if instance.expires_within(self.now.seq, LONGEST_LIFE / 2) {
            instance.extend(
                self.now.seq,
                self.now.seq.saturating_add(LONGEST_LIFE),
                &mut call.operation.changes,
            );
        }
        self.contracts.all[place].instance = Some(instance);
    }

    /// Upload a code: the first one, before any contract is there, or one more.
    pub fn upload(&mut self) -> Call {
        let mut call = Call::new(INVOKE);
        let changes = &mut call.operation.changes;
        if self.contracts.wants_first_code() {
            self.contracts.upload_first(self.now, changes);
        } else {
            self.contracts.upload(self.now, &mut self.dice, changes);
        }
        if let Some(code) = self.contracts.codes.last() {
            call.operation.body.u32(2);
            call.operation.body.var(&code.bytes);
            call.operation.body.u32(0);
            call.touch(&code.entry);
            call.soroban.returned.sc_bytes(&code.hash);
        }
        call
    }

    /// Extend the life of up to four entries of a contract, or of its instance.
    pub fn extend_footprint(&mut self) -> Call {
        let mut call = Call::new(EXTEND_TTL);
        let by = self.dice.between(1_000, 500_000) as u32;
        call.operation.body.u32(0);
        call.operation.body.u32(by);
        let place = self.contracts.pick(&mut self.dice);
        let (seq, contract) = (self.now.seq, &mut self.contracts.all[place]);
        let until = seq.saturating_add(by);
        let alive =
            contract.entries.iter_mut().filter(|entry| !entry.expired(seq) && entry.until < until);
        for entry in alive.take(4) {
            call.read(entry);
            entry.extend(seq, until, &mut call.operation.changes);
        }
        if let Some(instance) = &contract.instance {
            call.read(instance);
        }
        call
    }

    /// Restore up to three archived entries of a contract; it is no error to find none.
    pub fn restore_footprint(&mut self) -> Call {
        let mut call = Call::new(RESTORE_FOOTPRINT);
        call.operation.body.u32(0);
        let seq = self.now.seq;
        let archived = |entry: &&mut Entry| entry.expired(seq) && !entry.temporary;
        let used = &mut self.contracts.all[..self.contracts.live];
        let entries = used.iter_mut().flat_map(|contract| contract.entries.iter_mut());
        for entry in entries.filter(archived).take(3) {
            call.touch(entry);
            entry.restore(
                seq,
                seq.saturating_add(4095),
                None::<fn(&mut Writer)>,
                &mut call.operation.changes,
            );
        }
        call
    }
}
