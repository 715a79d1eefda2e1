//! Every type of the layout accepts what the official crate accepts, and nothing else.
//!
//! Two exceptions: the official crate takes any number as a bool, we only 0 and 1; and it has no bound
//! on nesting unless it is given one, we have `MAX_DEPTH`.

use std::collections::BTreeSet;
use std::io::Cursor;

use arbitrary::Arbitrary;
use stellar_xdr::{Limited, Limits, ReadXdr, WriteXdr};
use stellarrow_core::xdr::{Xdr, layout, locate, skip};

use crate::dice::Dice;
use crate::mutate::mutate;
use crate::sealed::encode;

const VALUES: u64 = if cfg!(debug_assertions) { 10 } else { 150 };
const MUTANTS: u64 = if cfg!(debug_assertions) { 10 } else { 30 };

/// How often bytes were accepted, and refused.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
}

/// What the official crate leaves of the bytes after one value that it would write as it read it;
/// the one thing it reads and writes differently is a bool that is neither 0 nor 1.
pub fn officially<T: ReadXdr + WriteXdr>(bytes: &[u8]) -> Option<&[u8]> {
    let limits = Limits {
        depth: 1_000,
        len: bytes.len(), // or a byte string's length would be allocated before it is read
    };
    let mut reader = Limited::new(Cursor::new(bytes), limits);
    let value = T::read_xdr(&mut reader).ok()?;
    let (read, rest) = bytes.split_at(reader.inner.position() as usize);
    (encode(&value) == read).then_some(rest)
}

/// Whether we find just what the official crate finds.
fn agree<Ours: Xdr, Theirs: ReadXdr + WriteXdr>(name: &str, bytes: &[u8], tally: &mut Tally) {
    let theirs = officially::<Theirs>(bytes);
    assert_eq!(skip::<Ours>(bytes), theirs, "{name} of {bytes:02x?}");
    assert_eq!(locate::<Ours>(bytes).ok(), theirs, "{name} of {bytes:02x?}");
    match theirs {
        Some(_) => tally.accepted += 1,
        None => tally.refused += 1,
    }
}

fn all<Ours, Theirs>(name: &str)
where
    Ours: Xdr,
    Theirs: ReadXdr + WriteXdr + for<'a> Arbitrary<'a>,
{
    let mut tally = Tally::default();
    for seed in 0..VALUES {
        let mut dice = Dice::new(seed);
        let size = 64 << dice.below(6);
        let value = encode(&dice.arbitrary::<Theirs>(size));
        assert_eq!(skip::<Ours>(&value), Some(&[][..]), "{name}, seed {seed}");
        agree::<Ours, Theirs>(name, &value, &mut tally);
        for _ in 0..MUTANTS {
            let mut mutant = value.clone();
            mutate(&mut dice, &mut mutant, 0);
            agree::<Ours, Theirs>(name, &mutant, &mut tally);
        }
    }
    assert!(tally.accepted >= VALUES && tally.refused > 0, "{name} was not put to the test");
}

/// The layout's types, a test for each of its files; where the official crate writes the name
/// otherwise, its own after `=`.
macro_rules! compared {
    ($($test:ident: $file:literal { $($ours:ident $(= $theirs:ident)?,)* })*) => {
        $(#[test]
        fn $test() {
            let compared = [$(stringify!($ours)),*];
            let source = include_str!(concat!("../../src/xdr/layout/", $file));
            assert_eq!(defined(source), BTreeSet::from(compared), "types of {}", $file);
            $(all::<layout::$ours, official!($ours $($theirs)?)>(stringify!($ours));)*
        })*
    };
}

macro_rules! official {
    ($same:ident) => {
        stellar_xdr::$same
    };
    ($ours:ident $theirs:ident) => {
        stellar_xdr::$theirs
    };
}

/// The names a file of the layout defines.
fn defined(source: &str) -> BTreeSet<&str> {
    source
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            ["struct ", "union ", "pub type "].iter().find_map(|kind| line.strip_prefix(kind))
        })
        .filter_map(|line| line.split([' ', '<']).next())
        .collect()
}

compared! {
    types_agrees: "types.rs" {
        Hash, TimePoint, Uint256, NodeID = NodeId, Signature, TimePointMs, AccountID = AccountId,
        PoolID = PoolId, ContractID = ContractId, Duration, SignatureHint, PublicKey,
        SignerKeyEd25519SignedPayload, SignerKey, ClaimableBalanceID = ClaimableBalanceId,
        ExtensionPoint,
    }
    contract_agrees: "contract.rs" {
        SCErrorCode = ScErrorCode, SCBytes = ScBytes, SCString = ScString, SCSymbol = ScSymbol,
        SCVec = ScVec, SCMap = ScMap, MuxedEd25519Account, MuxedContract, SCAddress = ScAddress,
        SCError = ScError, UInt128Parts, Int128Parts, UInt256Parts, Int256Parts,
        SCMapEntry = ScMapEntry, ContractExecutableExternalRef, ContractExecutable,
        SCContractInstance = ScContractInstance, SCNonceKey = ScNonceKey, SCVal = ScVal,
    }
    config_setting_agrees: "config_setting.rs" {
        ConfigSettingID = ConfigSettingId, ContractCostParams, EncodedLedgerKey,
        ConfigSettingContractComputeV0, ConfigSettingContractLedgerCostV0,
        ConfigSettingContractHistoricalDataV0, ConfigSettingContractEventsV0,
        ConfigSettingContractBandwidthV0, ContractCostParamEntry, StateArchivalSettings,
        ConfigSettingContractExecutionLanesV0, EvictionIterator,
        ConfigSettingContractParallelComputeV0, ConfigSettingContractLedgerCostExtV0,
        ConfigSettingSCPTiming = ConfigSettingScpTiming, FrozenLedgerKeys, FrozenLedgerKeysDelta,
        FreezeBypassTxs, FreezeBypassTxsDelta, ConfigSettingEntry,
    }
    ledger_entries_agrees: "ledger_entries.rs" {
        SequenceNumber, AssetCode4, AssetCode12, String32, String64, DataValue,
        ContractDataDurability, Thresholds, SponsorshipDescriptor, AlphaNum4, AlphaNum12, Asset,
        Price, Signer, LiquidityPoolConstantProductParameters, AssetCode, ClaimPredicate,
        ClaimantV0, Claimant, LedgerKeyAccount, TrustLineAsset, LedgerKeyTrustLine, LedgerKeyOffer,
        LedgerKeyData, LedgerKeyClaimableBalance, LedgerKeyLiquidityPool, LedgerKeyContractData,
        LedgerKeyContractCode, LedgerKeyConfigSetting, LedgerKeyTtl, LedgerKey, OfferEntryExt,
        OfferEntry, Liabilities, AccountEntryExtensionV3, AccountEntryExtensionV2Ext,
        AccountEntryExtensionV2, AccountEntryExtensionV1Ext, AccountEntryExtensionV1,
        AccountEntryExt, AccountEntry, TrustLineEntryExtensionV2Ext, TrustLineEntryExtensionV2,
        TrustLineEntryV1Ext, TrustLineEntryV1, TrustLineEntryExt, TrustLineEntry, DataEntryExt,
        DataEntry, ClaimableBalanceEntryExtensionV1Ext, ClaimableBalanceEntryExtensionV1,
        ClaimableBalanceEntryExt, ClaimableBalanceEntry, LiquidityPoolEntryConstantProduct,
        LiquidityPoolEntryBody, LiquidityPoolEntry, ContractDataEntry, ContractCodeCostInputs,
        ContractCodeEntryV1, ContractCodeEntryExt, ContractCodeEntry, TTLEntry = TtlEntry,
        LedgerEntryData, LedgerEntryExtensionV1Ext, LedgerEntryExtensionV1, LedgerEntryExt,
        LedgerEntry,
    }
    transaction_agrees: "transaction.rs" {
        TimeBounds, Memo, MuxedAccountMed25519, MuxedAccount, CreateAccountOp, PaymentOp,
        PathPaymentStrictReceiveOp, ManageSellOfferOp, CreatePassiveSellOfferOp, SetOptionsOp,
        LiquidityPoolParameters, ChangeTrustAsset, ChangeTrustOp, AllowTrustOp, ManageDataOp,
        BumpSequenceOp, ManageBuyOfferOp, PathPaymentStrictSendOp, CreateClaimableBalanceOp,
        ClaimClaimableBalanceOp, BeginSponsoringFutureReservesOp, RevokeSponsorshipOpSigner,
        RevokeSponsorshipOp, ClawbackOp, ClawbackClaimableBalanceOp, SetTrustLineFlagsOp,
        LiquidityPoolDepositOp, LiquidityPoolWithdrawOp, InvokeContractArgs,
        ContractIDPreimageFromAddress = ContractIdPreimageFromAddress,
        ContractIDPreimage = ContractIdPreimage, CreateContractArgs, CreateContractArgsV2,
        HostFunction, SorobanAddressCredentials, SorobanDelegateSignature,
        SorobanAddressCredentialsWithDelegates, SorobanCredentials, SorobanAuthorizedFunction,
        SorobanAuthorizedInvocation, SorobanAuthorizationEntry, InvokeHostFunctionOp,
        ExtendFootprintTTLOp = ExtendFootprintTtlOp, RestoreFootprintOp, OperationBody, Operation,
        TransactionV0Ext, TransactionV0, DecoratedSignature, TransactionV0Envelope, LedgerBounds,
        PreconditionsV2, Preconditions, SorobanResourcesExtV0, SorobanTransactionDataExt,
        LedgerFootprint, SorobanResources, SorobanTransactionData, TransactionExt, Transaction,
        TransactionV1Envelope, FeeBumpTransactionInnerTx, FeeBumpTransactionExt, FeeBumpTransaction,
        FeeBumpTransactionEnvelope, TransactionEnvelope, CreateAccountResult, PaymentResult,
        ClaimOfferAtomV0, ClaimOfferAtom, ClaimLiquidityAtom, ClaimAtom, SimplePaymentResult,
        PathPaymentStrictReceiveResultSuccess, PathPaymentStrictReceiveResult,
        ManageOfferSuccessResultOffer, ManageOfferSuccessResult, ManageSellOfferResult,
        SetOptionsResult, ChangeTrustResult, AllowTrustResult, AccountMergeResult, InflationPayout,
        InflationResult, ManageDataResult, BumpSequenceResult, ManageBuyOfferResult,
        PathPaymentStrictSendResultSuccess, PathPaymentStrictSendResult,
        CreateClaimableBalanceResult, ClaimClaimableBalanceResult,
        BeginSponsoringFutureReservesResult, EndSponsoringFutureReservesResult,
        RevokeSponsorshipResult, ClawbackResult, ClawbackClaimableBalanceResult,
        SetTrustLineFlagsResult, LiquidityPoolDepositResult, LiquidityPoolWithdrawResult,
        InvokeHostFunctionResult, ExtendFootprintTTLResult = ExtendFootprintTtlResult,
        RestoreFootprintResult, OperationResultTr, OperationResult, InnerTransactionResultResult,
        InnerTransactionResultExt, InnerTransactionResult, InnerTransactionResultPair,
        TransactionResultResult, TransactionResultExt, TransactionResult,
    }
    scp_agrees: "scp.rs" {
        Value, SCPQuorumSet = ScpQuorumSet, SCPBallot = ScpBallot,
        SCPStatementPrepare = ScpStatementPrepare, SCPStatementConfirm = ScpStatementConfirm,
        SCPStatementExternalize = ScpStatementExternalize, SCPNomination = ScpNomination,
        SCPStatementPledges = ScpStatementPledges, SCPStatement = ScpStatement,
        SCPEnvelope = ScpEnvelope,
    }
    ledger_agrees: "ledger.rs" {
        UpgradeType, LedgerEntryChanges, ContractEventType, TransactionEventStage,
        DependentTxCluster, ParallelTxExecutionStage, LedgerCloseValueSignature,
        StellarValueProposedValue, StellarValueSignedMsValue, StellarValueProposedMsValue,
        StellarValueExt, StellarValue, LedgerHeaderExtensionV1Ext, LedgerHeaderExtensionV1,
        LedgerHeaderExt, LedgerHeader, LedgerHeaderHistoryEntryExt, LedgerHeaderHistoryEntry,
        TransactionSet, TransactionResultPair, LedgerEntryChange, OperationMeta, TransactionMetaV1,
        TransactionMetaV2, SorobanTransactionMetaExtV1, SorobanTransactionMetaExt, ContractEventV0,
        ContractEventBody, ContractEvent, DiagnosticEvent, SorobanTransactionMeta,
        TransactionMetaV3, OperationMetaV2, SorobanTransactionMetaV2, TransactionEvent,
        TransactionMetaV4, TransactionMeta, TransactionResultMeta, ConfigUpgradeSetKey,
        LedgerUpgrade, UpgradeEntryMeta, LedgerSCPMessages = LedgerScpMessages,
        SCPHistoryEntryV0 = ScpHistoryEntryV0, SCPHistoryEntry = ScpHistoryEntry, LedgerCloseMetaV0,
        LedgerCloseMetaExtV1, LedgerCloseMetaExt, TxSetComponentTxsMaybeDiscountedFee,
        TxSetComponent, ParallelTxsComponent, TransactionPhase, TransactionSetV1,
        GeneralizedTransactionSet, LedgerCloseMetaV1, TransactionResultMetaV1, LedgerCloseMetaV2,
        LedgerCloseMeta,
    }
    exporter_agrees: "exporter.rs" {
        LedgerCloseMetaBatch,
    }
}
