//! What the mail room and a store outside this process say to each other about the letters of registered clients: such
//! letters are kept twice, here as long as there is room, and there until their client has acknowledged them. The store
//! is written behind: nothing here waits for it. Letters cross as bytes.

#[cfg(test)]
mod tests;

use crate::users::{USER_ID_BYTES, UserId};
use wire::command::SURB_ID_BYTES;

const KEEP: u8 = 1;
const GONE: u8 = 2;
const FETCH: u8 = 3;

/// Bytes of a record beside the letter.
pub const RECORD_BYTES: usize = 1 + USER_ID_BYTES + SURB_ID_BYTES;

/// What is asked of the store, and a letter that it gives back ([`Record::Keep`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Here is a letter.
    Keep {
        /// For whom.
        user: UserId,
        /// The reply block that it answers.
        surb_id: [u8; SURB_ID_BYTES],
        /// What came.
        payload: &'a [u8],
    },
    /// A letter has arrived, or will never.
    Gone {
        /// For whom it was.
        user: UserId,
        /// Its reply block.
        surb_id: [u8; SURB_ID_BYTES],
    },
    /// The client is there: give me its letters.
    Fetch {
        /// Who it is.
        user: UserId,
    },
}

impl<'a> Record<'a> {
    /// As bytes, behind what is in `to`.
    pub fn write_to(&self, to: &mut Vec<u8>) {
        let (kind, user, surb_id, payload) = match *self {
            Self::Keep { user, surb_id, payload } => (KEEP, user, surb_id, payload),
            Self::Gone { user, surb_id } => (GONE, user, surb_id, &[][..]),
            Self::Fetch { user } => (FETCH, user, [0; SURB_ID_BYTES], &[][..]),
        };
        to.push(kind);
        to.extend_from_slice(&user.0);
        to.extend_from_slice(&surb_id);
        to.extend_from_slice(payload);
    }

    /// From bytes; none if they are none.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (user, rest) = rest.split_first_chunk()?;
        let (surb_id, payload) = rest.split_first_chunk()?;
        let (user, surb_id) = (UserId(*user), *surb_id);
        match (*kind, payload) {
            (KEEP, payload) => Some(Self::Keep { user, surb_id, payload }),
            (GONE, []) => Some(Self::Gone { user, surb_id }),
            (FETCH, []) => Some(Self::Fetch { user }),
            _ => None,
        }
    }
}

/// A letter that others may have written into a database: none if it has no reply block or another size, because nothing
/// could deliver it.
pub fn letter(surb_id: Option<&[u8]>, payload: Option<&[u8]>, bytes: usize) -> Option<([u8; SURB_ID_BYTES], Vec<u8>)> {
    let surb_id = surb_id?.try_into().ok()?;
    let payload = payload.filter(|payload| payload.len() == bytes)?;
    Some((surb_id, payload.to_vec()))
}
