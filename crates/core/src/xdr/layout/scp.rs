//! Stellar-SCP.x: consensus messages.

use super::types::{Hash, NodeID, Signature};
use crate::xdr::notation::xdr;
use crate::xdr::schema::{Array, Bytes, Nested, Optional, U32, U64};

pub type Value = Bytes;

xdr! {
    struct SCPQuorumSet {
        threshold: U32, validators: Array<NodeID>, inner_sets: Array<Nested<SCPQuorumSet>>,
    }
    struct SCPBallot { counter: U32, value: Value }
    struct SCPStatementPrepare {
        quorum_set_hash: Hash, ballot: SCPBallot, prepared: Optional<SCPBallot>,
        prepared_prime: Optional<SCPBallot>, n_c: U32, n_h: U32,
    }
    struct SCPStatementConfirm {
        ballot: SCPBallot, n_prepared: U32, n_commit: U32, n_h: U32, quorum_set_hash: Hash,
    }
    struct SCPStatementExternalize { commit: SCPBallot, n_h: U32, commit_quorum_set_hash: Hash }
    struct SCPNomination { quorum_set_hash: Hash, votes: Array<Value>, accepted: Array<Value> }
    union SCPStatementPledges {
        0 => prepare: SCPStatementPrepare, 1 => confirm: SCPStatementConfirm,
        2 => externalize: SCPStatementExternalize, 3 => nominate: SCPNomination,
    }
    struct SCPStatement { node_id: NodeID, slot_index: U64, pledges: SCPStatementPledges }
    struct SCPEnvelope { statement: SCPStatement, signature: Signature }
}
