//! When to look at which link next: a heap of moments, one for each link that has one.
//!
//! Workload assumed: up to some 10,000 links whose real deadlines move with every packet, nearly always to a later
//! moment. So an entry may be earlier than the link's real deadline: whoever takes it out looks at the link, and puts
//! it back for later. Links are named by small dense numbers; nothing is allocated once the highest has been seen.

#[cfg(test)]
mod tests;

use crate::time::Instant;

/// Not in the heap.
const ABSENT: u32 = u32::MAX;

/// The moments.
#[derive(Default)]
pub struct Deadlines {
    /// A binary heap, earliest first.
    heap: Vec<(Instant, u32)>,
    /// Of each link: where it is in the heap.
    positions: Vec<u32>,
}

impl Deadlines {
    /// The earliest moment.
    pub fn next(&self) -> Instant {
        self.heap.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// Has the link looked at no later than `at`.
    pub fn no_later_than(&mut self, link: u32, at: Instant) {
        if self.position(link).is_none_or(|position| at < self.heap[position].0) {
            self.set(link, at);
        }
    }

    /// Has the link not looked at before `at`, if it is to be looked at.
    pub fn no_earlier_than(&mut self, link: u32, at: Instant) {
        if self.position(link).is_some_and(|position| self.heap[position].0 < at) {
            self.set(link, at);
        }
    }

    /// Has the link looked at then and not before; never, if it is [`Instant::NEVER`].
    pub fn set(&mut self, link: u32, at: Instant) {
        if at == Instant::NEVER {
            return self.remove(link);
        }
        let position = match self.position(link) {
            Some(position) => position,
            None => {
                let needed = link as usize + 1;
                if self.positions.len() < needed {
                    self.positions.resize(needed, ABSENT);
                }
                self.heap.push((at, link));
                self.heap.len() - 1
            }
        };
        self.heap[position].0 = at;
        self.settle(position);
    }

    /// Forgets the link.
    pub fn remove(&mut self, link: u32) {
        let Some(position) = self.position(link) else { return };
        self.heap.swap_remove(position);
        self.positions[link as usize] = ABSENT;
        if position < self.heap.len() {
            self.settle(position);
        }
    }

    /// Takes out a link whose moment has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (_, link) = *self.heap.first().filter(|(at, _)| *at <= now)?;
        self.remove(link);
        Some(link)
    }

    fn position(&self, link: u32) -> Option<usize> {
        let position = *self.positions.get(link as usize)?;
        (position != ABSENT).then_some(position as usize)
    }

    /// Moves the entry at `position` to where it belongs.
    fn settle(&mut self, mut position: usize) {
        while position > 0 && self.heap[position] < self.heap[(position - 1) / 2] {
            self.swap(position, (position - 1) / 2);
            position = (position - 1) / 2;
        }
        loop {
            let children = (2 * position + 1)..(2 * position + 3).min(self.heap.len());
            match children.min_by_key(|child| self.heap[*child]) {
                Some(child) if self.heap[child] < self.heap[position] => {
                    self.swap(position, child);
                    position = child;
                }
                _ => break,
            }
        }
        self.note(position);
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.note(one);
        self.note(other);
    }

    fn note(&mut self, position: usize) {
        self.positions[self.heap[position].1 as usize] = position as u32;
    }
}
