//! One token event of a pubnet ledger, told in other ways: what SEP-41 and CAP-67 allow becomes a
//! transfer, anything else an anomaly.

use stellar_xdr::{
    BytesM, ContractEvent, ContractEventBody, ContractEventType, ExtensionPoint, Int128Parts,
    LedgerCloseMeta, Limits, OperationMetaV2, ReadXdr, ScAddress, ScBytes, ScMap, ScMapEntry,
    ScString, ScSymbol, ScVal, TransactionMeta, TransactionMetaV3, TransactionMetaV4, WriteXdr,
};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Splitter;
use stellarrow_core::tables::Table;

use crate::rows::{Row, Value, rows};

const PUBNET: &str = "Public Global Stellar Network ; September 2015";
const LEDGER: &[u8] =
    include_bytes!("../../../../python/stellarrow/data/ledgers/pubnet-58752000.xdr.zst");

fn ledger() -> LedgerCloseMeta {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(LEDGER).unwrap();
    records.extend(splitter.finish().unwrap());
    LedgerCloseMeta::from_xdr(&records[0][4..], Limits::none()).unwrap()
}

fn edit(event: &mut ContractEvent, edit: impl FnOnce(&mut Vec<ScVal>)) {
    let ContractEventBody::V0(body) = &mut event.body;
    let mut topics = body.topics.to_vec();
    edit(&mut topics);
    body.topics = topics.try_into().unwrap();
}

fn data(event: &mut ContractEvent) -> &mut ScVal {
    let ContractEventBody::V0(body) = &mut event.body;
    &mut body.data
}

/// The meta as protocol 23 writes it: events with the operation.
fn as_version_4(meta: &TransactionMetaV3, event: ContractEvent) -> TransactionMetaV4 {
    let operation = &meta.operations[0];
    let operation = OperationMetaV2 {
        ext: ExtensionPoint::V0,
        changes: operation.changes.clone(),
        events: vec![event].try_into().unwrap(),
    };
    TransactionMetaV4 {
        ext: ExtensionPoint::V0,
        tx_changes_before: meta.tx_changes_before.clone(),
        operations: vec![operation].try_into().unwrap(),
        tx_changes_after: meta.tx_changes_after.clone(),
        soroban_meta: None,
        events: Default::default(),
        diagnostic_events: Default::default(),
    }
}

/// Tell the ledger's first mint by a contract as a transfer and then as `retell` says, alone in its
/// transaction, and return what becomes of that transaction's operations: transfers and anomalies.
fn retold(retell: impl Fn(&mut ContractEvent)) -> (Vec<Row>, Vec<Row>) {
    let mut ledger = ledger();
    let LedgerCloseMeta::V1(meta) = &mut ledger else { panic!("pubnet wrote version 1 then") };
    let mut applied = meta.tx_processing.to_vec();
    let mint = |event: &ContractEvent| {
        let ContractEventBody::V0(body) = &event.body;
        body.topics.len() == 4
            && matches!(&body.topics[0], ScVal::Symbol(name) if name.0.as_vec() == b"mint")
    };
    let at = (1..)
        .zip(&mut applied)
        .find_map(|(at, one)| {
            let TransactionMeta::V3(meta) = &one.tx_apply_processing else { return None };
            let events = &meta.soroban_meta.as_ref()?.events;
            let mut event = events.iter().find(|event| mint(event))?.clone();
            // Administrator and receiver stand where sender and receiver of a transfer do.
            edit(&mut event, |topics| topics[0] = symbol("transfer"));
            retell(&mut event);
            let meta = as_version_4(meta, event);
            one.tx_apply_processing = TransactionMeta::V4(meta);
            Some(at)
        })
        .unwrap();
    meta.tx_processing = applied.try_into().unwrap();
    let bytes = ledger.to_xdr(Limits::none()).unwrap();
    let tables =
        ["token_transfers", "token_transfer_anomalies"].map(|name| Table::find(name).unwrap());
    let request = Request::new(&tables, PUBNET, &Wanted::default()).unwrap().decoded(true);
    let (batches, _) = decode(&bytes, &request).unwrap();
    let of_operation = |row: &Row| {
        cell(row, "transaction_index") == &Value::Number(at)
            && cell(row, "operation_index") == &Value::Number(0)
    };
    let [transfers, anomalies] =
        [0, 1].map(|at| rows(&batches[at]).into_iter().filter(of_operation).collect::<Vec<Row>>());
    (transfers, anomalies)
}

fn cell<'a>(row: &'a Row, column: &str) -> &'a Value {
    &row.iter().find(|(name, _)| name == column).unwrap().1
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn symbol(name: &str) -> ScVal {
    ScVal::Symbol(ScSymbol(name.try_into().unwrap()))
}

fn amount(lo: u64) -> ScVal {
    ScVal::I128(Int128Parts { hi: 0, lo })
}

fn map(entries: &[(&str, ScVal)]) -> ScVal {
    let entry = |(key, val): &(&str, ScVal)| ScMapEntry { key: symbol(key), val: val.clone() };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    ScVal::Map(Some(ScMap(entries.try_into().unwrap())))
}

/// The receiver's id in the row of a transfer of 7 to whoever `id` says.
fn muxed(id: ScVal) -> (Value, Value) {
    let (transfers, anomalies) = retold(|event| {
        *data(event) = map(&[("amount", amount(7)), ("to_muxed_id", id.clone())]);
    });
    assert_eq!((transfers.len(), anomalies.len()), (1, 0));
    assert_eq!(cell(&transfers[0], "amount_text"), &text("7"));
    let of = |column| cell(&transfers[0], column).clone();
    (of("to_muxed_type"), of("to_muxed"))
}

/// The reason why a retold event is an anomaly.
fn reason(retell: impl Fn(&mut ContractEvent)) -> Value {
    let (transfers, anomalies) = retold(retell);
    assert_eq!((transfers.len(), anomalies.len()), (0, 1));
    assert_eq!(cell(&anomalies[0], "operation_index"), &Value::Number(0));
    assert_eq!(cell(&anomalies[0], "event_index"), &Value::Number(0));
    cell(&anomalies[0], "reason").clone()
}

#[test]
fn a_muxed_id_comes_in_every_form_the_standard_has() {
    let bytes = |bytes: &[u8]| ScVal::Bytes(ScBytes(BytesM::try_from(bytes).unwrap()));
    let string = |text: &str| ScVal::String(ScString(text.try_into().unwrap()));
    assert_eq!(muxed(ScVal::U64(u64::MAX)), (text("id"), text("18446744073709551615")));
    assert_eq!(muxed(string("rent")), (text("text"), text("rent")));
    assert_eq!(muxed(string("")), (text("text"), text("")));
    assert_eq!(muxed(bytes(&[])), (text("hash"), text("")));
    let odd = ScVal::String(ScString(b"\xffa\0\\"[..].try_into().unwrap()));
    assert_eq!(muxed(odd), (text("text"), text(r"\xffa\0\\")));
    assert_eq!(muxed(bytes(&[0xab; 32])), (text("hash"), text(&"ab".repeat(32))));
    assert_eq!(muxed(bytes(&[1, 2, 3])), (text("hash"), text("010203")));
    assert_eq!(muxed(ScVal::Void), (Value::Null, Value::Null));
}

#[test]
fn an_amount_of_39_digits_is_told_as_text_alone() {
    let least = ScVal::I128(Int128Parts { hi: i64::MIN, lo: 0 });
    let (transfers, _) = retold(|event| *data(event) = least.clone());
    assert_eq!(cell(&transfers[0], "amount_raw"), &Value::Null);
    let least = i128::MIN.to_string();
    assert_eq!(cell(&transfers[0], "amount_text"), &text(&least));
}

/// Sides of the one transfer that an event with these topics behind its name becomes.
fn sides(name: &str, topics: &[ScVal]) -> (Value, Value) {
    let (transfers, anomalies) = retold(|event| {
        edit(event, |all| {
            *all = [&[symbol(name)], topics].concat();
        });
    });
    assert_eq!((transfers.len(), anomalies.len()), (1, 0), "{name} {topics:?}");
    assert_eq!(cell(&transfers[0], "event_type"), &text(name));
    (cell(&transfers[0], "from").clone(), cell(&transfers[0], "to").clone())
}

fn contract(byte: u8) -> ScAddress {
    ScAddress::Contract(stellar_xdr::ContractId(stellar_xdr::Hash([byte; 32])))
}

#[test]
fn topics_alone_say_whether_an_administrator_stands_before_the_holder() {
    let [admin, holder] = [1, 2].map(|byte| ScVal::Address(contract(byte)));
    let name = ScVal::String(ScString("native".try_into().unwrap()));
    let told = (text(&contract(2).to_string()), Value::Null);
    for shape in [
        vec![holder.clone()],
        vec![holder.clone(), name.clone()],
        vec![admin.clone(), holder.clone()],
        vec![admin.clone(), holder.clone(), name.clone()],
    ] {
        assert_eq!(sides("clawback", &shape), told);
        assert_eq!(sides("mint", &shape), (told.1.clone(), told.0.clone()));
    }
    assert_eq!(sides("burn", std::slice::from_ref(&holder)), told);
    assert_eq!(sides("burn", &[holder, name]), told);
}

#[test]
fn topics_that_fit_no_shape_are_an_anomaly() {
    let [first, second] = [1, 2].map(|byte| ScVal::Address(contract(byte)));
    let name = ScVal::String(ScString("native".try_into().unwrap()));
    let told = |name: &str, topics: &[&ScVal], why: &str| {
        let topics: Vec<_> = topics.iter().map(|&topic| topic.clone()).collect();
        let why_told = reason(|event| {
            edit(event, |all| *all = [&[symbol(name)], topics.as_slice()].concat());
        });
        assert_eq!(why_told, text(why), "{name} {topics:?}");
    };
    for kind in ["mint", "clawback"] {
        told(kind, &[], "there are too few topics");
        told(kind, &[&name], "the second topic is not an address");
        let third = "the third topic is neither an address nor a string";
        told(kind, &[&first, &symbol("native")], third);
        told(kind, &[&first, &ScVal::Void], third);
        told(kind, &[&first, &name, &name], "the third topic is not an address");
        told(kind, &[&first, &second, &first], "the fourth topic is not a string");
        told(kind, &[&first, &second, &name, &name], "there are too many topics");
    }
    told("burn", &[&first, &second], "there are too many topics");
    told("burn", &[&first, &second, &name], "there are too many topics");
    told("transfer", &[&first, &name], "there are too few topics");
    told("transfer", &[&first, &second, &ScVal::U32(7)], "the fourth topic is not a string");
    told("transfer", &[&first, &second, &name, &first], "there are too many topics");
}

#[test]
fn an_asset_that_is_not_the_contracts_own_is_not_believed() {
    let (genuine, _) = retold(|_| {});
    assert_ne!(cell(&genuine[0], "asset_type"), &Value::Null);
    let (forged, anomalies) = retold(|event| {
        let name = ScVal::String(ScString("native:".try_into().unwrap()));
        edit(event, |topics| topics[3] = name);
    });
    assert_eq!((forged.len(), anomalies.len()), (1, 0));
    assert_eq!(cell(&forged[0], "asset_type"), &Value::Null);
    assert_eq!(cell(&forged[0], "contract_id"), cell(&genuine[0], "contract_id"));
}

#[test]
fn what_deviates_is_an_anomaly_with_its_reason() {
    let told = |reason_told: &str, retell: &dyn Fn(&mut ContractEvent)| {
        assert_eq!(reason(retell), text(reason_told));
    };
    told("the data is neither an i128 nor a map", &|event| *data(event) = ScVal::U32(7));
    told("the data's map is empty", &|event| *data(event) = ScVal::Map(None));
    told("the data's map has no amount", &|event| *data(event) = map(&[]));
    told("the amount is not an i128", &|event| {
        *data(event) = map(&[("amount", ScVal::U64(7))]);
    });
    told("to_muxed_id is neither a u64, bytes, a string nor void", &|event| {
        *data(event) = map(&[("amount", amount(7)), ("to_muxed_id", ScVal::Bool(true))]);
    });
    told("a key of the data's map is not a symbol", &|event| {
        let entry = ScMapEntry { key: ScVal::Void, val: amount(7) };
        *data(event) = ScVal::Map(Some(ScMap(vec![entry].try_into().unwrap())));
    });
    told("there are too few topics", &|event| edit(event, |topics| topics.truncate(2)));
    told("there are too few topics", &|event| edit(event, |topics| topics.truncate(1)));
    told("the second topic is not an address", &|event| {
        edit(event, |topics| topics[1] = ScVal::Void)
    });
    told("the third topic is not an address", &|event| {
        edit(event, |topics| topics[2] = ScVal::Void)
    });
    told("no contract is named", &|event| event.contract_id = None);
    told("the event is not of type contract", &|event| event.type_ = ContractEventType::System);
}

#[test]
fn an_anomaly_says_its_values_as_json_too() {
    let (_, anomalies) = retold(|event| {
        edit(event, |topics| topics.truncate(1));
        *data(event) = ScVal::Map(None);
    });
    let topics = Value::List(vec![r#"{"symbol":"transfer"}"#.to_owned()]);
    assert_eq!(cell(&anomalies[0], "topics_json"), &topics);
    assert_eq!(cell(&anomalies[0], "data_json"), &text(r#"{"map":null}"#));
    assert_eq!(cell(&anomalies[0], "event_text"), &text("transfer() → {}"));
}

#[test]
fn what_is_called_otherwise_is_neither() {
    for name in ["approve", "fee", "Transfer"] {
        let (transfers, anomalies) = retold(|event| edit(event, |topics| topics[0] = symbol(name)));
        assert_eq!((transfers.len(), anomalies.len()), (0, 0), "{name}");
    }
}

#[test]
fn every_kind_of_address_can_hold_a_token() {
    let hash = || stellar_xdr::Hash([7; 32]);
    let holders = [
        ScAddress::Contract(stellar_xdr::ContractId(hash())),
        ScAddress::LiquidityPool(stellar_xdr::PoolId(hash())),
        ScAddress::ClaimableBalance(stellar_xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(
            hash(),
        )),
        ScAddress::MuxedAccount(stellar_xdr::MuxedEd25519Account {
            id: 5,
            ed25519: stellar_xdr::Uint256([7; 32]),
        }),
    ];
    for holder in holders {
        let (transfers, _) =
            retold(|event| edit(event, |topics| topics[2] = ScVal::Address(holder.clone())));
        assert_eq!(cell(&transfers[0], "to"), &text(&holder.to_string()));
    }
}
