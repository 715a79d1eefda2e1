//! Transaction envelopes (Stellar-transaction.x), looked at where they lie and found by hash.

use sha2::{Digest, Sha256};

use crate::values::muxed::Muxed;
use crate::xdr::discriminants::{
    CryptoKeyType, EnvelopeType, MemoType, TransactionPhase, TxSetComponentType,
};
use crate::xdr::layout::{DecoratedSignature, FeeBumpTransactionExt};
use crate::xdr::layout::{Operation, Preconditions, SorobanTransactionData, TimeBounds};
use crate::xdr::schema::{Array, I64, Optional};
use crate::xdr::{self, Input, between, skip};

/// The only arm of GeneralizedTransactionSet.
const SET_VERSION: u32 = 1;

/// A transaction's memo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memo<'a> {
    /// There is none.
    None,
    /// At most 28 bytes, mostly UTF-8.
    Text(&'a [u8]),
    /// A number.
    Id(u64),
    /// A hash.
    Hash(&'a [u8; 32]),
    /// The hash of the transaction that is paid back.
    Return(&'a [u8; 32]),
}

impl<'a> Memo<'a> {
    fn read(bytes: Input<'a>) -> Option<(Self, Input<'a>)> {
        Some(match xdr::u32(bytes)? {
            (MemoType::NONE, rest) => (Self::None, rest),
            (MemoType::TEXT, rest) => {
                xdr::opaque(rest).map(|(text, rest)| (Self::Text(text), rest))?
            }
            (MemoType::ID, rest) => xdr::u64(rest).map(|(id, rest)| (Self::Id(id), rest))?,
            (MemoType::HASH, rest) => {
                xdr::array(rest).map(|(hash, rest)| (Self::Hash(hash), rest))?
            }
            (MemoType::RETURN, rest) => {
                xdr::array(rest).map(|(hash, rest)| (Self::Return(hash), rest))?
            }
            _ => return None,
        })
    }
}

/// What wraps a transaction to pay its fee.
#[derive(Debug, Clone, Copy)]
pub struct FeeBump<'a> {
    /// Who pays.
    pub account: Muxed<'a>,
    /// The most it may cost, in stroops.
    pub fee: i64,
}

/// A TransactionEnvelope of any kind: the transaction in it and what wraps that.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The transaction's source account.
    pub source: Muxed<'a>,
    /// The most it may cost, in stroops.
    pub fee: u32,
    /// Sequence number of the source account.
    pub sequence: i64,
    /// Memo.
    pub memo: Memo<'a>,
    /// Operation<100>
    pub operations: Input<'a>,
    /// Whether it carries SorobanTransactionData.
    pub soroban: bool,
    /// The fee bump around it.
    pub fee_bump: Option<FeeBump<'a>>,
}

impl<'a> Envelope<'a> {
    /// Who pays the fee.
    pub fn fee_account(&self) -> Muxed<'a> {
        self.fee_bump.map_or(self.source, |bump| bump.account)
    }

    /// How many operations it has.
    pub fn operation_count(&self) -> u32 {
        xdr::u32(self.operations).map_or(0, |(count, _)| count)
    }

    /// Read Transaction, or TransactionV0 where `old`.
    fn transaction(bytes: Input<'a>, old: bool) -> Option<(Self, Input<'a>)> {
        let (source, bytes) = match old {
            true => xdr::array(bytes).map(|(key, rest)| (Muxed { key, id: None }, rest))?,
            false => Muxed::read(bytes)?,
        };
        let (fee, bytes) = xdr::u32(bytes)?;
        let (sequence, bytes) = xdr::i64(bytes)?;
        let bytes = match old {
            true => skip::<Optional<TimeBounds>>(bytes)?,
            false => skip::<Preconditions>(bytes)?,
        };
        let (memo, operations) = Memo::read(bytes)?;
        let (version, rest) = xdr::u32(skip::<Array<Operation, 100>>(operations)?)?;
        let (soroban, rest) = match version {
            0 => (false, rest),
            1 if !old => (true, skip::<SorobanTransactionData>(rest)?),
            _ => return None,
        };
        let fee_bump = None;
        Some((Self { source, fee, sequence, memo, operations, soroban, fee_bump }, rest))
    }

    /// Read FeeBumpTransaction.
    fn bumped(bytes: Input<'a>) -> Option<(Self, Input<'a>)> {
        let (account, bytes) = Muxed::read(bytes)?;
        let (fee, bytes) = xdr::i64(bytes)?;
        let (inner, bytes) = Self::transaction(xdr::arm(bytes, EnvelopeType::TX)?, false)?;
        let bytes = skip::<Array<DecoratedSignature, 20>>(bytes)?;
        let rest = skip::<FeeBumpTransactionExt>(bytes)?;
        Some((Self { fee_bump: Some(FeeBump { account, fee }), ..inner }, rest))
    }
}

/// The hash of a transaction on a network: sha256 of its TransactionSignaturePayload, made of its
/// EnvelopeType and the transaction without its signatures.
pub fn hash(network_id: &[u8; 32], kind: u32, transaction: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(network_id);
    match kind {
        // A V0 transaction is hashed as the V1 one it equals but for the key type of its source.
        EnvelopeType::TX_V0 => {
            hash.update(EnvelopeType::TX.to_be_bytes());
            hash.update(CryptoKeyType::ED25519.to_be_bytes());
        }
        kind => hash.update(kind.to_be_bytes()),
    }
    hash.update(transaction);
    hash.finalize().into()
}

/// The envelopes of a ledger's transaction set, by the hash of their transaction.
#[derive(Debug, Default)]
pub struct Envelopes<'a> {
    found: Vec<([u8; 32], Envelope<'a>)>,
    /// The first eight bytes of each hash with its place, in order.
    order: Vec<(u64, u32)>,
}

impl<'a> Envelopes<'a> {
    /// Read a TransactionSet (meta version 0) or GeneralizedTransactionSet in place of the last.
    pub fn read(
        &mut self,
        network_id: &[u8; 32],
        meta_version: u32,
        set: Input<'a>,
    ) -> Option<Input<'a>> {
        self.found.clear();
        self.order.clear();
        let rest = each_envelope(meta_version, set, &mut |bytes| self.add(network_id, bytes))?;
        self.order.sort_unstable();
        Some(rest)
    }

    /// The envelope of the transaction with this hash.
    pub fn find(&self, hash: &[u8; 32]) -> Option<&Envelope<'a>> {
        let first = prefix(hash);
        let start = self.order.partition_point(|(prefix, _)| *prefix < first);
        let places = self.order.get(start..)?.iter().take_while(|(prefix, _)| *prefix == first);
        places
            .filter_map(|(_, place)| self.found.get(*place as usize))
            .find(|(found, _)| found == hash)
            .map(|(_, envelope)| envelope)
    }

    fn add(&mut self, network_id: &[u8; 32], bytes: Input<'a>) -> Option<Input<'a>> {
        let (kind, body) = xdr::u32(bytes)?;
        let (envelope, end) = match kind {
            EnvelopeType::TX_V0 => Envelope::transaction(body, true)?,
            EnvelopeType::TX => Envelope::transaction(body, false)?,
            EnvelopeType::TX_FEE_BUMP => Envelope::bumped(body)?,
            _ => return None,
        };
        let hash = hash(network_id, kind, between(body, end));
        self.order.push((prefix(&hash), self.found.len() as u32));
        self.found.push((hash, envelope));
        skip::<Array<DecoratedSignature, 20>>(end)
    }
}

fn prefix(hash: &[u8; 32]) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Pass over a transaction set, envelope by envelope.
fn each_envelope<'a>(
    meta_version: u32,
    set: Input<'a>,
    take: &mut impl FnMut(Input<'a>) -> Option<Input<'a>>,
) -> Option<Input<'a>> {
    if meta_version == 0 {
        return each(set.get(32..)?, take);
    }
    let set = xdr::arm(set, SET_VERSION)?;
    each(set.get(32..)?, &mut |phase| match xdr::u32(phase)? {
        (TransactionPhase::COMPONENTS, components) => each(components, &mut |component| {
            let body = xdr::arm(component, TxSetComponentType::MAYBE_DISCOUNTED_FEE)?;
            each(skip::<Optional<I64>>(body)?, take)
        }),
        (TransactionPhase::PARALLEL, parallel) => {
            each(skip::<Optional<I64>>(parallel)?, &mut |stage| {
                each(stage, &mut |cluster| each(cluster, take))
            })
        }
        _ => None,
    })
}

/// Pass over an array, element by element.
fn each<'a>(
    array: Input<'a>,
    take: &mut impl FnMut(Input<'a>) -> Option<Input<'a>>,
) -> Option<Input<'a>> {
    let (count, mut bytes) = xdr::u32(array)?;
    for _ in 0..count {
        bytes = take(bytes)?;
    }
    Some(bytes)
}
