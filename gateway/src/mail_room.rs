//! Who has a mailbox, who is there to take its mail, and what is under way (server.md 5.1 to 5.3).
//!
//! A mailbox is opened by a client that connects, and belongs to the link key that opened it as long as it exists. When
//! its client is gone it still takes mail for a while. Mail for anybody else is refused: nobody could ever ask for it,
//! because clients take a new name with each connection (client.md 11.3).

#[cfg(test)]
mod tests;

use crate::spool::{Letter, Spool, StoreError};
use crate::users::UserId;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;
use wire::command::SURB_ID_BYTES;

/// Mailboxes whose time is over that are removed at once.
const EXPIRED_MAX: usize = 64;
/// Connections that a letter may be sent over before it counts as one that its client cannot take.
const ATTEMPTS_MAX: u8 = 3;

/// How long and how many mailboxes outlive their clients' connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailLimits {
    /// How long mail waits for a client that is gone: one epoch (server.md 5.3).
    pub absence_max: Duration,
    /// Mailboxes of clients that are gone; beyond, the one goes first whose client has been gone for longest.
    pub absent_max: usize,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self { absence_max: Duration::from_secs(1200), absent_max: 4096 }
    }
}

/// A letter for a connected client. Until [`MailRoom::handle_delivered`] it stays in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch<A> {
    /// The client's session.
    pub to: A,
    /// The letter.
    pub letter: Arc<Letter>,
    /// More letters wait behind it.
    pub has_more: bool,
}

/// Why mail is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailRefusal {
    /// Nobody of this name has a mailbox.
    #[error("no client has this name")]
    UnknownUser,
    /// The spool does not take it.
    #[error(transparent)]
    Spool(#[from] StoreError),
}

/// A client with another link key has this name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another client has this name")]
pub struct NameTaken;

/// What became of letters: stored = acknowledged + expired + undeliverable + displaced + those that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken.
    pub stored: u64,
    /// Acknowledged by their clients.
    pub acknowledged: u64,
    /// Their clients did not come back in time.
    pub expired: u64,
    /// Their clients have not acknowledged them on any of several connections.
    pub undeliverable: u64,
    /// Gone from the fullest mailboxes, for letters to others.
    pub displaced: u64,
}

/// All mailboxes of one part of the node. `A` names a client's session.
#[derive(Debug)]
pub struct MailRoom<S, A> {
    spool: S,
    limits: MailLimits,
    boxes: HashMap<UserId, Mailbox<A>>,
    /// Since when clients are gone.
    absent: BTreeSet<(Instant, UserId)>,
    tally: Tally,
    /// Letters of registered clients that are done with.
    gone: Vec<(UserId, [u8; SURB_ID_BYTES])>,
}

#[derive(Debug)]
struct Mailbox<A> {
    /// The hash of the link key that it belongs to.
    owner: [u8; 32],
    /// Its client is in the user database.
    is_registered: bool,
    presence: Presence<A>,
    /// The head is under way.
    is_under_way: bool,
    /// Connections over which the head was sent.
    attempts: u8,
}

#[derive(Debug)]
enum Presence<A> {
    At(A),
    GoneSince(Instant),
}

impl<S: Spool, A: Copy + Eq> MailRoom<S, A> {
    /// Without mailboxes.
    pub fn new(spool: S, limits: MailLimits) -> Self {
        Self {
            spool,
            limits,
            boxes: HashMap::new(),
            absent: BTreeSet::new(),
            tally: Tally::default(),
            gone: Vec::new(),
        }
    }

    /// A client has connected; `owner` is the hash of its link key. Gives a letter if one waits. The client's earlier
    /// session gets nothing more.
    pub fn handle_connected(
        &mut self,
        user: UserId,
        owner: [u8; 32],
        at: A,
        now: Instant,
    ) -> Result<Option<Dispatch<A>>, NameTaken> {
        // A name whose time is over is free.
        let _the_rest_later = self.expire(now);
        let fresh =
            || Mailbox { owner, is_registered: false, presence: Presence::At(at), is_under_way: false, attempts: 0 };
        let mailbox = self.boxes.entry(user).or_insert_with(fresh);
        if mailbox.owner != owner {
            return Err(NameTaken);
        }
        if let Presence::GoneSince(since) = std::mem::replace(&mut mailbox.presence, Presence::At(at)) {
            self.absent.remove(&(since, user));
        }
        mailbox.is_under_way = false;
        if mailbox.attempts >= ATTEMPTS_MAX {
            mailbox.attempts = 0;
            let is_registered = mailbox.is_registered;
            self.remove_head(&user, is_registered);
            self.tally.undeliverable += 1;
        }
        Ok(self.dispatch(&user))
    }

    /// A mailbox belongs to this link key from now on, because the user database says so.
    pub fn reassign(&mut self, user: &UserId, owner: [u8; 32]) {
        if let Some(mailbox) = self.boxes.get_mut(user) {
            mailbox.owner = owner;
        }
    }

    /// The client of a mailbox is in the user database: what becomes of its letters is told ([`MailRoom::take_gone`]).
    pub fn set_registered(&mut self, user: &UserId) {
        if let Some(mailbox) = self.boxes.get_mut(user) {
            mailbox.is_registered = true;
        }
    }

    /// Whether a user has a mailbox and is in the user database.
    pub fn is_registered(&self, user: &UserId) -> bool {
        self.boxes.get(user).is_some_and(|mailbox| mailbox.is_registered)
    }

    /// A store has had a letter for a user. It is taken if it is not here already; given if its client is there and has
    /// nothing to acknowledge.
    pub fn handle_kept(&mut self, user: &UserId, surb_id: [u8; SURB_ID_BYTES], payload: &[u8]) -> Option<Dispatch<A>> {
        if self.spool.holds(user, &surb_id) {
            return None;
        }
        // Where there is no room it stays in the store.
        self.handle_mail(user, surb_id, payload).ok().flatten()
    }

    /// Letters of registered clients that are done with since the last call.
    pub fn take_gone(&mut self) -> Vec<(UserId, [u8; SURB_ID_BYTES])> {
        std::mem::take(&mut self.gone)
    }

    fn remove_head(&mut self, user: &UserId, is_registered: bool) {
        if is_registered && let Some(letter) = self.spool.head(user) {
            self.gone.push((*user, letter.surb_id));
        }
        self.spool.remove_head(user);
    }

    /// A session has ended. Means nothing if the client has a newer one.
    pub fn handle_gone(&mut self, user: &UserId, at: A, now: Instant) {
        let Some(mailbox) = self.boxes.get_mut(user).filter(|mailbox| mailbox.is_at(at)) else { return };
        mailbox.presence = Presence::GoneSince(now);
        mailbox.is_under_way = false;
        self.absent.insert((now, *user));
        while self.absent.len() > self.limits.absent_max {
            self.remove_longest_absent();
        }
    }

    /// A reply has come. Gives it, if its client is there and has nothing to acknowledge.
    pub fn handle_mail(
        &mut self,
        user: &UserId,
        surb_id: [u8; SURB_ID_BYTES],
        payload: &[u8],
    ) -> Result<Option<Dispatch<A>>, MailRefusal> {
        if !self.boxes.contains_key(user) {
            return Err(MailRefusal::UnknownUser);
        }
        let displaced = self.spool.store(user, Letter { surb_id, payload: payload.into() })?;
        self.tally.displaced += displaced as u64;
        self.tally.stored += 1;
        Ok(self.dispatch(user))
    }

    /// The client has acknowledged the letter that is under way. Gives the next one.
    pub fn handle_delivered(&mut self, user: &UserId, from: A) -> Option<Dispatch<A>> {
        let mailbox = self.boxes.get_mut(user).filter(|mailbox| mailbox.is_at(from) && mailbox.is_under_way)?;
        mailbox.is_under_way = false;
        mailbox.attempts = 0;
        let is_registered = mailbox.is_registered;
        self.remove_head(user, is_registered);
        self.tally.acknowledged += 1;
        self.dispatch(user)
    }

    /// Removes mailboxes whose clients have been gone for too long: some of them, the rest at the next call. True if
    /// there may be more.
    pub fn expire(&mut self, now: Instant) -> bool {
        for _ in 0..EXPIRED_MAX {
            if self.poll_timeout() > now {
                return false;
            }
            self.remove_longest_absent();
        }
        true
    }

    /// When [`MailRoom::expire`] has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.absent.first().map_or(Instant::NEVER, |(since, _)| *since + self.limits.absence_max)
    }

    /// Mailboxes, those of clients that are gone included.
    pub fn mailboxes(&self) -> usize {
        self.boxes.len()
    }

    /// The mail.
    pub fn spool(&self) -> &S {
        &self.spool
    }

    /// What became of letters since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn dispatch(&mut self, user: &UserId) -> Option<Dispatch<A>> {
        let mailbox = self.boxes.get_mut(user).filter(|mailbox| !mailbox.is_under_way)?;
        let Presence::At(to) = mailbox.presence else { return None };
        let letter = self.spool.head(user)?;
        mailbox.is_under_way = true;
        mailbox.attempts = mailbox.attempts.saturating_add(1);
        Some(Dispatch { to, letter, has_more: self.spool.waiting(user) > 1 })
    }

    fn remove_longest_absent(&mut self) {
        if let Some((_, user)) = self.absent.pop_first() {
            self.boxes.remove(&user);
            self.tally.expired += self.spool.forget(&user) as u64;
        }
    }
}

impl<A: Eq> Mailbox<A> {
    fn is_at(&self, at: A) -> bool {
        matches!(&self.presence, Presence::At(present) if *present == at)
    }
}
