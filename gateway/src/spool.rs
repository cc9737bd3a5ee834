//! Mail that waits: what a store has to do, and the store in memory (server.md 5.4). It has limits, which the
//! reference's file has not: anybody can have replies sent to a gateway. Where all mail together has reached its limit, a
//! letter for somebody with little mail takes the place of the newest one of whoever has most: some clients that take
//! nothing cost nobody else a reply.

#[cfg(test)]
mod tests;

use crate::users::UserId;
use std::collections::{BTreeSet, HashMap, VecDeque};
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
    /// All mailboxes together do, and this one holds as many as any.
    #[error("the spool is full")]
    SpoolFull,
    /// The store does not work.
    #[error("the spool does not work")]
    Failed,
}

/// A store of letters, by user, in the order in which they came.
pub trait Spool {
    /// Puts a letter behind the others. Gives how many of other users' letters are gone for it.
    fn store(&mut self, user: &UserId, letter: Letter) -> Result<usize, StoreError>;
    /// The oldest letter of a user.
    fn head(&self, user: &UserId) -> Option<Arc<Letter>>;
    /// Removes it.
    fn remove_head(&mut self, user: &UserId);
    /// Letters of a user.
    fn waiting(&self, user: &UserId) -> usize;
    /// Whether one that answers this reply block is among them.
    fn holds(&self, user: &UserId, surb_id: &[u8; SURB_ID_BYTES]) -> bool;
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
    /// Who has how many letters.
    by_letters: BTreeSet<(usize, UserId)>,
    mailbox_letters_max: usize,
    bytes_max: usize,
    letters: usize,
    bytes: usize,
}

impl MemorySpool {
    /// An empty one with limits for each user and for all.
    pub fn new(mailbox_letters_max: usize, bytes_max: usize) -> Self {
        let (queues, by_letters) = (HashMap::new(), BTreeSet::new());
        Self { queues, by_letters, mailbox_letters_max, bytes_max, letters: 0, bytes: 0 }
    }

    /// Removes the newest letter of whoever has most, if it leaves that one with as many as `others` at least. The oldest,
    /// which may be under way, is none of these.
    fn displace(&mut self, others: usize) -> bool {
        let Some(&(most, user)) = self.by_letters.last() else { return false };
        let Some(queue) = self.queues.get_mut(&user).filter(|_| most > others + 1) else { return false };
        let Some(letter) = queue.pop_back() else { return false };
        self.take_note(&user, &letter, most);
        true
    }

    /// A letter has left a mailbox that had so many.
    fn take_note(&mut self, user: &UserId, letter: &Letter, before: usize) {
        self.letters -= 1;
        self.bytes -= letter.bytes();
        self.by_letters.remove(&(before, *user));
        if before > 1 {
            self.by_letters.insert((before - 1, *user));
        } else {
            self.queues.remove(user);
        }
    }
}

impl Spool for MemorySpool {
    fn store(&mut self, user: &UserId, letter: Letter) -> Result<usize, StoreError> {
        let waiting = self.waiting(user);
        if waiting >= self.mailbox_letters_max {
            return Err(StoreError::MailboxFull);
        }
        let mut displaced = 0;
        while self.bytes + letter.bytes() > self.bytes_max {
            if !self.displace(waiting) {
                return Err(StoreError::SpoolFull);
            }
            displaced += 1;
        }
        self.letters += 1;
        self.bytes += letter.bytes();
        self.by_letters.remove(&(waiting, *user));
        self.by_letters.insert((waiting + 1, *user));
        self.queues.entry(*user).or_default().push_back(Arc::new(letter));
        Ok(displaced)
    }

    fn head(&self, user: &UserId) -> Option<Arc<Letter>> {
        self.queues.get(user)?.front().cloned()
    }

    fn remove_head(&mut self, user: &UserId) {
        let Some(queue) = self.queues.get_mut(user) else { return };
        let before = queue.len();
        if let Some(letter) = queue.pop_front() {
            self.take_note(user, &letter, before);
        }
    }

    fn waiting(&self, user: &UserId) -> usize {
        self.queues.get(user).map_or(0, VecDeque::len)
    }

    fn holds(&self, user: &UserId, surb_id: &[u8; SURB_ID_BYTES]) -> bool {
        self.queues.get(user).is_some_and(|queue| queue.iter().any(|letter| letter.surb_id == *surb_id))
    }

    fn forget(&mut self, user: &UserId) -> usize {
        let queue = self.queues.remove(user).unwrap_or_default();
        self.by_letters.remove(&(queue.len(), *user));
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
