//! Leaks that tests plant in the wheel, to show that their statistics find them, and what they note of its slots. Only
//! the build of this crate's own tests has it.

use crate::packet::pool::Slot;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What tells packets apart: the beginning of their group elements, which are as good as random.
pub type Name = [u8; 16];

/// The name of a packet.
pub fn name(packet: &[u8]) -> Name {
    std::array::from_fn(|at| packet.get(2 + at).copied().unwrap_or_default())
}

/// What a test wants the wheel to do wrong.
#[derive(Default)]
pub enum Leak {
    /// Nothing.
    #[default]
    None,
    /// In one slot of so many, packets leave in the order of their arrival.
    ArrivalOrder(usize),
    /// In one slot of so many, marked packets leave first.
    First(usize),
    /// Delays count from the arrival, and those of marked packets last so much longer.
    Late(Duration),
    /// Packets wait half as long as they should.
    HalfWait,
    /// The node's own packets, which are due at once, leave on a grid of this.
    OwnOnGrid(Duration),
    /// What is unwrapped together leaves together, at the time of the first.
    Together,
}

/// What is planted, and what was seen.
#[derive(Default)]
pub struct Planted {
    pub leak: Leak,
    /// The packets of each slot, in the order in which they leave it.
    pub slots: Vec<Vec<Name>>,
    /// When each packet was due.
    pub due: HashMap<Name, crate::time::Instant>,
    /// The packets that some leaks are about.
    marked: HashSet<Name>,
    /// The delays that packets ask for.
    delays: HashMap<Name, Duration>,
    /// For the leak that keeps batches together: the last batch.
    batch: (crate::time::Instant, crate::time::Instant),
}

thread_local! {
    static PLANTED: RefCell<Option<Planted>> = const { RefCell::new(None) };
}

/// Plants a leak in the wheels of this thread, and begins to note.
pub fn plant(leak: Leak) {
    PLANTED.set(Some(Planted { leak, ..Planted::default() }));
}

/// Marks a packet.
pub fn mark(name: Name) {
    PLANTED.with_borrow_mut(|planted| {
        planted.iter_mut().for_each(|planted| {
            planted.marked.insert(name);
        })
    });
}

/// Says what delay a packet asks for.
pub fn expect(name: Name, delay: Duration) {
    PLANTED.with_borrow_mut(|planted| {
        planted.iter_mut().for_each(|planted| {
            planted.delays.insert(name, delay);
        })
    });
}

/// Ends that.
pub fn take() -> Planted {
    PLANTED.take().unwrap_or_default()
}

/// A packet comes into a wheel.
pub(super) fn inserted(mut slot: Box<Slot>) -> Box<Slot> {
    PLANTED.with_borrow_mut(|planted| {
        let Some(planted) = planted else { return };
        let name = name(slot.packet());
        match &planted.leak {
            Leak::Late(by) => {
                if let Some(delay) = planted.delays.get(&name) {
                    slot.due = slot.recv_at + *delay;
                }
                if planted.marked.contains(&name) {
                    slot.due += *by;
                }
            }
            Leak::HalfWait => slot.due = slot.recv_at + slot.due.since(slot.recv_at) / 2,
            Leak::OwnOnGrid(grid) if slot.due == slot.recv_at => {
                slot.due.0 = slot.due.0.next_multiple_of(grid.as_nanos() as u64);
            }
            Leak::Together => {
                // Packets of one batch are opened within the time for which the first of them waits.
                if slot.recv_at.since(planted.batch.0) > Duration::from_micros(500) {
                    planted.batch = (slot.recv_at, slot.due);
                }
                slot.due = planted.batch.1;
            }
            _ => {}
        }
        planted.due.insert(name, slot.due);
    });
    slot
}

/// The packets of a slot are about to leave in this order.
pub(super) fn expired(slots: &mut [Box<Slot>]) {
    PLANTED.with_borrow_mut(|planted| {
        let Some(planted) = planted else { return };
        let number = planted.slots.len();
        match &planted.leak {
            Leak::ArrivalOrder(one_of) if number.is_multiple_of(*one_of) => slots.sort_by_key(|slot| slot.recv_at),
            Leak::First(one_of) if number.is_multiple_of(*one_of) => {
                slots.sort_by_key(|slot| !planted.marked.contains(&name(slot.packet())));
            }
            _ => {}
        }
        planted.slots.push(slots.iter().map(|slot| name(slot.packet())).collect());
    });
}
