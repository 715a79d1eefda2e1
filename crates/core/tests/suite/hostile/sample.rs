//! A small ledger in which every value that a test breaks can be found by its bytes.

use stellar_xdr::*;

use crate::dice::Dice;
use crate::sealed::{encode, entry, seal};

/// The sample's sequence number.
pub const SEQUENCE: u32 = 7_000_007;

pub const KEY: u32 = 0xa1a1_a1a1;
pub const SIZED: &[u8] = b"sized!";
pub const NAME: &[u8] = b"transfer";
pub const LIVE_UNTIL: u32 = 0xa3a3_a3a3;
pub const DATA: u32 = 0xa4a4_a4a4;
pub const RETURNED: u32 = 0xa5a5_a5a5;
pub const DESTINATION: [u8; 32] = [0xb1; 32];
pub const HASH_OF_TTL: [u8; 32] = [0xb2; 32];
pub const CONTRACT: [u8; 32] = [0xb3; 32];
pub const EMITTER: [u8; 32] = [0xb4; 32];
pub const EVICTED: [u8; 32] = [0xb5; 32];
pub const VALIDATOR: [u8; 32] = [0xb6; 32];
pub const NEW_VERSION: u32 = 0xa6a6_a6a6;
pub const FEE_CHARGED: i64 = 0x5a5a_5a5a_5a5a_5a5a;

fn account(key: [u8; 32]) -> AccountId {
    AccountId(PublicKey::PublicKeyTypeEd25519(Uint256(key)))
}

fn one<T: std::fmt::Debug, const MAX: u32>(value: T) -> VecM<T, MAX> {
    vec![value].try_into().unwrap()
}

fn envelope() -> TransactionEnvelope {
    let mut tx = TransactionV1Envelope::default();
    tx.tx.operations = one(Operation {
        source_account: None,
        body: OperationBody::Payment(PaymentOp {
            destination: MuxedAccount::Ed25519(Uint256(DESTINATION)),
            ..Default::default()
        }),
    });
    TransactionEnvelope::Tx(tx)
}

fn tx_set() -> GeneralizedTransactionSet {
    let component =
        TxSetComponentTxsMaybeDiscountedFee { base_fee: Some(100), txs: one(envelope()) };
    GeneralizedTransactionSet::V1(TransactionSetV1 {
        phases: one(TransactionPhase::V0(one(TxSetComponent::TxsetCompTxsMaybeDiscountedFee(
            component,
        )))),
        ..Default::default()
    })
}

fn created(data: LedgerEntryData) -> LedgerEntryChange {
    LedgerEntryChange::Created(LedgerEntry { data, ..Default::default() })
}

fn changes() -> LedgerEntryChanges {
    let sized = ScVal::Bytes(ScBytes(SIZED.try_into().unwrap()));
    let val = ScVec(vec![ScVal::Bool(true), sized].try_into().unwrap());
    let data = LedgerEntryData::ContractData(ContractDataEntry {
        contract: ScAddress::Contract(ContractId(Hash(CONTRACT))),
        key: ScVal::U32(KEY),
        durability: ContractDataDurability::Persistent,
        val: ScVal::Vec(Some(val)),
        ..Default::default()
    });
    let ttl = LedgerEntryData::Ttl(TtlEntry {
        key_hash: Hash(HASH_OF_TTL),
        live_until_ledger_seq: LIVE_UNTIL,
    });
    LedgerEntryChanges(vec![created(data), created(ttl)].try_into().unwrap())
}

fn soroban() -> SorobanTransactionMeta {
    let name = ScVal::Symbol(ScSymbol(NAME.try_into().unwrap()));
    let event = ContractEvent {
        contract_id: Some(ContractId(Hash(EMITTER))),
        type_: ContractEventType::Contract,
        body: ContractEventBody::V0(ContractEventV0 { topics: one(name), data: ScVal::U32(DATA) }),
        ..Default::default()
    };
    SorobanTransactionMeta {
        events: one(event),
        return_value: ScVal::U32(RETURNED),
        ..Default::default()
    }
}

fn processing() -> TransactionResultMeta {
    let mut result = TransactionResultPair::default();
    result.result.fee_charged = FEE_CHARGED;
    result.result.result = TransactionResultResult::TxSuccess(Default::default());
    TransactionResultMeta {
        result,
        fee_processing: Default::default(),
        tx_apply_processing: TransactionMeta::V3(TransactionMetaV3 {
            operations: one(OperationMeta { changes: changes() }),
            soroban_meta: Some(soroban()),
            ..Default::default()
        }),
    }
}

fn scp() -> ScpHistoryEntry {
    ScpHistoryEntry::V0(ScpHistoryEntryV0 {
        quorum_sets: one(ScpQuorumSet {
            validators: one(NodeId(account(VALIDATOR).0)),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// The sample as a value, not yet sealed.
pub fn meta() -> LedgerCloseMeta {
    let mut meta = LedgerCloseMeta::V1(LedgerCloseMetaV1 {
        tx_set: tx_set(),
        tx_processing: one(processing()),
        upgrades_processing: one(UpgradeEntryMeta {
            upgrade: LedgerUpgrade::Version(NEW_VERSION),
            changes: Default::default(),
        }),
        scp_info: one(scp()),
        evicted_keys: one(LedgerKey::ContractCode(LedgerKeyContractCode { hash: Hash(EVICTED) })),
        ..Default::default()
    });
    let header = &mut entry(&mut meta).header;
    header.ledger_seq = SEQUENCE;
    header.ledger_version = 22;
    header.bucket_list_hash = Hash([0xc1; 32]);
    header.scp_value.tx_set_hash = Hash([0xc2; 32]);
    header.skip_list = [[0xc3; 32], [0xc4; 32], [0xc5; 32], [0xc6; 32]].map(Hash);
    meta
}

/// The sample's bytes.
pub fn bytes() -> Vec<u8> {
    let mut meta = meta();
    seal(&mut meta, &mut Dice::new(0));
    encode(&meta)
}

/// Where these bytes lie, which are there only once.
pub fn find(bytes: &[u8], what: &[u8]) -> usize {
    let mut found = bytes.windows(what.len()).enumerate().filter(|(_, bytes)| *bytes == what);
    let (at, _) = found.next().expect("they are there");
    assert!(found.next().is_none(), "{what:?} is there more than once");
    at
}

/// Put a word in place of what lies there.
pub fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
}
