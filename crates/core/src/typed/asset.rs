//! The interface of the Stellar Asset Contract, which has no code: it is part of the protocol.
//!
//! As in rs-soroban-sdk's stellar-asset-spec, and not as in the spec that is published; up to
//! protocol 22, `mint`, `clawback` and `set_authorized` name the admin, too (CAP-67).

use super::nodes::MUXED_ID;
use crate::contract::model::{Definition, Event, Field, Format, Model, Param, Type};
use crate::xdr::discriminants::SCSpecType;

const ADDRESS: Type = Type::Plain(SCSpecType::ADDRESS);
const AMOUNT: Type = Type::Plain(SCSpecType::I128);
const BOOL: Type = Type::Plain(SCSpecType::BOOL);

fn field(name: &str, kind: Type) -> Field {
    Field { name: name.as_bytes().to_vec(), kind }
}

fn topic(name: &str) -> Param {
    let kind = if name == "sep0011_asset" { Type::Plain(SCSpecType::STRING) } else { ADDRESS };
    Param { field: field(name, kind), topic: true }
}

fn event(name: &str, topics: &[&str], format: Format, data: &[(&str, Type)]) -> Event {
    let topics = topics.iter().chain(&["sep0011_asset"]).map(|name| topic(name));
    let data =
        data.iter().map(|(name, kind)| Param { field: field(name, kind.clone()), topic: false });
    let prefix = vec![name.as_bytes().to_vec()];
    Event { name: prefix.concat(), prefix, params: topics.chain(data).collect(), format }
}

/// What is moved: the amount alone, or with the muxed id it is moved to.
fn moved(name: &str, topics: &[&str]) -> [Event; 2] {
    let muxed = [("amount", AMOUNT), ("to_muxed_id", Type::Plain(MUXED_ID))];
    [
        event(name, topics, Format::Single, &[("amount", AMOUNT)]),
        event(name, topics, Format::Map, &muxed),
    ]
}

fn events(unified: bool) -> Vec<Event> {
    let with_admin = |topic| if unified { vec![topic] } else { vec!["admin", topic] };
    let amount = [("amount", AMOUNT)];
    let live_until = ("live_until_ledger", Type::Plain(SCSpecType::U32));
    let mut events = Vec::from(moved("transfer", &["from", "to"]));
    events.extend(moved("mint", &with_admin("to")));
    events.extend([
        event("burn", &["from"], Format::Single, &amount),
        event("clawback", &with_admin("from"), Format::Single, &amount),
        event("approve", &["from", "spender"], Format::Vec, &[("amount", AMOUNT), live_until]),
        event("set_admin", &["admin"], Format::Single, &[("new_admin", ADDRESS)]),
        event("set_authorized", &with_admin("id"), Format::Single, &[("authorize", BOOL)]),
    ]);
    if unified {
        let mut fee = event("fee", &["from"], Format::Single, &amount);
        fee.params.retain(|param| param.field.name != b"sep0011_asset");
        events.push(fee);
    }
    events
}

fn union(cases: &[(&str, &[Type])]) -> Definition {
    let case = |(name, types): &(&str, &[Type])| (name.as_bytes().to_vec(), types.to_vec());
    Definition::Union(cases.iter().map(case).collect())
}

fn named(name: &str) -> Type {
    Type::Named(name.as_bytes().to_vec())
}

/// The interface, up to protocol 22 or from 23 (`unified`) on.
pub fn model(unified: bool) -> Model {
    let bytes = |name: &str, size| field(name, Type::BytesN(size));
    let alphanum = |size| {
        let text = field("asset_code", Type::Plain(SCSpecType::STRING));
        let _ = size;
        Definition::Struct(vec![text, bytes("issuer", 32)])
    };
    let allowance = vec![field("from", ADDRESS), field("spender", ADDRESS)];
    let balance = vec![field("amount", AMOUNT), field("authorized", BOOL), field("clawback", BOOL)];
    let live_until = field("live_until_ledger", Type::Plain(SCSpecType::U32));
    let types = [
        ("DataKey", union(&[("Allowance", &[named("AllowanceDataKey")]), ("Balance", &[ADDRESS])])),
        ("InstanceDataKey", union(&[("Admin", &[]), ("AssetInfo", &[])])),
        ("AllowanceDataKey", Definition::Struct(allowance)),
        ("AllowanceValue", Definition::Struct(vec![field("amount", AMOUNT), live_until])),
        ("BalanceValue", Definition::Struct(balance)),
        ("AlphaNum4AssetInfo", alphanum(4)),
        (
            "AssetInfo",
            union(&[
                ("Native", &[]),
                ("AlphaNum4", &[named("AlphaNum4AssetInfo")]),
                ("AlphaNum12", &[named("AlphaNum4AssetInfo")]),
            ]),
        ),
    ];
    let types = types.map(|(name, definition)| (name.as_bytes().to_vec(), definition));
    Model { types: types.to_vec(), events: events(unified), sdk: None }
}
