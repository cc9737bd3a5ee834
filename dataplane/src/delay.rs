//! The delay queue of one shard: a tickless wheel (server.md 3.8).
//!
//! Packets that become due in the same quarter of a millisecond form one slot of the wheel and leave in uniformly
//! random order, never before they are due. Packets that are due later than the wheel reaches wait in coarse slots of
//! an overflow level and move over in small portions ahead of time, so that no moment has to move them all.
//!
//! Workload assumed: up to some 100,000 packets waiting, exponential delays with a mean of some hundred ms, of which
//! one in a billion reaches the overflow level (one in sixty at a mean of 1 s). Insertion touches the packet, one list
//! head (16 bytes of 256 kB) and one word of the bitmap; expiry the packet and the same.

#[cfg(test)]
mod tests;

use crate::packet::pool::{Slot, SlotList};
use crate::random::ShardRandom;
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Nanoseconds of one slot: packets that become due in the same slot are mixed with each other.
pub const TICK_NS: u64 = 250_000;
/// Slots of the wheel: 4.1 s.
const TICKS: u64 = 1 << 14;
/// Ticks of one slot of the overflow level: 1 s.
const COARSE_TICKS: u64 = 1 << 12;
/// Slots of the overflow level: 70 minutes. What is due even later goes around again.
const COARSE_SLOTS: u64 = 1 << 12;
/// Packets that move from the overflow level at each advance, where there is time to do it bit by bit.
const PORTION: usize = 64;

/// The wheel.
pub struct Wheel {
    fine: Lists,
    coarse: Lists,
    /// All packets up to this tick have become ready.
    cursor: u64,
    /// The overflow level is empty below this slot.
    coarse_next: u64,
    ready: VecDeque<Box<Slot>>,
    #[allow(clippy::vec_box, reason = "slots move by pointer, from list to list")]
    shuffled: Vec<Box<Slot>>,
    len: usize,
}

impl Wheel {
    /// An empty wheel. `ready_max` is the largest number of packets that are expected to become due at once.
    pub fn new(now: Instant, ready_max: usize) -> Self {
        let cursor = now.0 / TICK_NS;
        Self {
            fine: Lists::new(TICKS),
            coarse: Lists::new(COARSE_SLOTS),
            cursor,
            coarse_next: cursor / COARSE_TICKS,
            ready: VecDeque::with_capacity(ready_max),
            shuffled: Vec::with_capacity(ready_max),
            len: 0,
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
        self.place(slot);
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

    /// Takes out one packet, all equally likely: the drop rule of a bounded queue (server.md 3.8). Walks the table of
    /// lists, some microseconds: bounded queues that overflow have worse problems.
    pub fn remove_random(&mut self, random: &mut ShardRandom) -> Option<Box<Slot>> {
        let mut position = random.below(u32::try_from(self.len).unwrap_or(u32::MAX)) as usize;
        let removed = if position < self.ready.len() {
            self.ready.remove(position)
        } else {
            position -= self.ready.len();
            let fine = self.fine.len;
            if position < fine { self.fine.remove(position) } else { self.coarse.remove(position - fine) }
        };
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Takes out any packet, due or not: for emptying the wheel.
    pub fn pop_any(&mut self) -> Option<Box<Slot>> {
        let slot = self.ready.pop_front().or_else(|| self.fine.pop_any()).or_else(|| self.coarse.pop_any())?;
        self.len -= 1;
        Some(slot)
    }

    fn place(&mut self, slot: Box<Slot>) {
        let tick = slot.due.0.div_ceil(TICK_NS).max(self.cursor + 1);
        if tick <= self.cursor + TICKS {
            self.fine.push(tick, slot);
        } else {
            let last = self.cursor / COARSE_TICKS + COARSE_SLOTS - 1;
            self.coarse.push((tick / COARSE_TICKS).min(last), slot);
        }
    }

    /// Moves everything out of the overflow level that may be due until `tick`.
    fn pull_until(&mut self, tick: u64) {
        while self.coarse_next * COARSE_TICKS <= tick {
            while let Some(slot) = self.coarse.pop(self.coarse_next) {
                self.place(slot);
            }
            self.coarse_next += 1;
        }
    }

    /// Moves a few packets whose coarse slot the wheel covers as a whole already.
    fn pull_portion(&mut self) {
        let mut moved = 0;
        while moved < PORTION && (self.coarse_next + 1) * COARSE_TICKS <= self.cursor + TICKS {
            match self.coarse.pop(self.coarse_next) {
                Some(slot) => self.place(slot),
                None => self.coarse_next += 1,
            }
            moved += 1;
        }
    }

    fn expire(&mut self, tick: u64, random: &mut ShardRandom) {
        while let Some(slot) = self.fine.pop(tick) {
            self.shuffled.push(slot);
        }
        random.shuffle(&mut self.shuffled);
        self.ready.extend(self.shuffled.drain(..));
    }
}

/// A ring of lists with a bitmap of those that hold something.
struct Lists {
    lists: Box<[SlotList]>,
    occupied: Box<[u64]>,
    len: usize,
}

impl Lists {
    /// `count` is a power of two and at least 64.
    fn new(count: u64) -> Self {
        let lists = (0..count).map(|_| SlotList::default()).collect();
        Self { lists, occupied: vec![0; count as usize / 64].into(), len: 0 }
    }

    fn index(&self, number: u64) -> usize {
        number as usize & (self.lists.len() - 1)
    }

    fn push(&mut self, number: u64, slot: Box<Slot>) {
        let index = self.index(number);
        self.lists[index].push(slot);
        self.occupied[index / 64] |= 1 << (index % 64);
        self.len += 1;
    }

    fn pop(&mut self, number: u64) -> Option<Box<Slot>> {
        let index = self.index(number);
        let slot = self.lists[index].pop()?;
        self.removed(index);
        Some(slot)
    }

    fn pop_any(&mut self) -> Option<Box<Slot>> {
        let number = self.next_occupied(0, self.lists.len() as u64 - 1)?;
        self.pop(number)
    }

    /// The packet at a position in the order of the table.
    fn remove(&mut self, mut position: usize) -> Option<Box<Slot>> {
        let index = self.lists.iter().position(|list| match position.checked_sub(list.len()) {
            Some(rest) => {
                position = rest;
                false
            }
            None => true,
        })?;
        let slot = self.lists[index].remove(position)?;
        self.removed(index);
        Some(slot)
    }

    fn removed(&mut self, index: usize) {
        self.len -= 1;
        if self.lists[index].is_empty() {
            self.occupied[index / 64] &= !(1 << (index % 64));
        }
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
