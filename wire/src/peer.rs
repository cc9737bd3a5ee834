//! Who is at the other end.

/// Who the peer says it is. Noise guarantees that the additional data came from the holder of the public key; binding
/// the key to an identity is the policy's job (wire.md 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Up to 255 bytes: a node id, a client's queue id, or nothing.
    pub additional_data: Vec<u8>,
    /// The link public key.
    pub public_key: Vec<u8>,
}
