//! Stellar-transaction.x: envelopes, operations, results.

use super::contract::{ContractExecutable, SCAddress, SCSymbol, SCVal};
use super::ledger_entries::{
    AlphaNum4, AlphaNum12, Asset, AssetCode, Claimant, DataValue, LedgerKey,
    LiquidityPoolConstantProductParameters, OfferEntry, Price, SequenceNumber, Signer, String32,
    String64,
};
use super::types::{
    AccountID, ClaimableBalanceID, Duration, ExtensionPoint, Hash, PoolID, Signature,
    SignatureHint, SignerKey, TimePoint, Uint256,
};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bytes, I64, Nested, Optional, U32, U64, Void};

xdr! {
    struct TimeBounds { min_time: TimePoint, max_time: TimePoint }
    union Memo {
        0 => void: Void, 1 => text: Bytes<28>, 2 => id: U64, 3 => hash: Hash, 4 => ret_hash: Hash,
    }
    struct MuxedAccountMed25519 { id: U64, ed25519: Uint256 }
    union MuxedAccount { 0 => ed25519: Uint256, 256 => med25519: MuxedAccountMed25519 }
    struct CreateAccountOp { destination: AccountID, starting_balance: I64 }
    struct PaymentOp { destination: MuxedAccount, asset: Asset, amount: I64 }
    struct PathPaymentStrictReceiveOp {
        send_asset: Asset, send_max: I64, destination: MuxedAccount, dest_asset: Asset,
        dest_amount: I64, path: Array<Asset, 5>,
    }
    struct ManageSellOfferOp {
        selling: Asset, buying: Asset, amount: I64, price: Price, offer_id: I64,
    }
    struct CreatePassiveSellOfferOp { selling: Asset, buying: Asset, amount: I64, price: Price }
    struct SetOptionsOp {
        inflation_dest: Optional<AccountID>, clear_flags: Optional<U32>, set_flags: Optional<U32>,
        master_weight: Optional<U32>, low_threshold: Optional<U32>, med_threshold: Optional<U32>,
        high_threshold: Optional<U32>, home_domain: Optional<String32>, signer: Optional<Signer>,
    }
    union LiquidityPoolParameters { 0 => constant_product: LiquidityPoolConstantProductParameters }
    union ChangeTrustAsset {
        0 => void: Void, 1 => alpha_num4: AlphaNum4, 2 => alpha_num12: AlphaNum12,
        3 => liquidity_pool: LiquidityPoolParameters,
    }
    struct ChangeTrustOp { line: ChangeTrustAsset, limit: I64 }
    struct AllowTrustOp { trustor: AccountID, asset: AssetCode, authorize: U32 }
    struct ManageDataOp { data_name: String64, data_value: Optional<DataValue> }
    struct BumpSequenceOp { bump_to: SequenceNumber }
    struct ManageBuyOfferOp {
        selling: Asset, buying: Asset, buy_amount: I64, price: Price, offer_id: I64,
    }
    struct PathPaymentStrictSendOp {
        send_asset: Asset, send_amount: I64, destination: MuxedAccount, dest_asset: Asset,
        dest_min: I64, path: Array<Asset, 5>,
    }
    struct CreateClaimableBalanceOp { asset: Asset, amount: I64, claimants: Array<Claimant, 10> }
    struct ClaimClaimableBalanceOp { balance_id: ClaimableBalanceID }
    struct BeginSponsoringFutureReservesOp { sponsored_id: AccountID }
    struct RevokeSponsorshipOpSigner { account_id: AccountID, signer_key: SignerKey }
    union RevokeSponsorshipOp { 0 => ledger_key: LedgerKey, 1 => signer: RevokeSponsorshipOpSigner }
    struct ClawbackOp { asset: Asset, from: MuxedAccount, amount: I64 }
    struct ClawbackClaimableBalanceOp { balance_id: ClaimableBalanceID }
    struct SetTrustLineFlagsOp {
        trustor: AccountID, asset: Asset, clear_flags: U32, set_flags: U32,
    }
    struct LiquidityPoolDepositOp {
        liquidity_pool_id: PoolID, max_amount_a: I64, max_amount_b: I64, min_price: Price,
        max_price: Price,
    }
    struct LiquidityPoolWithdrawOp {
        liquidity_pool_id: PoolID, amount: I64, min_amount_a: I64, min_amount_b: I64,
    }
    struct InvokeContractArgs {
        contract_address: SCAddress, function_name: SCSymbol, args: Array<SCVal>,
    }
    struct ContractIDPreimageFromAddress { address: SCAddress, salt: Uint256 }
    union ContractIDPreimage {
        0 => from_address: ContractIDPreimageFromAddress, 1 => from_asset: Asset,
    }
    struct CreateContractArgs {
        contract_id_preimage: ContractIDPreimage, executable: ContractExecutable,
    }
    struct CreateContractArgsV2 {
        contract_id_preimage: ContractIDPreimage, executable: ContractExecutable,
        constructor_args: Array<SCVal>,
    }
    union HostFunction {
        0 => invoke_contract: InvokeContractArgs, 1 => create_contract: CreateContractArgs,
        2 => wasm: Bytes, 3 => create_contract_v2: CreateContractArgsV2,
    }
    struct SorobanAddressCredentials {
        address: SCAddress, nonce: I64, signature_expiration_ledger: U32, signature: SCVal,
    }
    struct SorobanDelegateSignature {
        address: SCAddress, signature: SCVal,
        nested_delegates: Array<Nested<SorobanDelegateSignature>>,
    }
    struct SorobanAddressCredentialsWithDelegates {
        address_credentials: SorobanAddressCredentials,
        delegates: Array<SorobanDelegateSignature>,
    }
    union SorobanCredentials {
        0 => void: Void, 1 => address: SorobanAddressCredentials,
        2 => address_v2: SorobanAddressCredentials,
        3 => address_with_delegates: SorobanAddressCredentialsWithDelegates,
    }
    union SorobanAuthorizedFunction {
        0 => contract_fn: InvokeContractArgs, 1 => create_contract_host_fn: CreateContractArgs,
        2 => create_contract_v2_host_fn: CreateContractArgsV2,
    }
    struct SorobanAuthorizedInvocation {
        function: SorobanAuthorizedFunction,
        sub_invocations: Array<Nested<SorobanAuthorizedInvocation>>,
    }
    struct SorobanAuthorizationEntry {
        credentials: SorobanCredentials, root_invocation: SorobanAuthorizedInvocation,
    }
    struct InvokeHostFunctionOp {
        host_function: HostFunction, auth: Array<SorobanAuthorizationEntry>,
    }
    struct ExtendFootprintTTLOp { ext: ExtensionPoint, extend_to: U32 }
    struct RestoreFootprintOp { ext: ExtensionPoint }
    union OperationBody {
        0 => create_account_op: CreateAccountOp, 1 => payment_op: PaymentOp,
        2 => path_payment_strict_receive_op: PathPaymentStrictReceiveOp,
        3 => manage_sell_offer_op: ManageSellOfferOp,
        4 => create_passive_sell_offer_op: CreatePassiveSellOfferOp,
        5 => set_options_op: SetOptionsOp, 6 => change_trust_op: ChangeTrustOp,
        7 => allow_trust_op: AllowTrustOp, 8 => destination: MuxedAccount, 9 => void: Void,
        10 => manage_data_op: ManageDataOp, 11 => bump_sequence_op: BumpSequenceOp,
        12 => manage_buy_offer_op: ManageBuyOfferOp,
        13 => path_payment_strict_send_op: PathPaymentStrictSendOp,
        14 => create_claimable_balance_op: CreateClaimableBalanceOp,
        15 => claim_claimable_balance_op: ClaimClaimableBalanceOp,
        16 => begin_sponsoring_future_reserves_op: BeginSponsoringFutureReservesOp,
        17 => void: Void, 18 => revoke_sponsorship_op: RevokeSponsorshipOp,
        19 => clawback_op: ClawbackOp,
        20 => clawback_claimable_balance_op: ClawbackClaimableBalanceOp,
        21 => set_trust_line_flags_op: SetTrustLineFlagsOp,
        22 => liquidity_pool_deposit_op: LiquidityPoolDepositOp,
        23 => liquidity_pool_withdraw_op: LiquidityPoolWithdrawOp,
        24 => invoke_host_function_op: InvokeHostFunctionOp,
        25 => extend_footprint_ttl_op: ExtendFootprintTTLOp,
        26 => restore_footprint_op: RestoreFootprintOp,
    }
    struct Operation { source_account: Optional<MuxedAccount>, body: OperationBody }
    union TransactionV0Ext { 0 => void: Void }
    struct TransactionV0 {
        source_account_ed25519: Uint256, fee: U32, seq_num: SequenceNumber,
        time_bounds: Optional<TimeBounds>, memo: Memo, operations: Array<Operation, 100>,
        ext: TransactionV0Ext,
    }
    struct DecoratedSignature { hint: SignatureHint, signature: Signature }
    struct TransactionV0Envelope { tx: TransactionV0, signatures: Array<DecoratedSignature, 20> }
    struct LedgerBounds { min_ledger: U32, max_ledger: U32 }
    struct PreconditionsV2 {
        time_bounds: Optional<TimeBounds>, ledger_bounds: Optional<LedgerBounds>,
        min_seq_num: Optional<SequenceNumber>, min_seq_age: Duration, min_seq_ledger_gap: U32,
        extra_signers: Array<SignerKey, 2>,
    }
    union Preconditions { 0 => void: Void, 1 => time_bounds: TimeBounds, 2 => v2: PreconditionsV2 }
    struct SorobanResourcesExtV0 { archived_soroban_entries: Array<U32> }
    union SorobanTransactionDataExt { 0 => void: Void, 1 => resource_ext: SorobanResourcesExtV0 }
    struct LedgerFootprint { read_only: Array<LedgerKey>, read_write: Array<LedgerKey> }
    struct SorobanResources {
        footprint: LedgerFootprint, instructions: U32, disk_read_bytes: U32, write_bytes: U32,
    }
    struct SorobanTransactionData {
        ext: SorobanTransactionDataExt, resources: SorobanResources, resource_fee: I64,
    }
    union TransactionExt { 0 => void: Void, 1 => soroban_data: SorobanTransactionData }
    struct Transaction {
        source_account: MuxedAccount, fee: U32, seq_num: SequenceNumber, cond: Preconditions,
        memo: Memo, operations: Array<Operation, 100>, ext: TransactionExt,
    }
    struct TransactionV1Envelope { tx: Transaction, signatures: Array<DecoratedSignature, 20> }
    union FeeBumpTransactionInnerTx { 2 => v1: TransactionV1Envelope }
    union FeeBumpTransactionExt { 0 => void: Void }
    struct FeeBumpTransaction {
        fee_source: MuxedAccount, fee: I64, inner_tx: FeeBumpTransactionInnerTx,
        ext: FeeBumpTransactionExt,
    }
    struct FeeBumpTransactionEnvelope {
        tx: FeeBumpTransaction, signatures: Array<DecoratedSignature, 20>,
    }
    union TransactionEnvelope {
        0 => v0: TransactionV0Envelope, 2 => v1: TransactionV1Envelope,
        5 => fee_bump: FeeBumpTransactionEnvelope,
    }
    union CreateAccountResult { -4..=0 => void: Void }
    union PaymentResult { -9..=0 => void: Void }
    struct ClaimOfferAtomV0 {
        seller_ed25519: Uint256, offer_id: I64, asset_sold: Asset, amount_sold: I64,
        asset_bought: Asset, amount_bought: I64,
    }
    struct ClaimOfferAtom {
        seller_id: AccountID, offer_id: I64, asset_sold: Asset, amount_sold: I64,
        asset_bought: Asset, amount_bought: I64,
    }
    struct ClaimLiquidityAtom {
        liquidity_pool_id: PoolID, asset_sold: Asset, amount_sold: I64, asset_bought: Asset,
        amount_bought: I64,
    }
    union ClaimAtom {
        0 => v0: ClaimOfferAtomV0, 1 => order_book: ClaimOfferAtom,
        2 => liquidity_pool: ClaimLiquidityAtom,
    }
    struct SimplePaymentResult { destination: AccountID, asset: Asset, amount: I64 }
    struct PathPaymentStrictReceiveResultSuccess {
        offers: Array<ClaimAtom>, last: SimplePaymentResult,
    }
    union PathPaymentStrictReceiveResult {
        -12..=-10 => void: Void, -9 => no_issuer: Asset, -8..=-1 => void: Void,
        0 => success: PathPaymentStrictReceiveResultSuccess,
    }
    union ManageOfferSuccessResultOffer { 0..=1 => offer: OfferEntry, 2 => void: Void }
    struct ManageOfferSuccessResult {
        offers_claimed: Array<ClaimAtom>, offer: ManageOfferSuccessResultOffer,
    }
    union ManageSellOfferResult { -12..=-1 => void: Void, 0 => success: ManageOfferSuccessResult }
    union SetOptionsResult { -10..=0 => void: Void }
    union ChangeTrustResult { -8..=0 => void: Void }
    union AllowTrustResult { -6..=0 => void: Void }
    union AccountMergeResult { -7..=-1 => void: Void, 0 => source_account_balance: I64 }
    struct InflationPayout { destination: AccountID, amount: I64 }
    union InflationResult { -1 => void: Void, 0 => payouts: Array<InflationPayout> }
    union ManageDataResult { -4..=0 => void: Void }
    union BumpSequenceResult { -1..=0 => void: Void }
    union ManageBuyOfferResult { -12..=-1 => void: Void, 0 => success: ManageOfferSuccessResult }
    struct PathPaymentStrictSendResultSuccess {
        offers: Array<ClaimAtom>, last: SimplePaymentResult,
    }
    union PathPaymentStrictSendResult {
        -12..=-10 => void: Void, -9 => no_issuer: Asset, -8..=-1 => void: Void,
        0 => success: PathPaymentStrictSendResultSuccess,
    }
    union CreateClaimableBalanceResult {
        -5..=-1 => void: Void, 0 => balance_id: ClaimableBalanceID,
    }
    union ClaimClaimableBalanceResult { -6..=0 => void: Void }
    union BeginSponsoringFutureReservesResult { -3..=0 => void: Void }
    union EndSponsoringFutureReservesResult { -1..=0 => void: Void }
    union RevokeSponsorshipResult { -5..=0 => void: Void }
    union ClawbackResult { -4..=0 => void: Void }
    union ClawbackClaimableBalanceResult { -3..=0 => void: Void }
    union SetTrustLineFlagsResult { -5..=0 => void: Void }
    union LiquidityPoolDepositResult { -8..=0 => void: Void }
    union LiquidityPoolWithdrawResult { -6..=0 => void: Void }
    union InvokeHostFunctionResult { -5..=-1 => void: Void, 0 => success: Hash }
    union ExtendFootprintTTLResult { -3..=0 => void: Void }
    union RestoreFootprintResult { -3..=0 => void: Void }
    union OperationResultTr {
        0 => create_account_result: CreateAccountResult, 1 => payment_result: PaymentResult,
        2 => path_payment_strict_receive_result: PathPaymentStrictReceiveResult,
        3 => manage_sell_offer_result: ManageSellOfferResult,
        4 => create_passive_sell_offer_result: ManageSellOfferResult,
        5 => set_options_result: SetOptionsResult, 6 => change_trust_result: ChangeTrustResult,
        7 => allow_trust_result: AllowTrustResult, 8 => account_merge_result: AccountMergeResult,
        9 => inflation_result: InflationResult, 10 => manage_data_result: ManageDataResult,
        11 => bump_seq_result: BumpSequenceResult,
        12 => manage_buy_offer_result: ManageBuyOfferResult,
        13 => path_payment_strict_send_result: PathPaymentStrictSendResult,
        14 => create_claimable_balance_result: CreateClaimableBalanceResult,
        15 => claim_claimable_balance_result: ClaimClaimableBalanceResult,
        16 => begin_sponsoring_future_reserves_result: BeginSponsoringFutureReservesResult,
        17 => end_sponsoring_future_reserves_result: EndSponsoringFutureReservesResult,
        18 => revoke_sponsorship_result: RevokeSponsorshipResult,
        19 => clawback_result: ClawbackResult,
        20 => clawback_claimable_balance_result: ClawbackClaimableBalanceResult,
        21 => set_trust_line_flags_result: SetTrustLineFlagsResult,
        22 => liquidity_pool_deposit_result: LiquidityPoolDepositResult,
        23 => liquidity_pool_withdraw_result: LiquidityPoolWithdrawResult,
        24 => invoke_host_function_result: InvokeHostFunctionResult,
        25 => extend_footprint_ttl_result: ExtendFootprintTTLResult,
        26 => restore_footprint_result: RestoreFootprintResult,
    }
    union OperationResult { -6..=-1 => void: Void, 0 => tr: OperationResultTr }
    union InnerTransactionResultResult {
        -18..=-14 => void: Void, -12..=-2 => void: Void,
        -1..=0 => results: Array<OperationResult>,
    }
    union InnerTransactionResultExt { 0 => void: Void }
    struct InnerTransactionResult {
        fee_charged: I64, result: InnerTransactionResultResult, ext: InnerTransactionResultExt,
    }
    struct InnerTransactionResultPair { transaction_hash: Hash, result: InnerTransactionResult }
    union TransactionResultResult {
        -18..=-14 => void: Void, -13 => inner_result_pair: InnerTransactionResultPair,
        -12..=-2 => void: Void, -1..=0 => results: Array<OperationResult>,
        1 => inner_result_pair: InnerTransactionResultPair,
    }
    union TransactionResultExt { 0 => void: Void }
    struct TransactionResult {
        fee_charged: I64, result: TransactionResultResult, ext: TransactionResultExt,
    }
}
