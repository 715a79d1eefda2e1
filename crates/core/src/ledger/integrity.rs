//! Proofs that a ledger is whole, follows the one before, and is of the right network.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::fixed_text::hex;
use crate::ledger::envelope;
use crate::ledger::header::Ledger;
use crate::xdr::discriminants::{EnvelopeType, TransactionPhase};
use crate::xdr::layout::{FeeBumpTransaction, Transaction, TransactionEnvelope, TransactionV0};
use crate::xdr::schema::Optional;
use crate::xdr::{self, Input, between, skip};

/// The newest protocol whose ledgers this version knows how to read.
const NEWEST_PROTOCOL: u32 = 30;

/// The id of a network: sha256 of its passphrase.
pub fn network_id(passphrase: &str) -> [u8; 32] {
    Sha256::digest(passphrase).into()
}

/// A hash in hex.
pub fn hash_text(hash: &[u8; 32]) -> String {
    String::from_utf8_lossy(&hex(hash)).into_owned()
}

/// Check a ledger by itself: its header's hash, and that its header says what we can tell on.
/// `base` is where the ledger begins in the data.
pub fn check(ledger: &Ledger<'_>, base: usize) -> Result<()> {
    let header = base + ledger.header_at;
    let bad = |field: &str, offset, reason: String| {
        let path = ledger.path(field);
        Err(Error::Decode { ledger: Some(ledger.sequence), path, offset, reason })
    };
    if ledger.protocol > NEWEST_PROTOCOL {
        return bad(
            "header.ledger_version",
            header,
            format!(
                "is protocol {}, but this version knows protocols up to {NEWEST_PROTOCOL}; \
                 update stellarrow",
                ledger.protocol
            ),
        );
    }
    let hash: [u8; 32] = Sha256::digest(ledger.header).into();
    if hash != *ledger.hash {
        return bad(
            "hash",
            header - ledger.hash.len(),
            format!(
                "is {} but the header hashes to {}; the data is damaged, fetch it again",
                hash_text(ledger.hash),
                hash_text(&hash)
            ),
        );
    }
    if i64::try_from(ledger.close_time).ok().and_then(|time| time.checked_mul(1_000_000)).is_none()
    {
        return bad(
            "header.scp_value.close_time",
            header + 4 + 32 + 32, // after ledger_version, previous_ledger_hash and tx_set_hash
            format!("is {} s, which no timestamp in microseconds can hold", ledger.close_time),
        );
    }
    Ok(())
}

/// Check that a ledger follows another, of which sequence number and hash are given.
pub fn follows(ledger: &Ledger<'_>, sequence: u32, hash: &[u8; 32]) -> Result<()> {
    let broken = |reason| Err(Error::Chain { ledger: ledger.sequence, reason });
    if Some(ledger.sequence) != sequence.checked_add(1) {
        return broken(format!(
            "follows ledger {sequence}; fetch what is missing between them, or switch the check \
             of the hash chain off for ledgers that are not consecutive"
        ));
    }
    if ledger.previous_hash != hash {
        return broken(format!(
            "says the ledger before it has hash {}, but that one has {}; one of them is damaged \
             or of another network",
            hash_text(ledger.previous_hash),
            hash_text(hash)
        ));
    }
    Ok(())
}

/// The hash that the first transaction of a ledger's transaction set has on a network: sha256 of
/// its TransactionSignaturePayload. `None` for an empty or malformed set.
pub fn first_transaction(
    network_id: &[u8; 32],
    meta_version: u32,
    tx_set: Input<'_>,
) -> Option<[u8; 32]> {
    let found = match meta_version {
        0 => first(skip::<xdr::schema::Opaque<32>>(tx_set)?)?,
        _ => first_of_generalized(tx_set)?,
    };
    let (kind, body) = xdr::u32(found)?;
    let end = match kind {
        EnvelopeType::TX_V0 => skip::<TransactionV0>(body)?,
        EnvelopeType::TX => skip::<Transaction>(body)?,
        EnvelopeType::TX_FEE_BUMP => skip::<FeeBumpTransaction>(body)?,
        _ => return None,
    };
    Some(envelope::hash(network_id, kind, between(body, end)))
}

/// The first element of an array.
fn first(array: Input<'_>) -> Option<Input<'_>> {
    let (count, elements) = xdr::u32(array)?;
    (count > 0).then_some(elements)
}

/// GeneralizedTransactionSet: the first envelope of its phases.
fn first_of_generalized(bytes: Input<'_>) -> Option<Input<'_>> {
    let (phases, mut bytes) = xdr::u32(bytes.get(36..)?)?;
    for _ in 0..phases {
        let (phase, body) = xdr::u32(bytes)?;
        let found = match phase {
            TransactionPhase::COMPONENTS => first_in(body, |component| {
                let txs = skip::<Optional<xdr::schema::I64>>(component.get(4..)?)?;
                Some((first(txs), skip::<xdr::schema::Array<TransactionEnvelope>>(txs)?))
            })?,
            _ => first_in_stages(skip::<Optional<xdr::schema::I64>>(body)?)?,
        };
        match found {
            (Some(envelope), _) => return Some(envelope),
            (None, rest) => bytes = rest,
        }
    }
    None
}

type Found<'a> = (Option<Input<'a>>, Input<'a>);

/// The first envelope in an array of what `inner` looks through, or what follows the array.
fn first_in<'a>(
    array: Input<'a>,
    inner: impl Fn(Input<'a>) -> Option<Found<'a>>,
) -> Option<Found<'a>> {
    let (count, mut bytes) = xdr::u32(array)?;
    for _ in 0..count {
        match inner(bytes)? {
            (None, rest) => bytes = rest,
            found => return Some(found),
        }
    }
    Some((None, bytes))
}

/// Stages of clusters of envelopes.
fn first_in_stages(stages: Input<'_>) -> Option<Found<'_>> {
    first_in(stages, |clusters| {
        first_in(clusters, |txs| {
            Some((first(txs), skip::<xdr::schema::Array<TransactionEnvelope>>(txs)?))
        })
    })
}
