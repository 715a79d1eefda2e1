//! Stellar-types.x: primitives every other file uses.

use crate::xdr::notation::xdr;
use crate::xdr::schema::{Bytes, Opaque, U64, Void};

pub type Hash = Opaque<32>;
pub type TimePoint = U64;
pub type Uint256 = Opaque<32>;
pub type NodeID = PublicKey;
pub type Signature = Bytes<64>;
pub type TimePointMs = U64;
pub type AccountID = PublicKey;
pub type PoolID = Hash;
pub type ContractID = Hash;
pub type Duration = U64;
pub type SignatureHint = Opaque<4>;

xdr! {
    union PublicKey { 0 => ed25519: Uint256 }
    struct SignerKeyEd25519SignedPayload { ed25519: Uint256, payload: Bytes<64> }
    union SignerKey {
        0 => ed25519: Uint256, 1 => pre_auth_tx: Uint256, 2 => hash_x: Uint256,
        3 => ed25519_signed_payload: SignerKeyEd25519SignedPayload,
    }
    union ClaimableBalanceID { 0 => v0: Hash }
    union ExtensionPoint { 0 => void: Void }
}
