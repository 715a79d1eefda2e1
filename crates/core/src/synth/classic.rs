//! Classic transactions: payments and what goes with them.

use super::account::Account;
use super::event::{Memo, Movement, Token, put_movement};
use super::ledger::Draft;
use super::scval::Address;
use super::transaction::{Operation, put_muxed};
use super::world::{Begun, World};
use super::writer::{Hash, Writer};

const CREATE_ACCOUNT: u32 = 0;
const PAYMENT: u32 = 1;
const CHANGE_TRUST: u32 = 6;
const BUMP_SEQUENCE: u32 = 11;

/// Result code PAYMENT_UNDERFUNDED.
const UNDERFUNDED: i32 = -2;

/// Where a payment of a credit asset goes: from or to the issuer or between two lines.
enum Route {
    Mint(usize),
    Burn(usize),
    Between(usize, usize),
}

fn operation(kind: u32, result: i32) -> Operation {
    let mut operation = Operation::default();
    operation.body.u32(kind);
    // opINNER, the kind again, its result code.
    operation.result.u32(0);
    operation.result.u32(kind);
    operation.result.i32(result);
    operation
}

fn put_payment(
    w: &mut Writer,
    to: &Hash,
    muxed_id: Option<u64>,
    asset: impl FnOnce(&mut Writer),
    amount: i64,
) {
    put_muxed(w, to, muxed_id);
    asset(w);
    w.i64(amount);
}

impl World {
    /// Add a transaction of one operation, or of up to three where there is room; one in ten fails.
    pub fn classic(&mut self, draft: &mut Draft, roomy: bool) {
        let count = if roomy { self.dice.pick(&[1, 1, 1, 1, 2, 3]) } else { 1 };
        let successful = !self.dice.chance(10);
        let bumped = self.dice.chance(12);
        self.classic_transaction(count, successful, bumped, draft);
    }

    /// Add the smallest transaction there is.
    pub fn failed_classic(&mut self, draft: &mut Draft) {
        self.classic_transaction(1, false, false, draft);
    }

    fn classic_transaction(
        &mut self,
        count: u32,
        successful: bool,
        bumped: bool,
        draft: &mut Draft,
    ) {
        let mut begun = self.begin(100 * i64::from(count), successful, bumped, None);
        for place in 1..=count {
            let operation = if successful {
                self.classic_operation(&mut begun)
            } else {
                self.failed_payment(if place == count { UNDERFUNDED } else { 0 })
            };
            begun.tx.operations.push(operation);
        }
        self.finish(begun, draft);
    }

    fn classic_operation(&mut self, begun: &mut Begun) -> Operation {
        match self.dice.below(10) {
            0 => self.create_account(begun.sender),
            1 => self.bump_sequence(begun.sender),
            2..=5 if !self.markets.is_empty() => self.credit_operation(&begun.tx.memo),
            _ => self.native_payment(begun.sender, &begun.tx.memo),
        }
    }

    fn failed_payment(&mut self, result: i32) -> Operation {
        let mut operation = operation(PAYMENT, result);
        let to = self.accounts.some_receiver(&mut self.dice);
        put_payment(&mut operation.body, &to, None, |w| w.u32(0), i64::MAX);
        operation
    }

    /// Draw an amount that the account can spare.
    fn spare(&mut self, sender: usize) -> i64 {
        let most = self.accounts.senders[sender].balance / 1000;
        (self.dice.between(1, 5_000) as i64 * 100_000).min(most)
    }

    fn native_payment(&mut self, sender: usize, memo: &Memo) -> Operation {
        let mut operation = operation(PAYMENT, 0);
        let amount = self.spare(sender);
        let receiver = self.dice.skewed(self.accounts.receivers.len());
        let muxed_id = self.muxed_id();
        let (now, accounts) = (self.now, &mut self.accounts);
        let (from, to) = (&mut accounts.senders[sender], &mut accounts.receivers[receiver]);
        put_payment(&mut operation.body, &to.key, muxed_id, |w| w.u32(0), amount);
        from.change(now, &mut operation.changes, |account| account.balance -= amount);
        to.change(now, &mut operation.changes, |account| account.balance += amount);
        let movement = Movement::Transfer(Address::Account(from.key), Address::Account(to.key));
        let token = &self.contracts.all[0].token;
        put_transfer(&mut operation, self.now, token, &movement, amount, memo, muxed_id);
        operation
    }

    fn create_account(&mut self, sender: usize) -> Operation {
        let mut operation = operation(CREATE_ACCOUNT, 0);
        let amount = self.spare(sender);
        let created = Account::new(self.dice.bytes(), amount, self.now);
        operation.body.public_key(&created.key);
        operation.body.i64(amount);
        created.create(&mut operation.changes);
        let from = &mut self.accounts.senders[sender];
        from.change(self.now, &mut operation.changes, |account| account.balance -= amount);
        let movement =
            Movement::Transfer(Address::Account(from.key), Address::Account(created.key));
        let token = &self.contracts.all[0].token;
        put_movement(
            &mut operation.events,
            self.now,
            token,
            &movement,
            i128::from(amount),
            &Memo::None,
        );
        operation
    }

    fn bump_sequence(&mut self, sender: usize) -> Operation {
        let mut operation = operation(BUMP_SEQUENCE, 0);
        let account = &mut self.accounts.senders[sender];
        let seq = account.seq + self.dice.between(1, 20) as i64;
        operation.body.i64(seq);
        account.change(self.now, &mut operation.changes, |account| account.seq = seq);
        operation
    }

    /// Open a trustline or pay over those that are open.
    fn credit_operation(&mut self, memo: &Memo) -> Operation {
        let market = self.dice.skewed(self.markets.len());
        let lines = self.markets[market].lines.len();
        if lines == 0 || self.markets[market].has_room() && self.dice.chance(20) {
            let holder = self.dice.skewed(self.accounts.receivers.len());
            if self.markets[market].lines.iter().all(|line| line.holder != holder) {
                return self.change_trust(market, holder);
            }
        }
        self.credit_payment(market, memo)
    }

    fn change_trust(&mut self, market: usize, holder: usize) -> Operation {
        let mut operation = operation(CHANGE_TRUST, 0);
        let (account, market) = (&mut self.accounts.receivers[holder], &mut self.markets[market]);
        operation.source = Some(account.key);
        market.asset.write(&mut operation.body);
        operation.body.i64(i64::MAX);
        account.add_trustline(self.now, &mut operation.changes);
        market.open_line(holder, account.key, self.now.seq, &mut operation.changes);
        operation
    }

    fn credit_payment(&mut self, market: usize, memo: &Memo) -> Operation {
        let mut operation = operation(PAYMENT, 0);
        let (route, amount) = self.route(market);
        let muxed_id = self.muxed_id();
        let market = &mut self.markets[market];
        let issuer = market.asset.issuer().copied().unwrap_or_default();
        let key = |line: usize| market.lines[line].key;
        let (from, to, movement) = match route {
            Route::Mint(to) => (issuer, key(to), Movement::Mint(Address::Account(key(to)))),
            Route::Burn(from) => (key(from), issuer, Movement::Burn(Address::Account(key(from)))),
            Route::Between(from, to) => {
                let movement =
                    Movement::Transfer(Address::Account(key(from)), Address::Account(key(to)));
                (key(from), key(to), movement)
            }
        };
        let muxed_id = muxed_id.filter(|_| !matches!(route, Route::Burn(_)));
        operation.source = Some(from);
        put_payment(&mut operation.body, &to, muxed_id, |w| market.asset.write(w), amount);
        market.pay(&route, amount, self.now.seq, &mut operation);
        let token = &self.contracts.all[market.contract].token;
        put_transfer(&mut operation, self.now, token, &movement, amount, memo, muxed_id);
        operation
    }

    /// Choose a route that balances and limits allow, and the amount.
    fn route(&mut self, market: usize) -> (Route, i64) {
        let lines = &self.markets[market].lines;
        let (from, to) = (self.dice.index(lines.len()), self.dice.index(lines.len()));
        let amount = self.dice.between(1, 1_000_000) as i64 * 1000;
        if lines[from].balance < amount {
            return (Route::Mint(from), amount);
        }
        if from == to || self.dice.chance(20) || lines[to].balance > i64::MAX / 2 {
            return (Route::Burn(from), amount);
        }
        (Route::Between(from, to), amount)
    }

    fn muxed_id(&mut self) -> Option<u64> {
        self.dice.chance(10).then(|| self.dice.below(1 << 40))
    }
}

impl super::account::Market {
    fn pay(&mut self, route: &Route, amount: i64, seq: u32, operation: &mut Operation) {
        let (from, to) = match route {
            Route::Mint(to) => (None, Some(to)),
            Route::Burn(from) => (Some(from), None),
            Route::Between(from, to) => (Some(from), Some(to)),
        };
        for (line, change) in [(from, -amount), (to, amount)] {
            if let Some(line) = line {
                self.lines[*line].add(&self.asset, change, seq, &mut operation.changes);
            }
        }
    }
}

/// Write a payment's CAP-67 event; the destination's own id goes before the memo. A burn has no destination.
fn put_transfer(
    operation: &mut Operation,
    now: super::Now,
    token: &Token,
    movement: &Movement,
    amount: i64,
    memo: &Memo,
    muxed_id: Option<u64>,
) {
    let muxed = muxed_id.map(Memo::Id);
    let within = match movement {
        Movement::Burn(_) => &Memo::None,
        _ => muxed.as_ref().unwrap_or(memo),
    };
    put_movement(&mut operation.events, now, token, movement, i128::from(amount), within);
}
