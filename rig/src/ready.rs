//! Which of many links have something to say, without asking each of them.

use super::link::{Incoming, Presealed, wait};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Links that are told of at once.
const EVENTS_MAX: usize = 256;
/// Set in the numbers of the links on the far side.
const DOWNSTREAM: u64 = 1 << 32;

/// A link, by its number on its side of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Packets are sent over it.
    Upstream(usize),
    /// Packets come over it.
    Downstream(usize),
}

/// All links of a drive.
pub struct Ready {
    epoll: OwnedFd,
}

impl Ready {
    /// Without links.
    pub fn new() -> Result<Self, String> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        Ok(Self { epoll })
    }

    /// A link that packets are sent over is told of once when it takes bytes again, or has any.
    pub fn add_upstream(&self, number: usize, link: &Presealed) -> Result<(), String> {
        self.add(link.stream(), number as u64, EventFlags::IN | EventFlags::OUT | EventFlags::ET)
    }

    /// A link that packets come over is told of as long as there are bytes.
    pub fn add_downstream(&self, number: usize, link: &Incoming) -> Result<(), String> {
        self.add(link.stream(), DOWNSTREAM | number as u64, EventFlags::IN)
    }

    fn add(&self, stream: impl AsFd, number: u64, flags: EventFlags) -> Result<(), String> {
        epoll::add(&self.epoll, stream, EventData::new_u64(number), flags).map_err(|error| error.to_string())
    }

    /// Those that are ready now, or within `limit`.
    pub fn poll(&self, limit: Duration) -> Result<Vec<Side>, String> {
        if !limit.is_zero() {
            // An epoll descriptor itself waits in whole milliseconds.
            wait(vec![PollFd::new(&self.epoll, PollFlags::IN)], limit)?;
        }
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS_MAX];
        match epoll::wait(&self.epoll, &mut events[..], Some(&Timespec::default())) {
            Ok((events, _)) => Ok(events.iter().map(|event| side(event.data.u64())).collect()),
            Err(rustix::io::Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn side(number: u64) -> Side {
    match number & DOWNSTREAM {
        0 => Side::Upstream(number as usize),
        _ => Side::Downstream((number & !DOWNSTREAM) as usize),
    }
}
