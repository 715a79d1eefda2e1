//! Operations and their results (Stellar-transaction.x), looked at where they lie.

use crate::values::muxed::Muxed;
use crate::xdr::discriminants::{OperationResultCode, OperationType, TransactionResultCode};
use crate::xdr::layout::{self, OperationBody};
use crate::xdr::{self, Input, between, skip};

/// The names of XDR's OperationType, by value.
pub const OPERATION_NAMES: [&str; 27] = [
    "create_account",
    "payment",
    "path_payment_strict_receive",
    "manage_sell_offer",
    "create_passive_sell_offer",
    "set_options",
    "change_trust",
    "allow_trust",
    "account_merge",
    "inflation",
    "manage_data",
    "bump_sequence",
    "manage_buy_offer",
    "path_payment_strict_send",
    "create_claimable_balance",
    "claim_claimable_balance",
    "begin_sponsoring_future_reserves",
    "end_sponsoring_future_reserves",
    "revoke_sponsorship",
    "clawback",
    "clawback_claimable_balance",
    "set_trust_line_flags",
    "liquidity_pool_deposit",
    "liquidity_pool_withdraw",
    "invoke_host_function",
    "extend_footprint_ttl",
    "restore_footprint",
];

/// An operation as its transaction asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// Its own source account; `None` where it is the transaction's.
    pub source: Option<Muxed<'a>>,
    /// OperationType
    pub kind: u32,
    /// OperationBody behind its type.
    pub body: Input<'a>,
}

/// The operations of a transaction, from Operation<100>.
pub struct Operations<'a> {
    left: u32,
    bytes: Input<'a>,
    /// The OperationBody of the last one, which is passed over once another is asked for.
    last: Option<Input<'a>>,
}

impl<'a> Operations<'a> {
    /// Go over an array of Operation.
    pub fn new(array: Input<'a>) -> Self {
        let (left, bytes) = xdr::u32(array).unwrap_or_default();
        Self { left, bytes, last: None }
    }

    fn read(&mut self) -> Option<Operation<'a>> {
        if let Some(body) = self.last.take() {
            self.bytes = skip::<OperationBody>(body)?;
        }
        let (source, body) = match xdr::present(self.bytes)? {
            (false, rest) => (None, rest),
            (true, rest) => Muxed::read(rest).map(|(source, rest)| (Some(source), rest))?,
        };
        self.last = Some(body);
        let (kind, body) = xdr::u32(body)?;
        Some(Operation { source, kind, body })
    }
}

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.read()
    }
}

/// A TransactionResult.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// Stroops.
    pub fee_charged: i64,
    /// TransactionResultCode
    pub code: i32,
    /// The hash of the transaction inside a fee bump.
    pub inner_hash: Option<&'a [u8; 32]>,
    /// OperationResult<>, of the inner transaction too; `None` where no operation was tried.
    pub results: Option<Input<'a>>,
}

impl<'a> Outcome<'a> {
    /// Read a TransactionResult.
    pub fn read(bytes: Input<'a>) -> Option<Self> {
        let (fee_charged, bytes) = xdr::i64(bytes)?;
        let (code, rest) = xdr::i32(bytes)?;
        let (inner_hash, inner_code, rest) = match code {
            TransactionResultCode::FEE_BUMP_INNER_SUCCESS
            | TransactionResultCode::FEE_BUMP_INNER_FAILED => {
                let (hash, inner) = xdr::array(rest)?;
                let (inner_code, rest) = xdr::i32(xdr::i64(inner)?.1)?;
                (Some(hash), inner_code, rest)
            }
            _ => (None, code, rest),
        };
        let tried =
            matches!(inner_code, TransactionResultCode::SUCCESS | TransactionResultCode::FAILED);
        let results = tried.then_some(rest);
        Some(Self { fee_charged, code, inner_hash, results })
    }
}

/// The results of a transaction's operations, from OperationResult<>: of each that was carried
/// out its OperationType and OperationResultTr behind it, of any other `None`.
pub struct Results<'a> {
    left: u32,
    bytes: Input<'a>,
}

impl<'a> Results<'a> {
    /// Go over an array of OperationResult.
    pub fn new(array: Option<Input<'a>>) -> Self {
        let (left, bytes) = array.and_then(xdr::u32).unwrap_or_default();
        Self { left, bytes }
    }
}

impl<'a> Iterator for Results<'a> {
    type Item = Option<(u32, Input<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let result = self.bytes;
        self.bytes = skip::<layout::OperationResult>(result)?;
        let (code, tr) = xdr::i32(between(result, self.bytes))?;
        Some(if code == OperationResultCode::INNER { xdr::u32(tr) } else { None })
    }
}

/// Whether a TransactionResult leaves open what type an operation was: stellar-core says of a
/// passive offer what became of it as of any other offer.
pub fn is_ambiguous(result: Input<'_>) -> bool {
    let results = Outcome::read(result).and_then(|outcome| outcome.results);
    Results::new(results)
        .any(|result| matches!(result, Some((OperationType::MANAGE_SELL_OFFER, _))))
}
