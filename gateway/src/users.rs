//! Clients by their names, and who may be one (server.md 3.2, D.2).
//!
//! A gateway without a user database takes everybody under any name, as the reference does; whose mailbox it is then is
//! settled by who was there first ([`MailRoom`](crate::MailRoom)). One with a database asks it: [`judge`] is its rule.

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

    /// The name without the zeros behind it, as stores outside this node have it (server.md D.2).
    pub fn trimmed(&self) -> &[u8] {
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.0.get(..end).unwrap_or_default()
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

/// What happens to names that the user database does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// The name belongs from now on to the key that has come with it first (`TrustOnFirstUse`).
    pub are_registered: bool,
    /// They are let in and not written down: the name is theirs as long as their mailbox (`EnableEphemeralClients`).
    pub are_ephemeral: bool,
}

/// Who a client is by the user database. Its numbers cross between the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The name is another's, or nobody's and strangers are not let in.
    Refused = 0,
    /// A stranger who is let in.
    Ephemeral = 1,
    /// The name is registered with this key.
    Registered = 2,
    /// A stranger who is registered as soon as it has shown that it has the key.
    OnTrust = 3,
    /// The database is away, and nobody remembers what it said.
    Unknown = 4,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Refused, Self::Ephemeral, Self::Registered, Self::OnTrust, Self::Unknown];

    /// The one with that number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| *verdict as u8 == number)
    }

    /// Whether the client may come in.
    pub fn admits(self) -> bool {
        matches!(self, Self::Ephemeral | Self::Registered | Self::OnTrust)
    }
}

/// What a database has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nobody,
    /// The client's link key.
    ThisKey,
    /// Another key.
    AnotherKey,
}

impl Found {
    /// Beside the key of a client, the one that is there under its name.
    pub fn compare(registered: Option<&[u8]>, link_key: &[u8]) -> Self {
        match registered {
            None => Self::Nobody,
            // Public keys: there is nothing to be learnt from how long it takes.
            Some(registered) if registered == link_key => Self::ThisKey,
            Some(_) => Self::AnotherKey,
        }
    }
}

/// Whether a client may use a name, by what the database has.
pub fn judge(found: Found, strangers: Strangers) -> Verdict {
    match found {
        Found::ThisKey => Verdict::Registered,
        Found::AnotherKey => Verdict::Refused,
        // A client that has a new name for each connection is not to be written down with each of them.
        Found::Nobody if strangers.are_ephemeral => Verdict::Ephemeral,
        Found::Nobody if strangers.are_registered => Verdict::OnTrust,
        Found::Nobody => Verdict::Refused,
    }
}

/// The question that the shard of a connection has for the user database. It crosses between the processes as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name.
    pub user: UserId,
    /// The link key.
    pub link_key: &'a [u8],
    /// Whether the client has shown that it has the key.
    pub has_proven: bool,
}

/// Bytes of a question beside the key.
pub const QUESTION_BYTES: usize = USER_ID_BYTES + 1;

impl<'a> Question<'a> {
    /// As bytes, behind what is in `to`.
    pub fn write_to(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.user.0);
        to.push(u8::from(self.has_proven));
        to.extend_from_slice(self.link_key);
    }

    /// From bytes; none if they are too few.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (user, rest) = bytes.split_first_chunk()?;
        let (has_proven, link_key) = rest.split_first()?;
        Some(Self { user: UserId(*user), link_key, has_proven: *has_proven != 0 })
    }
}
