//! Packets that are unwrapped together, those that wait for it, and the rule how long.

#[cfg(test)]
mod tests;

use super::pool::Slot;
use crate::time::Instant;
use interplane::setup::BATCH_PACKETS_MAX;
use std::collections::VecDeque;
use std::time::Duration;

/// Full batches of opened packets that may wait, those offered to other shards included; then reading stops.
const BACKLOG_BATCHES_MAX: usize = 3;
/// Packets over which the time between two is averaged.
const GAP_PACKETS: u32 = 32;

/// Up to 32 packets. Moved as a whole (264 bytes), nothing behind it but the packets.
#[derive(Default)]
pub struct Batch {
    slots: [Option<Box<Slot>>; BATCH_PACKETS_MAX],
    len: usize,
}

impl Batch {
    /// How many packets it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a packet; gives it back if there is no room.
    pub fn push(&mut self, slot: Box<Slot>) -> Result<(), Box<Slot>> {
        match self.slots.get_mut(self.len) {
            Some(place) => {
                *place = Some(slot);
                self.len += 1;
                Ok(())
            }
            None => Err(slot),
        }
    }

    /// The packets that have not been taken, with their positions.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| slot.as_deref().map(|slot| (at, slot)))
    }

    /// The packets that have not been taken, with their positions.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Slot)> {
        self.slots.iter_mut().enumerate().filter_map(|(at, slot)| slot.as_deref_mut().map(|slot| (at, slot)))
    }

    /// Takes the packet at a position out, leaving the position empty.
    pub fn take(&mut self, at: usize) -> Option<Box<Slot>> {
        self.slots.get_mut(at)?.take()
    }
}

/// Opened packets that wait to be unwrapped, oldest first.
pub struct Backlog {
    opened: VecDeque<Box<Slot>>,
    batch_max: usize,
    /// Packets that the kernels unwrap together, in the time of one.
    lanes: usize,
    linger: Duration,
    /// When the newest packet came, and the average time between two.
    newest: Instant,
    gap: Duration,
}

impl Backlog {
    /// For full batches of `batch_max`, for which a packet waits for `linger` at most. Delays are whole milliseconds
    /// from one on (client.md 13.2): where no batch waits behind another, and wait and unwrap take less than one together,
    /// all delays hide them.
    pub fn new(batch_max: usize, lanes: usize, linger: Duration) -> Self {
        Self {
            opened: VecDeque::with_capacity(BACKLOG_BATCHES_MAX * batch_max),
            batch_max,
            lanes: lanes.clamp(1, batch_max.max(1)),
            linger,
            newest: Instant::default(),
            gap: linger,
        }
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.opened.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty()
    }

    /// Packets of a full batch.
    pub fn batch_max(&self) -> usize {
        self.batch_max
    }

    /// Adds the newest packet.
    pub fn push(&mut self, slot: Box<Slot>) {
        // A pause says no more than that nothing came for longer than anything waits.
        let gap = slot.recv_at.since(self.newest).min(2 * self.linger);
        // Links are not read in the order in which their bytes came.
        self.newest = self.newest.max(slot.recv_at);
        self.gap = (self.gap * (GAP_PACKETS - 1) + gap) / GAP_PACKETS;
        self.opened.push_back(slot);
    }

    /// Takes the oldest packet.
    pub fn pop(&mut self) -> Option<Box<Slot>> {
        self.opened.pop_front()
    }

    /// How many more may be opened, beside `offered` ones that wait for other shards.
    pub fn room(&self, offered: usize) -> usize {
        (BACKLOG_BATCHES_MAX * self.batch_max).saturating_sub(self.opened.len() + offered)
    }

    /// How many packets are to be unwrapped now: a full batch; else, if no more packets can come soon (`may_grow` is
    /// false), as many as fill the kernels' lanes, which take about as long for one packet, once there are as many lanes as can
    /// be expected to fill; else those that have waited long enough, and what finds room in the last one's lanes. None:
    /// they wait for company, until [`Backlog::next_due`] at most.
    pub fn due(&self, now: Instant, may_grow: bool) -> usize {
        let waiting = self.opened.len().min(self.batch_max);
        if waiting == self.batch_max {
            waiting
        } else if waiting > 0 && now >= self.next_due() {
            self.overdue(now).next_multiple_of(self.lanes).min(waiting)
        } else if may_grow || waiting < self.expected() {
            0
        } else {
            waiting - waiting % self.lanes
        }
    }

    /// The oldest packets, as far as they have waited long enough.
    fn overdue(&self, now: Instant) -> usize {
        let linger = self.linger();
        self.opened.iter().take_while(|slot| slot.recv_at + linger <= now).count()
    }

    /// The packets of full lanes that come while one waits, as the last ones came; of one lane at least.
    fn expected(&self) -> usize {
        let packets = self.linger.as_nanos() / self.gap.as_nanos().max(1);
        let packets = usize::try_from(packets).unwrap_or(usize::MAX).min(self.batch_max);
        (packets - packets % self.lanes).max(self.lanes)
    }

    /// Where waiting gains nothing: packets come too seldom for company, or the kernels take them one by one.
    fn is_alone(&self) -> bool {
        self.lanes == 1 || self.gap >= self.linger
    }

    /// How long packets wait at most: not at all if nobody else is expected.
    fn linger(&self) -> Duration {
        if self.is_alone() { Duration::ZERO } else { self.linger }
    }

    /// When the oldest packet has waited long enough.
    pub fn next_due(&self) -> Instant {
        self.opened.front().map_or(Instant::NEVER, |oldest| oldest.recv_at + self.linger())
    }

    /// Whether there is enough for a batch of this shard's and one more.
    pub fn has_surplus(&self) -> bool {
        self.opened.len() >= 2 * self.batch_max
    }

    /// Takes the oldest packets: so many, if there are as many.
    pub fn take_batch(&mut self, packets: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..packets {
            let Some(slot) = self.opened.pop_front() else { break };
            if let Err(slot) = batch.push(slot) {
                self.opened.push_front(slot);
                break;
            }
        }
        batch
    }

    /// Puts back what was just taken.
    pub fn put_back(&mut self, mut batch: Batch) {
        let slots = (0..batch.len()).rev().filter_map(|at| batch.take(at));
        slots.for_each(|slot| self.opened.push_front(slot));
    }
}
