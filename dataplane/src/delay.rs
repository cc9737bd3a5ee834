//! The delay queue of one shard: a tickless wheel (server.md 3.8).
//!
//! Packets that become due in the same quarter of a millisecond form one slot of the wheel and leave in uniformly
//! random order, never before they are due. Packets that are due later than the wheel reaches wait in coarse slots of
//! an overflow level and move over in small portions ahead of time, so that no moment has to move them all.
//!
//! Lists go through the packets' slots, by their numbers in one store: so any packet can be taken out of the middle,
//! which is how a random one is dropped when the queue is too long (server.md 3.8).
//!
//! Workload assumed: up to some 100,000 packets waiting, exponential delays with a mean of some hundred ms, of which
//! one in a billion reaches the overflow level (one in sixty at a mean of 1 s). Insertion touches the packet, the packet
//! before it in its list, one list head (4 bytes of 64 kB) and one word of the bitmap; expiry the same.

#[cfg(test)]
pub(crate) mod planted;
#[cfg(test)]
mod tests;

use crate::packet::pool::Slot;
use crate::random::ShardRandom;
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Nanoseconds of one slot: packets that become due in the same slot are mixed with each other.
pub const TICK_NS: u64 = pki::document::DELAY_SLOT_NS;
/// Slots of the wheel: 4.1 s.
const TICKS: u64 = 1 << 14;
/// Ticks of one slot of the overflow level: 1 s.
const COARSE_TICKS: u64 = 1 << 12;
/// Slots of the overflow level: 70 minutes. What is due even later goes around again.
const COARSE_SLOTS: u64 = 1 << 12;
/// Packets that move from the overflow level at each advance, where there is time to do it bit by bit.
const PORTION: usize = 64;
/// Guesses at a packet before the next best one is taken. With half of the store in use, one guess of two hits.
const GUESSES_MAX: usize = 32;
/// No number of a packet.
const NONE: u32 = u32::MAX;

/// The wheel.
pub struct Wheel {
    store: Store,
    fine: Level,
    coarse: Level,
    /// All packets up to this tick have become ready.
    cursor: u64,
    /// The overflow level is empty below this slot.
    coarse_next: u64,
    ready: VecDeque<Box<Slot>>,
    #[allow(clippy::vec_box, reason = "slots move by pointer, from list to list")]
    shuffled: Vec<Box<Slot>>,
    len: usize,
    /// The packet that came last, if it is still there.
    newest: u32,
}

impl Wheel {
    /// An empty wheel. `ready_max` is the largest number of packets that are expected to become due at once.
    pub fn new(now: Instant, ready_max: usize) -> Self {
        let cursor = now.0 / TICK_NS;
        Self {
            store: Store { slots: Vec::with_capacity(ready_max), free: Vec::with_capacity(ready_max) },
            fine: Level::new(0, TICKS),
            coarse: Level::new(TICKS as u32, COARSE_SLOTS),
            cursor,
            coarse_next: cursor / COARSE_TICKS,
            ready: VecDeque::with_capacity(ready_max),
            shuffled: Vec::with_capacity(ready_max),
            len: 0,
            newest: NONE,
        }
    }

    /// Packets inside, those that are ready included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a packet until `slot.due`.
    pub fn insert(&mut self, slot: Box<Slot>) {
        #[cfg(test)]
        let slot = planted::inserted(slot);
        let number = self.store.put(slot);
        self.newest = number;
        self.place(number);
        self.len += 1;
    }

    /// Makes packets ready that are due at `now`, until at least `enough` are (or all). Gives the number of ready ones.
    pub fn advance(&mut self, now: Instant, enough: usize, random: &mut ShardRandom) -> usize {
        let target = now.0 / TICK_NS;
        if self.len == self.ready.len() {
            self.cursor = self.cursor.max(target);
            self.coarse_next = self.coarse_next.max(self.cursor / COARSE_TICKS);
        }
        while self.cursor < target && self.ready.len() < enough {
            // In steps that the fine level covers with a margin, whatever time has passed.
            let step_end = target.min(self.cursor + COARSE_TICKS);
            self.pull_until(step_end);
            match self.fine.next_occupied(self.cursor + 1, step_end) {
                Some(tick) => {
                    self.expire(tick, random);
                    self.cursor = tick;
                }
                None => self.cursor = step_end,
            }
        }
        self.pull_portion();
        self.ready.len()
    }

    /// Takes a packet that is due.
    pub fn pop_ready(&mut self) -> Option<Box<Slot>> {
        let slot = self.ready.pop_front()?;
        self.len -= 1;
        Some(slot)
    }

    /// How late a packet is that becomes ready only now, and whether that is later than `slack` allows (server.md 3.8).
    pub fn lateness(slot: &Slot, now: Instant, slack: Duration) -> (Duration, bool) {
        let lateness = now.since(slot.due);
        (lateness, lateness > slack)
    }

    /// When [`Wheel::advance`] has something to do next.
    pub fn next_expiry(&self) -> Instant {
        if !self.ready.is_empty() {
            return Instant::default();
        }
        let fine = self.fine.next_occupied(self.cursor + 1, self.cursor + TICKS);
        let coarse = self.coarse.next_occupied(self.coarse_next, self.coarse_next + COARSE_SLOTS - 1);
        let tick = fine.unwrap_or(u64::MAX).min(coarse.map_or(u64::MAX, |slot| slot * COARSE_TICKS));
        Instant(tick.saturating_mul(TICK_NS))
    }

    /// Takes out one packet, all equally likely: the drop rule of a bounded queue (server.md 3.8).
    pub fn remove_random(&mut self, random: &mut ShardRandom) -> Option<Box<Slot>> {
        let position = random.below(u32::try_from(self.len).unwrap_or(u32::MAX)) as usize;
        if position < self.ready.len() {
            self.len -= 1;
            return self.ready.swap_remove_back(position);
        }
        self.remove_guessed(random, |_| true)
    }

    /// Takes out one packet that waits and whose slot belongs to the pool of `home`, all about equally likely. None only
    /// if the newest is not one.
    pub fn remove_random_of(&mut self, home: usize, random: &mut ShardRandom) -> Option<Box<Slot>> {
        self.remove_guessed(random, |slot| slot.home() == home)
    }

    fn remove_guessed(&mut self, random: &mut ShardRandom, is_wanted: impl Fn(&Slot) -> bool) -> Option<Box<Slot>> {
        let count = u32::try_from(self.store.slots.len()).unwrap_or(NONE);
        let is_hit = |number: &u32| self.store.get(*number).is_some_and(&is_wanted);
        let mut number = random.below(count);
        for _ in 0..GUESSES_MAX {
            if is_hit(&number) {
                break;
            }
            number = random.below(count);
        }
        // Few are left: the first one from there on, or the one for which there is no room.
        let near = (number..count).chain(0..number).take(4 * GUESSES_MAX).find(is_hit);
        let number = near.or_else(|| Some(self.newest).filter(is_hit))?;
        self.unlink(number);
        self.len -= 1;
        self.store.take(number)
    }

    /// Takes out any packet, due or not: for emptying the wheel.
    pub fn pop_any(&mut self) -> Option<Box<Slot>> {
        let slot = match self.ready.pop_front() {
            Some(slot) => slot,
            None => {
                let number = self.fine.pop_any(&mut self.store).or_else(|| self.coarse.pop_any(&mut self.store))?;
                self.store.take(number)?
            }
        };
        self.len -= 1;
        Some(slot)
    }

    /// Puts a stored packet into the list of its tick.
    fn place(&mut self, number: u32) {
        let Some(slot) = self.store.get(number) else { return };
        let tick = slot.due.0.div_ceil(TICK_NS).max(self.cursor + 1);
        if tick <= self.cursor + TICKS {
            self.fine.push(&mut self.store, tick, number);
        } else {
            let last = self.cursor / COARSE_TICKS + COARSE_SLOTS - 1;
            self.coarse.push(&mut self.store, (tick / COARSE_TICKS).min(last), number);
        }
    }

    fn unlink(&mut self, number: u32) {
        let Some(slot) = self.store.get(number) else { return };
        let link = slot.link;
        if link.list < self.coarse.first {
            self.fine.unlink(&mut self.store, link)
        } else {
            self.coarse.unlink(&mut self.store, link)
        }
    }

    /// Moves everything out of the overflow level that may be due until `tick`.
    fn pull_until(&mut self, tick: u64) {
        while self.coarse_next * COARSE_TICKS <= tick {
            while let Some(number) = self.coarse.pop(&mut self.store, self.coarse_next) {
                self.place(number);
            }
            self.coarse_next += 1;
        }
    }

    /// Moves a few packets whose coarse slot the wheel covers as a whole already.
    fn pull_portion(&mut self) {
        let mut moved = 0;
        while moved < PORTION && (self.coarse_next + 1) * COARSE_TICKS <= self.cursor + TICKS {
            match self.coarse.pop(&mut self.store, self.coarse_next) {
                Some(number) => self.place(number),
                None => self.coarse_next += 1,
            }
            moved += 1;
        }
    }

    fn expire(&mut self, tick: u64, random: &mut ShardRandom) {
        while let Some(number) = self.fine.pop(&mut self.store, tick) {
            self.shuffled.extend(self.store.take(number));
        }
        random.shuffle(&mut self.shuffled);
        #[cfg(test)]
        planted::expired(&mut self.shuffled);
        self.ready.extend(self.shuffled.drain(..));
    }
}

/// Where a slot stands in a list of the wheel.
#[derive(Clone, Copy, Default)]
pub struct Link {
    previous: u32,
    next: u32,
    /// Which list, counted through both levels.
    list: u32,
}

/// The packets that wait, by numbers that they keep until they leave. The number given back last is used first.
struct Store {
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
}

impl Store {
    fn put(&mut self, slot: Box<Slot>) -> u32 {
        if let Some(number) = self.free.pop()
            && let Some(place) = self.slots.get_mut(number as usize)
        {
            *place = Some(slot);
            return number;
        }
        self.slots.push(Some(slot));
        self.slots.len() as u32 - 1
    }

    fn take(&mut self, number: u32) -> Option<Box<Slot>> {
        let slot = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(slot)
    }

    fn get(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)?.as_deref()
    }

    fn link_mut(&mut self, number: u32) -> Option<&mut Link> {
        Some(&mut self.slots.get_mut(number as usize)?.as_mut()?.link)
    }
}

/// A ring of lists with a bitmap of those that hold something.
struct Level {
    heads: Box<[u32]>,
    occupied: Box<[u64]>,
    len: usize,
    /// What its first list is called in [`Link::list`].
    first: u32,
}

impl Level {
    /// `count` is a power of two and at least 64.
    fn new(first: u32, count: u64) -> Self {
        Self { heads: vec![NONE; count as usize].into(), occupied: vec![0; count as usize / 64].into(), len: 0, first }
    }

    fn index(&self, list: u64) -> usize {
        list as usize & (self.heads.len() - 1)
    }

    fn push(&mut self, store: &mut Store, list: u64, number: u32) {
        let index = self.index(list);
        let next = std::mem::replace(&mut self.heads[index], number);
        if let Some(link) = store.link_mut(next) {
            link.previous = number;
        }
        if let Some(link) = store.link_mut(number) {
            *link = Link { previous: NONE, next, list: self.first + index as u32 };
        }
        self.occupied[index / 64] |= 1 << (index % 64);
        self.len += 1;
    }

    fn pop(&mut self, store: &mut Store, list: u64) -> Option<u32> {
        let number = self.heads[self.index(list)];
        let link = *store.link_mut(number)?;
        self.unlink(store, link);
        Some(number)
    }

    fn pop_any(&mut self, store: &mut Store) -> Option<u32> {
        let list = self.next_occupied(0, self.heads.len() as u64 - 1)?;
        self.pop(store, list)
    }

    /// Takes out the packet whose link this is.
    fn unlink(&mut self, store: &mut Store, link: Link) {
        let index = (link.list - self.first) as usize;
        if let Some(next) = store.link_mut(link.next) {
            next.previous = link.previous;
        }
        match store.link_mut(link.previous) {
            Some(previous) => previous.next = link.next,
            None => self.heads[index] = link.next,
        }
        if self.heads[index] == NONE {
            self.occupied[index / 64] &= !(1 << (index % 64));
        }
        self.len -= 1;
    }

    /// The first number in `first..=last` whose list holds something. The range is at most one round.
    fn next_occupied(&self, first: u64, last: u64) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let mut number = first;
        while number <= last {
            let index = self.index(number);
            let word = self.occupied[index / 64] >> (index % 64);
            if word != 0 {
                let found = number + u64::from(word.trailing_zeros());
                return (found <= last).then_some(found);
            }
            number += 64 - (index as u64 % 64);
        }
        None
    }
}
