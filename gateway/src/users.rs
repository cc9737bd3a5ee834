//! Clients by their names, and who may be one.

#[cfg(test)]
mod tests;

use std::fmt;

/// Bytes of a name.
pub const USER_ID_BYTES: usize = 32;

/// A client's name: what it says of itself in the handshake, and what replies to it are addressed to (client.md 11.3).
/// Never shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub [u8; USER_ID_BYTES]);

impl UserId {
    /// The name that belongs to a handshake's additional data: its first 32 bytes, zeros behind shorter ones
    /// (server.md 3.2).
    pub fn of(additional_data: &[u8]) -> Self {
        let mut name = [0; USER_ID_BYTES];
        for (to, from) in name.iter_mut().zip(additional_data) {
            *to = *from;
        }
        Self(name)
    }

    /// One of `shares` shares into which all names are dealt.
    pub fn share(&self, shares: usize) -> usize {
        // Names of clients are random. Who makes up others chooses where its own mail waits, and nothing else.
        let folded = self.0.chunks(8).fold(0_u64, |sum, chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            (sum ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        ((u128::from(folded) * shares as u128) >> 64) as usize
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId")
    }
}

/// Who may be a client. Asked at the handshake, when the peer has proved its link key, and at each later check.
pub trait UserDatabase: Send + Sync {
    /// Whether the owner of this link key may use this name.
    fn admits(&self, user: &UserId, link_key: &[u8]) -> bool;
}

/// The reference's rule: everybody may, under any name (server.md 3.2, 5). Whose mailbox it is then is settled by who
/// was there first ([`MailRoom`](crate::MailRoom)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl UserDatabase for Everybody {
    fn admits(&self, _user: &UserId, _link_key: &[u8]) -> bool {
        true
    }
}
