//! The protocol's enums that tell the arms of a union apart, by the names they have in the `.x`
//! files without what all names of an enum begin with. Values that nothing reads may be left out.
#![allow(missing_docs)] // the names are the documentation, and the .x files the source

/// Write enums down: `Name: type { VALUE = number, … }`.
macro_rules! enums {
    ($($(#[$doc:meta])* $name:ident: $type:ty { $($value:ident = $number:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl $name {
            $(pub const $value: $type = $number;)*
        }
    )*};
}

enums! {
    /// Of Asset.
    AssetType: u32 { NATIVE = 0, CREDIT_ALPHANUM4 = 1, CREDIT_ALPHANUM12 = 2 }
    ClaimableBalanceIDType: u32 { V0 = 0 }
    ClaimAtomType: u32 { V0 = 0, ORDER_BOOK = 1, LIQUIDITY_POOL = 2 }
    ContractDataDurability: u32 { TEMPORARY = 0, PERSISTENT = 1 }
    ContractEventType: u32 { SYSTEM = 0, CONTRACT = 1, DIAGNOSTIC = 2 }
    ContractExecutableType: u32 { WASM = 0, STELLAR_ASSET = 1, EXTERNAL_REF = 2 }
    ContractIDPreimageType: u32 { ADDRESS = 0, ASSET = 1 }
    /// Of MuxedAccount.
    CryptoKeyType: u32 { ED25519 = 0, MUXED_ED25519 = 0x100 }
    EnvelopeType: u32 {
        TX_V0 = 0, TX = 2, TX_FEE_BUMP = 5, POOL_REVOKE_OP_ID = 7, CONTRACT_ID = 8,
    }
    LedgerEntryChangeType: u32 { CREATED = 0, UPDATED = 1, REMOVED = 2, STATE = 3, RESTORED = 4 }
    LedgerEntryType: u32 {
        ACCOUNT = 0, TRUSTLINE = 1, OFFER = 2, DATA = 3, CLAIMABLE_BALANCE = 4, LIQUIDITY_POOL = 5,
        CONTRACT_DATA = 6, CONTRACT_CODE = 7, CONFIG_SETTING = 8, TTL = 9,
    }
    LiquidityPoolType: u32 { CONSTANT_PRODUCT = 0 }
    MemoType: u32 { NONE = 0, TEXT = 1, ID = 2, HASH = 3, RETURN = 4 }
    OperationResultCode: i32 { INNER = 0 }
    OperationType: u32 {
        CREATE_ACCOUNT = 0, PAYMENT = 1, PATH_PAYMENT_STRICT_RECEIVE = 2, MANAGE_SELL_OFFER = 3,
        CREATE_PASSIVE_SELL_OFFER = 4, SET_OPTIONS = 5, CHANGE_TRUST = 6, ALLOW_TRUST = 7,
        ACCOUNT_MERGE = 8, INFLATION = 9, MANAGE_DATA = 10, BUMP_SEQUENCE = 11,
        MANAGE_BUY_OFFER = 12, PATH_PAYMENT_STRICT_SEND = 13, CREATE_CLAIMABLE_BALANCE = 14,
        CLAIM_CLAIMABLE_BALANCE = 15, BEGIN_SPONSORING_FUTURE_RESERVES = 16,
        END_SPONSORING_FUTURE_RESERVES = 17, REVOKE_SPONSORSHIP = 18, CLAWBACK = 19,
        CLAWBACK_CLAIMABLE_BALANCE = 20, SET_TRUST_LINE_FLAGS = 21, LIQUIDITY_POOL_DEPOSIT = 22,
        LIQUIDITY_POOL_WITHDRAW = 23, INVOKE_HOST_FUNCTION = 24, EXTEND_FOOTPRINT_TTL = 25,
        RESTORE_FOOTPRINT = 26,
    }
    PublicKeyType: u32 { ED25519 = 0 }
    SCAddressType: u32 {
        ACCOUNT = 0, CONTRACT = 1, MUXED_ACCOUNT = 2, CLAIMABLE_BALANCE = 3, LIQUIDITY_POOL = 4,
        MUXED_CONTRACT = 5,
    }
    SCErrorType: u32 { CONTRACT = 0 }
    SCSpecEntryKind: u32 {
        FUNCTION_V0 = 0, UDT_STRUCT_V0 = 1, UDT_UNION_V0 = 2, UDT_ENUM_V0 = 3,
        UDT_ERROR_ENUM_V0 = 4, EVENT_V0 = 5,
    }
    SCSpecEventDataFormat: u32 { SINGLE_VALUE = 0, VEC = 1, MAP = 2 }
    SCSpecEventParamLocation: u32 { DATA = 0, TOPIC_LIST = 1 }
    SCSpecType: u32 {
        VAL = 0, BOOL = 1, VOID = 2, ERROR = 3, U32 = 4, I32 = 5, U64 = 6, I64 = 7, TIMEPOINT = 8,
        DURATION = 9, U128 = 10, I128 = 11, U256 = 12, I256 = 13, BYTES = 14, STRING = 16,
        SYMBOL = 17, ADDRESS = 19, MUXED_ADDRESS = 20, OPTION = 1000, RESULT = 1001, VEC = 1002,
        MAP = 1004, TUPLE = 1005, BYTES_N = 1006, UDT = 2000,
    }
    SCSpecUDTUnionCaseV0Kind: u32 { VOID_V0 = 0, TUPLE_V0 = 1 }
    SCValType: u32 {
        BOOL = 0, VOID = 1, ERROR = 2, U32 = 3, I32 = 4, U64 = 5, I64 = 6, TIMEPOINT = 7,
        DURATION = 8, U128 = 9, I128 = 10, U256 = 11, I256 = 12, BYTES = 13, STRING = 14,
        SYMBOL = 15, VEC = 16, MAP = 17, ADDRESS = 18, CONTRACT_INSTANCE = 19,
        LEDGER_KEY_CONTRACT_INSTANCE = 20, LEDGER_KEY_NONCE = 21, EXECUTABLE_TAG = 22,
    }
    StellarValueType: u32 {
        BASIC = 0, SIGNED = 1, EMPTY_TX_SET = 2, SIGNED_MS = 3, EMPTY_TX_SET_MS = 4,
    }
    TransactionResultCode: i32 {
        FEE_BUMP_INNER_SUCCESS = 1, SUCCESS = 0, FAILED = -1, INTERNAL_ERROR = -11,
        FEE_BUMP_INNER_FAILED = -13,
    }
    /// Which has no enum in the `.x` files, only `case 0` and `case 1`.
    TransactionPhase: u32 { COMPONENTS = 0, PARALLEL = 1 }
    TxSetComponentType: u32 { MAYBE_DISCOUNTED_FEE = 0 }
}
