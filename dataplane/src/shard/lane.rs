//! Datagrams past the kernel, as the lane has counted them, in the books of the shard.

use crate::account::Account;
use crate::io::Io;
use interplane::Counter;
use interplane::counter::LaneEvent;
use xdp::Counters;

/// What is in the books already. The lane's counts begin at 0 with each data plane, those of the books do not.
#[derive(Default)]
pub struct LaneCounts {
    entered: Counters,
}

impl LaneCounts {
    /// Enters what has come since the last time.
    pub fn enter(&mut self, account: &Account, io: &impl Io) {
        let Some(counted) = io.lane() else { return };
        for event in LaneEvent::ALL {
            let more = number(&counted, *event).saturating_sub(number(&self.entered, *event));
            account.add(Counter::lane_event(*event), more);
        }
        self.entered = counted;
    }
}

fn number(counted: &Counters, event: LaneEvent) -> u64 {
    match event {
        LaneEvent::Arrived => counted.arrived,
        LaneEvent::Left => counted.left,
        LaneEvent::Kernel => counted.kernel_trains,
        LaneEvent::Refused => counted.refused,
        LaneEvent::Dropped => counted.queue.arrived_dropped + counted.queue.ring_full,
        LaneEvent::NoFrame => counted.no_frame,
    }
}
