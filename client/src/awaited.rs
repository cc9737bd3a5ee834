//! Replies that may still come, by the ids of their reply blocks.

#[cfg(test)]
mod tests;

use sphinx::SURB_ID_BYTES;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use wire::Instant;
use zeroize::Zeroizing;

/// The most replies that are waited for at a time.
pub const AWAITED_MAX: usize = 1 << 16;

/// The id of a reply block.
pub type SurbId = [u8; SURB_ID_BYTES];

/// One reply that may come.
pub struct Awaited<T> {
    /// What it will be the reply to.
    pub what: T,
    /// What opens it.
    pub keys: Zeroizing<Vec<u8>>,
    /// When it is given up.
    pub until: Instant,
}

/// All of them.
pub struct AwaitedReplies<T> {
    by_id: HashMap<SurbId, Awaited<T>>,
    /// When to give them up; ids whose replies have come stay until then.
    order: BinaryHeap<Reverse<(Instant, SurbId)>>,
}

impl<T> Default for AwaitedReplies<T> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), order: BinaryHeap::new() }
    }
}

impl<T> AwaitedReplies<T> {
    /// Whether one more may be waited for.
    pub fn has_room(&self) -> bool {
        self.order.len() < AWAITED_MAX
    }

    /// One more.
    pub fn insert(&mut self, id: SurbId, awaited: Awaited<T>) {
        self.order.push(Reverse((awaited.until, id)));
        self.by_id.insert(id, awaited);
    }

    /// The one of that id, which is not waited for any more: a reply block serves once.
    pub fn take(&mut self, id: &SurbId) -> Option<Awaited<T>> {
        self.by_id.remove(id)
    }

    /// Those that are given up by `now`, the first first.
    pub fn expired(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        while let Some(Reverse((until, id))) = self.order.peek().copied()
            && until <= now
        {
            self.order.pop();
            expired.extend(self.by_id.remove(&id).map(|awaited| awaited.what));
        }
        expired
    }

    /// All of them, in the order in which they would be given up: no reply can come any more.
    pub fn drain(&mut self) -> Vec<T> {
        self.expired(Instant::NEVER)
    }

    /// When the next one is looked at; [`Instant::NEVER`] without any.
    pub fn next_expiry(&self) -> Instant {
        self.order.peek().map_or(Instant::NEVER, |Reverse((until, _))| *until)
    }
}
