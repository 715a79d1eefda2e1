//! A revoked trustline with shares in a pool (CAP-38), put into a pubnet ledger: what the shares
//! were worth becomes claimable balances, or is burned where the trustor issues it.

use stellar_xdr::{
    AccountId, AlphaNum4, Asset, AssetCode4, ClaimableBalanceEntry, ClaimableBalanceEntryExt,
    ClaimableBalanceId, ExtensionPoint, GeneralizedTransactionSet, Hash, HashIdPreimage,
    HashIdPreimageRevokeId, LedgerCloseMeta, LedgerEntry, LedgerEntryChange, LedgerEntryChanges,
    LedgerEntryData, LedgerEntryExt, Limits, LiquidityPoolConstantProductParameters,
    LiquidityPoolEntry, LiquidityPoolEntryBody, LiquidityPoolEntryConstantProduct, Operation,
    OperationBody, OperationMeta, OperationResult, OperationResultTr, PoolId, PublicKey, ReadXdr,
    SetTrustLineFlagsOp, SetTrustLineFlagsResult, Transaction, TransactionEnvelope,
    TransactionMeta, TransactionMetaV3, TransactionPhase, TransactionResultResult,
    TransactionSignaturePayload, TransactionSignaturePayloadTaggedTransaction, TxSetComponent,
    Uint256, WriteXdr,
};
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Splitter;
use stellarrow_core::tables::Table;

use crate::rows::{Row, Value, rows};
use crate::sealed::{encode, sha256};

const PUBNET: &str = "Public Global Stellar Network ; September 2015";
const LEDGER: &[u8] =
    include_bytes!("../../../../python/stellarrow/data/ledgers/pubnet-58752000.xdr.zst");
const POOL: PoolId = PoolId(Hash([9; 32]));

fn account(byte: u8) -> AccountId {
    AccountId(PublicKey::PublicKeyTypeEd25519(Uint256([byte; 32])))
}

fn asset(code: &[u8; 4], issuer: u8) -> Asset {
    Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*code), issuer: account(issuer) })
}

fn entry(data: LedgerEntryData) -> LedgerEntry {
    LedgerEntry { last_modified_ledger_seq: 1, data, ext: LedgerEntryExt::V0 }
}

fn pool(reserve_a: i64, reserve_b: i64) -> LedgerEntry {
    let params = LiquidityPoolConstantProductParameters {
        asset_a: asset(b"AAA\0", 1),
        asset_b: asset(b"BBB\0", 2),
        fee: 30,
    };
    let body = LiquidityPoolEntryConstantProduct {
        params,
        reserve_a,
        reserve_b,
        total_pool_shares: 1,
        pool_shares_trust_line_count: 1,
    };
    entry(LedgerEntryData::LiquidityPool(LiquidityPoolEntry {
        liquidity_pool_id: POOL,
        body: LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body),
    }))
}

fn balance(of: &Transaction, asset: Asset, amount: i64) -> (ClaimableBalanceId, LedgerEntry) {
    let preimage = HashIdPreimage::PoolRevokeOpId(HashIdPreimageRevokeId {
        source_account: of.source_account.clone().account_id(),
        seq_num: of.seq_num.clone(),
        op_num: 0,
        liquidity_pool_id: POOL,
        asset: asset.clone(),
    });
    let id = ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(sha256(&encode(&preimage))));
    let balance = ClaimableBalanceEntry {
        balance_id: id.clone(),
        claimants: Default::default(),
        asset,
        amount,
        ext: ClaimableBalanceEntryExt::V0,
    };
    (id, entry(LedgerEntryData::ClaimableBalance(balance)))
}

fn hash(transaction: &Transaction) -> Hash {
    Hash(sha256(&encode(&TransactionSignaturePayload {
        network_id: Hash(sha256(PUBNET.as_bytes())),
        tagged_transaction: TransactionSignaturePayloadTaggedTransaction::Tx(transaction.clone()),
    })))
}

/// Make the set's first plain transaction one that revokes, and return it with its hash before.
fn revoke(set: &mut GeneralizedTransactionSet) -> (Transaction, Hash) {
    let GeneralizedTransactionSet::V1(set) = set;
    let mut phases = set.phases.to_vec();
    let TransactionPhase::V0(components) = &mut phases[0] else { panic!("no parallel phase yet") };
    let mut changed = components.to_vec();
    let TxSetComponent::TxsetCompTxsMaybeDiscountedFee(component) = &mut changed[0];
    let mut txs = component.txs.to_vec();
    let plain = txs.iter_mut().find_map(|envelope| match envelope {
        TransactionEnvelope::Tx(envelope) => Some(&mut envelope.tx),
        _ => None,
    });
    let transaction = plain.unwrap();
    let before = hash(transaction);
    let body = OperationBody::SetTrustLineFlags(SetTrustLineFlagsOp {
        trustor: account(2),
        asset: asset(b"AAA\0", 1),
        clear_flags: 1,
        set_flags: 0,
    });
    transaction.operations = vec![Operation { source_account: None, body }].try_into().unwrap();
    let changed_to = transaction.clone();
    component.txs = txs.try_into().unwrap();
    *components = changed.try_into().unwrap();
    set.phases = phases.try_into().unwrap();
    (changed_to, before)
}

/// The rows of a revocation that takes 30 of 100 AAA and 70 of 90 BBB out of the pool and leaves
/// the first so many of the two claimable balances; with the balances' ids.
fn revoked(balances: usize) -> (Vec<Row>, [ClaimableBalanceId; 2]) {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(LEDGER).unwrap();
    records.extend(splitter.finish().unwrap());
    let mut ledger = LedgerCloseMeta::from_xdr(&records[0][4..], Limits::none()).unwrap();
    let LedgerCloseMeta::V1(meta) = &mut ledger else { panic!("pubnet wrote version 1 then") };
    let (transaction, before) = revoke(&mut meta.tx_set);
    let made = [(asset(b"AAA\0", 1), 30), (asset(b"BBB\0", 2), 70)]
        .map(|(asset, amount)| balance(&transaction, asset, amount));
    let mut changes =
        vec![LedgerEntryChange::State(pool(100, 90)), LedgerEntryChange::Updated(pool(70, 20))];
    let created = made.iter().take(balances).rev();
    changes.extend(created.map(|(_, entry)| LedgerEntryChange::Created(entry.clone())));
    let mut applied = meta.tx_processing.to_vec();
    let at = applied.iter().position(|one| one.result.transaction_hash == before).unwrap();
    let one = &mut applied[at];
    one.result.transaction_hash = hash(&transaction);
    let result = OperationResultTr::SetTrustLineFlags(SetTrustLineFlagsResult::Success);
    let results = vec![OperationResult::OpInner(result)].try_into().unwrap();
    one.result.result.result = TransactionResultResult::TxSuccess(results);
    let changes = LedgerEntryChanges(changes.try_into().unwrap());
    one.tx_apply_processing = TransactionMeta::V3(TransactionMetaV3 {
        ext: ExtensionPoint::V0,
        tx_changes_before: Default::default(),
        operations: vec![OperationMeta { changes }].try_into().unwrap(),
        tx_changes_after: Default::default(),
        soroban_meta: None,
    });
    meta.tx_processing = applied.try_into().unwrap();
    let table = Table::find("token_transfers").unwrap();
    let request = Request::new(&[table], PUBNET, &Wanted::default()).unwrap();
    let (batches, _) = decode(&ledger.to_xdr(Limits::none()).unwrap(), &request).unwrap();
    let revoking = Value::Text("set_trust_line_flags".into());
    let rows = rows(&batches[0]).into_iter().filter(|row| cell(row, "operation_type") == &revoking);
    (rows.collect(), made.map(|(id, _)| id))
}

fn cell<'a>(row: &'a Row, column: &str) -> &'a Value {
    &row.iter().find(|(name, _)| name == column).unwrap().1
}

/// Kind, code, sender, receiver and amount of each row.
fn told(rows: &[Row]) -> Vec<[Value; 5]> {
    let columns = ["event_type", "asset_code", "from", "to", "amount_text"];
    rows.iter().map(|row| columns.map(|column| cell(row, column).clone())).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn both_assets_become_claimable_balances() {
    let (rows, ids) = revoked(2);
    let [first, second] = ids.map(|id| text(&id.to_string()));
    let pool = || text(&POOL.to_string());
    let expected = [
        [text("transfer"), text("AAA"), pool(), first, text("30")],
        [text("transfer"), text("BBB"), pool(), second, text("70")],
    ];
    assert_eq!(told(&rows), expected);
}

#[test]
fn what_the_trustor_issues_is_burned() {
    let (rows, ids) = revoked(1);
    let pool = || text(&POOL.to_string());
    let expected = [
        [text("transfer"), text("AAA"), pool(), text(&ids[0].to_string()), text("30")],
        [text("burn"), text("BBB"), pool(), Value::Null, text("70")],
    ];
    assert_eq!(told(&rows), expected);
}

#[test]
fn a_revocation_without_balances_moves_nothing() {
    assert_eq!(told(&revoked(0).0), Vec::<[Value; 5]>::new());
}
