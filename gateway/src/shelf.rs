//! Which letters of registered clients a store outside this process holds, for stores that are files of the node's own:
//! how many there may be for one client and for all, how long they stay, and who gives some up when there are too many.
//! It knows their names and sizes; the letters themselves are in the file, under the numbers that they get here.
//!
//! Where all letters together have reached their limit, one for somebody with few of them takes the place of the newest
//! one of whoever has most, as in memory ([`MemorySpool`](crate::MemorySpool)).

#[cfg(test)]
mod tests;

use crate::users::{USER_ID_BYTES, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use wire::command::SURB_ID_BYTES;

/// Bytes of a head.
pub const HEAD_BYTES: usize = USER_ID_BYTES + SURB_ID_BYTES + 8 + 4;

/// What is known of a letter without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// For whom.
    pub user: UserId,
    /// The reply block that it answers.
    pub surb_id: [u8; SURB_ID_BYTES],
    /// When it was kept, in seconds since the Unix epoch.
    pub kept_at: u64,
    /// Bytes of the letter.
    pub bytes: u32,
}

impl Head {
    /// As bytes, for the file.
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let parts: [&[u8]; 4] = [&self.user.0, &self.surb_id, &self.kept_at.to_le_bytes(), &self.bytes.to_le_bytes()];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// From bytes; none if they are not so many.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (user, rest) = bytes.split_first_chunk()?;
        let (surb_id, rest) = rest.split_first_chunk()?;
        let (kept_at, rest) = rest.split_first_chunk()?;
        let length: [u8; 4] = rest.try_into().ok()?;
        Some(Self {
            user: UserId(*user),
            surb_id: *surb_id,
            kept_at: u64::from_le_bytes(*kept_at),
            bytes: u32::from_le_bytes(length),
        })
    }
}

/// What there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShelfLimits {
    /// Letters for one client.
    pub mailbox_letters_max: usize,
    /// Bytes of all.
    pub bytes_max: u64,
    /// How long one stays, in seconds.
    pub age_max: u64,
}

/// What becomes of a letter that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is to be written under this number.
    At(u64),
    /// It is there already.
    Already,
    /// There are as many letters for its client as may be.
    MailboxFull,
    /// There are as many for all, and its client has as many of them as any.
    Full,
}

/// All letters, by user in the order in which they came.
#[derive(Debug)]
pub struct Shelf {
    limits: ShelfLimits,
    boxes: HashMap<UserId, VecDeque<Place>>,
    /// Who has how many.
    by_letters: BTreeSet<(usize, UserId)>,
    /// The oldest first.
    by_number: BTreeMap<u64, UserId>,
    bytes: u64,
    /// The next letter's number: none is given twice.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    number: u64,
    surb_id: [u8; SURB_ID_BYTES],
    kept_at: u64,
    bytes: u32,
}

impl Shelf {
    /// An empty one.
    pub fn new(limits: ShelfLimits) -> Self {
        let (boxes, by_letters, by_number) = (HashMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { limits, boxes, by_letters, by_number, bytes: 0, next: 0 }
    }

    /// One that is in the file, whatever the limits are; in the order of their numbers.
    pub fn load(&mut self, number: u64, head: &Head) {
        if self.by_number.insert(number, head.user).is_none() {
            let Head { surb_id, kept_at, bytes, .. } = *head;
            let queue = self.boxes.entry(head.user).or_default();
            queue.push_back(Place { number, surb_id, kept_at, bytes });
            self.by_letters.remove(&(queue.len() - 1, head.user));
            self.by_letters.insert((queue.len(), head.user));
            self.bytes += u64::from(bytes);
            self.next = self.next.max(number.saturating_add(1));
        }
    }

    /// Takes one, if there is room; puts behind `removed` the numbers of those that have to go for it.
    pub fn keep(&mut self, head: &Head, removed: &mut Vec<u64>) -> Placed {
        let queue = self.boxes.get(&head.user);
        if queue.is_some_and(|queue| queue.iter().any(|place| place.surb_id == head.surb_id)) {
            return Placed::Already;
        }
        let letters = queue.map_or(0, VecDeque::len);
        if letters >= self.limits.mailbox_letters_max {
            return Placed::MailboxFull;
        }
        if u64::from(head.bytes) > self.limits.bytes_max || self.next == u64::MAX {
            return Placed::Full;
        }
        while self.bytes + u64::from(head.bytes) > self.limits.bytes_max {
            let Some(number) = self.displace(letters + 1) else { return Placed::Full };
            removed.push(number);
        }
        let number = self.next;
        self.load(number, head);
        Placed::At(number)
    }

    /// Removes the newest letter of whoever has most, if that one has more than so many.
    fn displace(&mut self, least: usize) -> Option<u64> {
        let (letters, user) = self.by_letters.last().copied()?;
        if letters <= least {
            return None;
        }
        let number = self.boxes.get(&user)?.back()?.number;
        self.remove(number);
        Some(number)
    }

    /// One has arrived: its number, if it is here.
    pub fn gone(&mut self, user: &UserId, surb_id: &[u8; SURB_ID_BYTES]) -> Option<u64> {
        let number = self.boxes.get(user)?.iter().find(|place| place.surb_id == *surb_id)?.number;
        self.remove(number);
        Some(number)
    }

    /// A user is none any more: the numbers of its letters, which are gone.
    pub fn forget(&mut self, user: &UserId) -> Vec<u64> {
        let numbers = self.boxes.get(user).into_iter().flatten().map(|place| place.number).collect::<Vec<_>>();
        numbers.iter().for_each(|number| self.remove(*number));
        numbers
    }

    /// Nothing was kept later than now: letters that a clock ahead has marked would stay for too long, and those behind
    /// them.
    pub fn settle_times(&mut self, now: u64) {
        self.boxes.values_mut().flatten().for_each(|place| place.kept_at = place.kept_at.min(now));
    }

    /// Removes what is too old, at most so many; their numbers.
    pub fn expire(&mut self, now: u64, most: usize) -> Vec<u64> {
        let mut removed = Vec::new();
        while removed.len() < most {
            let oldest = self.by_number.first_key_value().map(|(number, user)| (*number, *user));
            let Some((number, user)) = oldest else { break };
            let kept_at = self.boxes.get(&user).and_then(VecDeque::front).map_or(0, |place| place.kept_at);
            if now.saturating_sub(kept_at) < self.limits.age_max {
                break;
            }
            self.remove(number);
            removed.push(number);
        }
        removed
    }

    /// Removes what is too much since the limits are others, at most so many; their numbers.
    pub fn shrink(&mut self, most: usize) -> Vec<u64> {
        let mut removed = Vec::new();
        while removed.len() < most && self.bytes > self.limits.bytes_max {
            let Some(number) = self.displace(0) else { break };
            removed.push(number);
        }
        removed
    }

    /// The oldest letters of a user that have so many bytes, with their numbers.
    pub fn oldest(&self, user: &UserId, bytes: u32, most: usize) -> Vec<(u64, [u8; SURB_ID_BYTES])> {
        let places = self.boxes.get(user).into_iter().flatten().filter(|place| place.bytes == bytes).take(most);
        places.map(|place| (place.number, place.surb_id)).collect()
    }

    /// How many there are.
    pub fn letters(&self) -> usize {
        self.by_number.len()
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn remove(&mut self, number: u64) {
        let Some(user) = self.by_number.remove(&number) else { return };
        let Some(queue) = self.boxes.get_mut(&user) else { return };
        let letters = queue.len();
        if let Some(at) = queue.iter().position(|place| place.number == number)
            && let Some(place) = queue.remove(at)
        {
            self.bytes -= u64::from(place.bytes);
            self.by_letters.remove(&(letters, user));
            if letters > 1 {
                self.by_letters.insert((letters - 1, user));
            } else {
                self.boxes.remove(&user);
            }
        }
    }
}
