//! A filter keeps just the rows that its words fit, as they are without it.

use stellar_xdr::{LedgerKey, LedgerKeyContractData, Limits, ReadXdr, ScAddress};
use stellarrow_core::decode::{Decoder, Request};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Framing;
use stellarrow_core::tables::Table;

use crate::dice::Dice;
use crate::property::ours;
use crate::rows::{Row, TABLES, Value, held};
use crate::sealed::{PASSPHRASE, encode, seal};
use crate::structured;

const CASES: u64 = if cfg!(debug_assertions) { 100 } else { 2_000 };

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => Some(text),
        _ => None,
    }
}

/// The contract a row is of; an eviction tells it in its key.
fn contract_of(row: &Row) -> Option<String> {
    let Some(key) = text(row, "ledger_key_xdr") else {
        return text(row, "contract_id").map(str::to_owned);
    };
    match LedgerKey::from_xdr_base64(key, Limits::none()).unwrap() {
        LedgerKey::ContractData(LedgerKeyContractData {
            contract: contract @ ScAddress::Contract(_),
            ..
        }) => Some(contract.to_string()),
        _ => None,
    }
}

/// Whether a field's words let a row's value pass: an empty field lets all pass.
fn fits(words: &[String], value: Option<&str>) -> bool {
    words.is_empty() || value.is_some_and(|value| words.iter().any(|word| word == value))
}

/// An asset as a filter names it in full.
fn full(row: &Row) -> Option<String> {
    match text(row, "asset_type")? {
        "native" => Some("native".into()),
        _ => Some(format!("{}:{}", text(row, "asset_code")?, text(row, "asset_issuer")?)),
    }
}

/// Words out of the rows themselves, that some of them must fit.
fn wanted(dice: &mut Dice, rows: &[Row]) -> Wanted {
    let mut words = |column: &str| {
        let values: Vec<_> = rows.iter().filter_map(|row| text(row, column)).collect();
        let odd = |value: &&str| column == "contract_id" && !value.starts_with('C');
        let count = if values.is_empty() || !dice.one_in(4) { 0 } else { 1 + dice.below(2) };
        let picked = (0..count).map(|_| *dice.pick(&values));
        picked.filter(|value| !odd(value)).map(str::to_owned).collect::<Vec<String>>()
    };
    let mut wanted = Wanted {
        contract_ids: words("contract_id"),
        asset_codes: words("asset_code"),
        asset_issuers: words("asset_issuer"),
        event_names: words("event_name"),
        event_types: words("event_type"),
        exclude_deleted: dice.one_in(3),
        ..Wanted::default()
    };
    if dice.one_in(6) {
        let evicted = rows.iter().filter(|row| text(row, "ledger_key_xdr").is_some());
        wanted.contract_ids.extend(evicted.filter_map(contract_of).next());
    }
    if dice.one_in(3) {
        wanted.asset_codes.extend(rows.iter().find_map(full));
    }
    if dice.one_in(4) {
        wanted
            .asset_codes
            .extend(rows.iter().filter_map(contract_of).find(|one| one.starts_with('C')));
    }
    wanted
}

/// The asset of which a row is known to be: the one it tells, or the one whose contract it is of.
fn asset_of(row: &Row, wanted: &Wanted, all: &[Row]) -> Option<(String, Option<String>)> {
    let contract = contract_of(row)?;
    let derived = |other: &&Row| {
        let named = full(other).is_some_and(|asset| wanted.asset_codes.contains(&asset));
        named && contract_of(other).as_ref() == Some(&contract)
    };
    let told = all.iter().find(derived).unwrap_or(row);
    full(told).map(|asset| (asset, text(told, "asset_issuer").map(str::to_owned)))
}

fn passes(row: &Row, wanted: &Wanted, all: &[Row]) -> bool {
    let has = |column: &str| row.iter().any(|(name, _)| name == column);
    let has_contract = has("contract_id") || has("ledger_key_xdr");
    let deleted = text(row, "change_type") == Some("removed");
    let of_contract = !has_contract || fits(&wanted.contract_ids, contract_of(row).as_deref());
    let of_event = !has("event_type")
        || fits(&wanted.event_names, text(row, "event_name"))
            && fits(&wanted.event_types, text(row, "event_type"));
    let by_contract = contract_of(row).is_some_and(|one| wanted.asset_codes.contains(&one));
    let no_assets = wanted.asset_codes.is_empty() && wanted.asset_issuers.is_empty();
    let of_asset = no_assets
        || !has_contract
        || asset_of(row, wanted, all).is_some_and(|(asset, issuer)| {
            let code = asset.split(':').next().filter(|_| asset != "native");
            let by_code = fits(&wanted.asset_codes, code) || wanted.asset_codes.contains(&asset);
            (by_code || by_contract) && fits(&wanted.asset_issuers, issuer.as_deref())
        })
        || by_contract && wanted.asset_issuers.is_empty();
    !(wanted.exclude_deleted && deleted) && of_contract && of_event && of_asset
}

#[test]
fn a_filter_keeps_the_rows_that_fit_and_changes_none() {
    let tables =
        ["contract_data", "contract_events", "contract_code", "ttl", "ledgers", "evictions"]
            .map(|name| Table::find(name).unwrap());
    let (mut kept, mut dropped) = (0, 0);
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let mut meta = structured::ledger(&mut dice);
        seal(&mut meta, &mut dice);
        let bytes = encode(&meta);
        let all = ours(&bytes);
        let of = |table: &Table| &all[TABLES.iter().position(|one| one == table).unwrap()];
        let rows: Vec<Row> = tables.iter().flat_map(|table| of(table).clone()).collect();
        let wanted = wanted(&mut dice, &rows);
        let request = Request::new(&tables, PASSPHRASE, &wanted).unwrap();
        let request = request.framing(Some(Framing::Single)).diagnostics(true).decoded(true);
        let mut decoder = Decoder::new(&request).unwrap();
        decoder.push(&bytes).unwrap();
        for (table, ours) in tables.iter().zip(held(&mut decoder, &tables)) {
            let fitting = of(table).iter().filter(|row| passes(row, &wanted, &rows)).cloned();
            assert_eq!(
                ours,
                fitting.collect::<Vec<_>>(),
                "seed {seed}, {}, {wanted:?}",
                table.name
            );
            kept += ours.len();
            dropped += of(table).len() - ours.len();
        }
    }
    assert!(kept.min(dropped) as u64 > CASES, "{kept} kept, {dropped} dropped");
}
