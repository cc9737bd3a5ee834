//! Packets that are unwrapped together.

use super::pool::Slot;
use interplane::setup::BATCH_PACKETS_MAX;

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
