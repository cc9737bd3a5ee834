//! Mail that waits: what a store has to do, and the store in memory (server.md 5.4). It has limits, which the
//! reference's file has not: anybody can have replies sent to a gateway.

#[cfg(test)]
mod tests;

use crate::users::UserId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use wire::command::SURB_ID_BYTES;

/// Bytes that a letter takes beside its payload: itself, its places in queues and what an allocator adds.
const LETTER_OVERHEAD_BYTES: usize = 96;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The reply block that it answers.
    pub surb_id: [u8; SURB_ID_BYTES],
    /// What came, still encrypted.
    pub payload: Box<[u8]>,
}

impl Letter {
    fn bytes(&self) -> usize {
        self.payload.len() + LETTER_OVERHEAD_BYTES
    }
}

/// Why a letter is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The mailbox holds as many as it may.
    #[error("the mailbox is full")]
    MailboxFull,
    /// All mailboxes together do.
    #[error("the spool is full")]
    SpoolFull,
    /// The store does not work.
    #[error("the spool does not work")]
    Failed,
}

/// A store of letters, by user, in the order in which they came.
pub trait Spool {
    /// Puts a letter behind the others.
    fn store(&mut self, user: &UserId, letter: Letter) -> Result<(), StoreError>;
    /// The oldest letter of a user.
    fn head(&self, user: &UserId) -> Option<Arc<Letter>>;
    /// Removes it.
    fn remove_head(&mut self, user: &UserId);
    /// Letters of a user.
    fn waiting(&self, user: &UserId) -> usize;
    /// Removes all letters of a user; gives how many.
    fn forget(&mut self, user: &UserId) -> usize;
    /// Letters of all users.
    fn letters(&self) -> usize;
    /// Bytes that they take.
    fn bytes(&self) -> usize;
}

/// Letters in memory. They end with the process: clients have a new name after each connection anyway.
#[derive(Debug)]
pub struct MemorySpool {
    queues: HashMap<UserId, VecDeque<Arc<Letter>>>,
    mailbox_letters_max: usize,
    bytes_max: usize,
    letters: usize,
    bytes: usize,
}

impl MemorySpool {
    /// An empty one with limits for each user and for all.
    pub fn new(mailbox_letters_max: usize, bytes_max: usize) -> Self {
        Self { queues: HashMap::new(), mailbox_letters_max, bytes_max, letters: 0, bytes: 0 }
    }
}

impl Spool for MemorySpool {
    fn store(&mut self, user: &UserId, letter: Letter) -> Result<(), StoreError> {
        if self.waiting(user) >= self.mailbox_letters_max {
            return Err(StoreError::MailboxFull);
        }
        if self.bytes + letter.bytes() > self.bytes_max {
            return Err(StoreError::SpoolFull);
        }
        self.letters += 1;
        self.bytes += letter.bytes();
        self.queues.entry(*user).or_default().push_back(Arc::new(letter));
        Ok(())
    }

    fn head(&self, user: &UserId) -> Option<Arc<Letter>> {
        self.queues.get(user)?.front().cloned()
    }

    fn remove_head(&mut self, user: &UserId) {
        let Some(queue) = self.queues.get_mut(user) else { return };
        if let Some(letter) = queue.pop_front() {
            self.letters -= 1;
            self.bytes -= letter.bytes();
        }
        if queue.is_empty() {
            self.queues.remove(user);
        }
    }

    fn waiting(&self, user: &UserId) -> usize {
        self.queues.get(user).map_or(0, VecDeque::len)
    }

    fn forget(&mut self, user: &UserId) -> usize {
        let queue = self.queues.remove(user).unwrap_or_default();
        self.letters -= queue.len();
        self.bytes -= queue.iter().map(|letter| letter.bytes()).sum::<usize>();
        queue.len()
    }

    fn letters(&self) -> usize {
        self.letters
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
