//! Conservation: over a ledger, what `token_transfers` say each holder gained of each classic asset
//! is what the ledger's own changes say, as the official crate reads them.
//!
//! Left out on both sides is what a contract holds: how it keeps its balances is its own affair.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stellar_xdr::{
    Asset, LedgerCloseMeta, LedgerEntry, LedgerEntryChange, LedgerEntryChanges, LedgerEntryData,
    LedgerHeader, Limits, LiquidityPoolEntryBody, ReadXdr, TransactionMeta, TrustLineAsset,
};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Splitter;
use stellarrow_core::tables::{Table, Transfers};

use crate::rows::{Row, Value, rows};

const PUBNET: &str = "Public Global Stellar Network ; September 2015";

/// What each (holder, asset) gained; nothing that gained nothing.
type Gains = BTreeMap<(String, String), i128>;

fn gain(gains: &mut Gains, holder: String, asset: &str, amount: i128) {
    if amount == 0 || holder.starts_with('C') {
        return;
    }
    let sum = gains.entry((holder.clone(), asset.to_owned())).or_default();
    *sum += amount;
    if *sum == 0 {
        gains.remove(&(holder, asset.to_owned()));
    }
}

fn asset_name(asset: &Asset) -> String {
    match asset {
        Asset::Native => "native".into(),
        Asset::CreditAlphanum4(asset) => format!("{}:{}", asset.asset_code, asset.issuer.0),
        Asset::CreditAlphanum12(asset) => format!("{}:{}", asset.asset_code, asset.issuer.0),
    }
    .replace("PublicKeyTypeEd25519", "")
}

/// What an entry holds, as (holder, asset, amount).
fn holdings(entry: &LedgerEntry) -> Vec<(String, String, i64)> {
    match &entry.data {
        LedgerEntryData::Account(account) => {
            vec![(account.account_id.to_string(), "native".into(), account.balance)]
        }
        LedgerEntryData::Trustline(line) => {
            let asset = match &line.asset {
                TrustLineAsset::Native => Asset::Native,
                TrustLineAsset::CreditAlphanum4(asset) => Asset::CreditAlphanum4(asset.clone()),
                TrustLineAsset::CreditAlphanum12(asset) => Asset::CreditAlphanum12(asset.clone()),
                TrustLineAsset::PoolShare(_) => return Vec::new(),
            };
            vec![(line.account_id.to_string(), asset_name(&asset), line.balance)]
        }
        LedgerEntryData::ClaimableBalance(balance) => {
            vec![(balance.balance_id.to_string(), asset_name(&balance.asset), balance.amount)]
        }
        LedgerEntryData::LiquidityPool(pool) => {
            let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
            let id = pool.liquidity_pool_id.to_string();
            vec![
                (id.clone(), asset_name(&body.params.asset_a), body.reserve_a),
                (id, asset_name(&body.params.asset_b), body.reserve_b),
            ]
        }
        _ => Vec::new(),
    }
}

fn add_changes(gains: &mut Gains, changes: &LedgerEntryChanges) {
    let mut before: Option<&LedgerEntry> = None;
    for change in changes.0.iter() {
        let (old, new) = match change {
            LedgerEntryChange::State(entry) => {
                before = Some(entry);
                continue;
            }
            LedgerEntryChange::Created(entry) => (None, Some(entry)),
            LedgerEntryChange::Updated(entry) => (before.take(), Some(entry)),
            LedgerEntryChange::Restored(entry) => (None, Some(entry)),
            LedgerEntryChange::Removed(_) => (before.take(), None),
        };
        for (entry, sign) in [(old, -1), (new, 1)] {
            for (holder, asset, amount) in entry.map(holdings).into_iter().flatten() {
                gain(gains, holder, &asset, sign * i128::from(amount));
            }
        }
    }
}

fn groups(meta: &TransactionMeta) -> Vec<&LedgerEntryChanges> {
    match meta {
        TransactionMeta::V0(operations) => operations.iter().map(|one| &one.changes).collect(),
        TransactionMeta::V1(meta) => [&meta.tx_changes]
            .into_iter()
            .chain(meta.operations.iter().map(|one| &one.changes))
            .collect(),
        TransactionMeta::V2(meta) => around(
            &meta.tx_changes_before,
            meta.operations.iter().map(|one| &one.changes),
            &meta.tx_changes_after,
        ),
        TransactionMeta::V3(meta) => around(
            &meta.tx_changes_before,
            meta.operations.iter().map(|one| &one.changes),
            &meta.tx_changes_after,
        ),
        TransactionMeta::V4(meta) => around(
            &meta.tx_changes_before,
            meta.operations.iter().map(|one| &one.changes),
            &meta.tx_changes_after,
        ),
    }
}

fn around<'a>(
    before: &'a LedgerEntryChanges,
    operations: impl Iterator<Item = &'a LedgerEntryChanges>,
    after: &'a LedgerEntryChanges,
) -> Vec<&'a LedgerEntryChanges> {
    [before].into_iter().chain(operations).chain([after]).collect()
}

/// What the ledger's own changes say.
fn gains_of_changes(meta: &LedgerCloseMeta) -> Gains {
    let mut gains = Gains::new();
    let mut transaction = |fees: &LedgerEntryChanges, meta: &TransactionMeta| {
        add_changes(&mut gains, fees);
        groups(meta).into_iter().for_each(|group| add_changes(&mut gains, group));
    };
    match meta {
        LedgerCloseMeta::V0(meta) => meta
            .tx_processing
            .iter()
            .for_each(|one| transaction(&one.fee_processing, &one.tx_apply_processing)),
        LedgerCloseMeta::V1(meta) => meta
            .tx_processing
            .iter()
            .for_each(|one| transaction(&one.fee_processing, &one.tx_apply_processing)),
        LedgerCloseMeta::V2(meta) => {
            for one in meta.tx_processing.iter() {
                transaction(&one.fee_processing, &one.tx_apply_processing);
            }
            for one in meta.tx_processing.iter() {
                add_changes(&mut gains, &one.post_tx_apply_fee_processing);
            }
        }
    }
    gains
}

fn text(row: &Row, column: &str) -> Option<String> {
    match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => Some(text.clone()),
        _ => None,
    }
}

/// What the rows say.
fn gains_of_rows(rows: &[Row]) -> Gains {
    let mut gains = Gains::new();
    for row in rows {
        let asset = match text(row, "asset_type").as_deref() {
            None => continue,
            Some("native") => "native".into(),
            Some(_) => {
                format!(
                    "{}:{}",
                    text(row, "asset_code").unwrap(),
                    text(row, "asset_issuer").unwrap()
                )
            }
        };
        let amount: i128 = text(row, "amount_text").unwrap().parse().unwrap();
        for (side, sign) in [("from", -1), ("to", 1)] {
            if let Some(holder) = text(row, side) {
                gain(&mut gains, holder, &asset, sign * amount);
            }
        }
    }
    gains
}

fn header(meta: &LedgerCloseMeta) -> &LedgerHeader {
    match meta {
        LedgerCloseMeta::V0(meta) => &meta.ledger_header.header,
        LedgerCloseMeta::V1(meta) => &meta.ledger_header.header,
        LedgerCloseMeta::V2(meta) => &meta.ledger_header.header,
    }
}

/// The ledgers of a file, each with its record mark before it.
fn records(data: &[u8]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(data).unwrap();
    records.extend(splitter.finish().unwrap());
    records
}

/// Compare every ledger of a file; how many there were with something to compare.
fn conserved(data: &[u8], passphrase: &str, transfers: Transfers) -> usize {
    let table = Table::find("token_transfers").unwrap();
    let request = Request::new(&[table], passphrase, &Wanted::default()).unwrap();
    let request = request.transfers(transfers);
    let mut compared = 0;
    for record in records(data) {
        let meta = LedgerCloseMeta::from_xdr(&record[4..], Limits::none()).unwrap();
        let (batches, _) = match decode(&record, &request) {
            // Ledgers without unified events are not what is looked at here.
            Err(_) if transfers == Transfers::Unified => continue,
            decoded => decoded.unwrap(),
        };
        let rows = rows(&batches[0]);
        let (told, changed) = (gains_of_rows(&rows), gains_of_changes(&meta));
        let header = header(&meta);
        assert_eq!(
            told, changed,
            "ledger {}, protocol {}",
            header.ledger_seq, header.ledger_version
        );
        compared += usize::from(!changed.is_empty());
    }
    compared
}

fn bundled(name: &str) -> Vec<u8> {
    let ledgers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/stellarrow/data/ledgers/");
    std::fs::read(PathBuf::from(ledgers).join(name)).unwrap()
}

#[test]
fn transfers_of_pubnet_ledger_53312000_are_what_its_changes_are() {
    assert_eq!(conserved(&bundled("FCD285FF--53312000.xdr.zstd"), PUBNET, Transfers::Derive), 1);
}

#[test]
fn transfers_of_pubnet_ledger_58752000_are_what_its_changes_are() {
    assert_eq!(conserved(&bundled("pubnet-58752000.xdr.zst"), PUBNET, Transfers::Derive), 1);
}

/// The ledgers of stellar-core's own tests, of every protocol and operation; too many to bundle.
#[test]
#[ignore = "needs STELLARROW_LEDGERS, a folder with core-tests-a.xdr.zst"]
fn transfers_of_the_ledgers_of_stellar_core_tests_are_what_their_changes_are() {
    let folder = std::env::var_os("STELLARROW_LEDGERS").unwrap();
    let data = std::fs::read(PathBuf::from(folder).join("core-tests-a.xdr.zst")).unwrap();
    assert!(conserved(&data, "(V) (;,,;) (V)", Transfers::Derive) > 5_000);
    assert!(conserved(&data, "(V) (;,,;) (V)", Transfers::Unified) > 100);
}
