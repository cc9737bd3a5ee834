//! Error codes of replies (wire.md 6.9). Vote, Reveal, Cert and Sig share one number space, so zero means success for
//! Vote only.

/// Consensus and Consensus2.
pub mod consensus {
    /// Here it is.
    pub const OK: u8 = 0;
    /// Not available yet; later may work.
    pub const NOT_FOUND: u8 = 1;
    /// Will never be available.
    pub const GONE: u8 = 2;
}

/// PostDescriptorStatus and PostReplicaDescriptorStatus.
pub mod post {
    /// Accepted, or identical to what was accepted before.
    pub const OK: u8 = 0;
    /// Wrong epoch or not well formed.
    pub const INVALID: u8 = 1;
    /// Differs from one already accepted for that epoch.
    pub const CONFLICT: u8 = 2;
    /// Not the session's identity, badly signed, or not listed.
    pub const FORBIDDEN: u8 = 3;
}

/// VoteStatus. An authority answers with `TOO_EARLY` to an epoch *below* the one voted on and with `TOO_LATE` to one
/// above (wire.md 13, 7); the same holds for Cert and Sig, not for Reveal.
pub mod vote {
    /// Accepted.
    pub const OK: u8 = 0;
    /// See the module.
    pub const TOO_LATE: u8 = 1;
    /// See the module.
    pub const TOO_EARLY: u8 = 2;
    /// Not a known authority.
    pub const NOT_AUTHORIZED: u8 = 3;
    /// The signature is wrong.
    pub const NOT_SIGNED: u8 = 4;
    /// Not well formed.
    pub const MALFORMED: u8 = 5;
    /// One has been accepted already.
    pub const ALREADY_RECEIVED: u8 = 6;
    /// Unused.
    pub const NOT_FOUND: u8 = 7;
}

/// RevealStatus.
pub mod reveal {
    /// Accepted.
    pub const OK: u8 = 8;
    /// The epoch, or the peer's commit, is still to come.
    pub const TOO_EARLY: u8 = 9;
    /// Not a known authority.
    pub const NOT_AUTHORIZED: u8 = 10;
    /// The signature is wrong.
    pub const NOT_SIGNED: u8 = 11;
    /// One has been accepted already.
    pub const ALREADY_RECEIVED: u8 = 12;
    /// The epoch has passed.
    pub const TOO_LATE: u8 = 13;
}

/// CertStatus.
pub mod cert {
    /// Accepted.
    pub const OK: u8 = 14;
    /// Epoch below the one voted on, or no vote of this peer yet.
    pub const TOO_EARLY: u8 = 15;
    /// Not a known authority.
    pub const NOT_AUTHORIZED: u8 = 16;
    /// The signature is wrong.
    pub const NOT_SIGNED: u8 = 17;
    /// One has been accepted already.
    pub const ALREADY_RECEIVED: u8 = 18;
    /// Epoch above the one voted on.
    pub const TOO_LATE: u8 = 19;
}

/// SigStatus.
pub mod sig {
    /// Accepted.
    pub const OK: u8 = 20;
    /// Not a known authority.
    pub const NOT_AUTHORIZED: u8 = 21;
    /// The signature is wrong.
    pub const NOT_SIGNED: u8 = 22;
    /// Epoch below the one voted on.
    pub const TOO_EARLY: u8 = 23;
    /// Epoch above the one voted on.
    pub const TOO_LATE: u8 = 24;
    /// One has been accepted already.
    pub const ALREADY_RECEIVED: u8 = 25;
    /// Not decodable.
    pub const INVALID: u8 = 26;
}

/// ReplicaWriteReply and ReplicaMessageReply.
pub mod replica {
    /// Done.
    pub const SUCCESS: u8 = 0;
    /// No such box.
    pub const BOX_NOT_FOUND: u8 = 1;
    /// Not a box id.
    pub const INVALID_BOX_ID: u8 = 2;
    /// The signature is wrong.
    pub const INVALID_SIGNATURE: u8 = 3;
    /// The database failed.
    pub const DATABASE_FAILURE: u8 = 4;
    /// Not a payload.
    pub const INVALID_PAYLOAD: u8 = 5;
    /// No room.
    pub const STORAGE_FULL: u8 = 6;
    /// Something else failed.
    pub const INTERNAL_ERROR: u8 = 7;
    /// Wrong replica epoch.
    pub const INVALID_EPOCH: u8 = 8;
    /// The other replicas did not get it.
    pub const REPLICATION_FAILED: u8 = 9;
    /// The box has been written already.
    pub const BOX_ALREADY_EXISTS: u8 = 10;
    /// The box has been deleted.
    pub const TOMBSTONE: u8 = 11;
}
