//! Hosts that are polled in turn while time passes.

use super::{HostId, Network, SimIo};
use crate::shard::Next;
use crate::time::Instant;
use std::time::Duration;

/// Something with input and output: a shard, or a fake peer.
pub trait Host<I = SimIo> {
    /// One round, as [`Shard::poll`](crate::shard::Shard::poll).
    fn poll(&mut self, io: &mut I) -> Next;
}

/// A network and the hosts on it.
pub struct Simulation<H, I = SimIo> {
    network: Network,
    seats: Vec<Seat<H, I>>,
    round: Duration,
}

struct Seat<H, I> {
    id: HostId,
    host: H,
    io: I,
    /// When it wants to be polled again.
    wake_at: Instant,
    /// An idle host is not polled at all, whatever happens.
    stopped: bool,
}

impl<H: Host<I>, I> Simulation<H, I> {
    /// No hosts yet. Each round in which some host has work takes one microsecond.
    pub fn new(network: Network) -> Self {
        Self { network, seats: Vec::new(), round: Duration::from_micros(1) }
    }

    /// How long a round takes in which some host has work.
    pub fn set_round(&mut self, round: Duration) {
        self.round = round;
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Adds a host. It is polled at once.
    pub fn add(&mut self, id: HostId, host: H, io: I) {
        self.seats.push(Seat { id, host, io, wake_at: Instant::default(), stopped: false });
    }

    /// The hosts, in the order in which they were added.
    pub fn hosts(&self) -> impl Iterator<Item = &H> {
        self.seats.iter().map(|seat| &seat.host)
    }

    /// One host.
    pub fn host(&self, id: HostId) -> Option<&H> {
        self.seats.iter().find(|seat| seat.id == id).map(|seat| &seat.host)
    }

    /// One host, which is polled in the next round to notice the change.
    pub fn host_mut(&mut self, id: HostId) -> Option<&mut H> {
        let seat = self.seats.iter_mut().find(|seat| seat.id == id)?;
        seat.wake_at = Instant::default();
        Some(&mut seat.host)
    }

    /// One host, which need not notice that it was looked at.
    pub fn host_silently(&mut self, id: HostId) -> Option<&mut H> {
        self.seats.iter_mut().find(|seat| seat.id == id).map(|seat| &mut seat.host)
    }

    /// Lets `act` do something with each host outside the rounds.
    pub fn for_each(&mut self, mut act: impl FnMut(&mut H, &mut I)) {
        self.seats.iter_mut().for_each(|seat| act(&mut seat.host, &mut seat.io));
    }

    /// A stopped host is not polled: it neither reads nor closes.
    pub fn set_stopped(&mut self, id: HostId, stopped: bool) {
        for seat in self.seats.iter_mut().filter(|seat| seat.id == id) {
            seat.stopped = stopped;
            seat.wake_at = Instant::default();
        }
    }

    /// Polls every host that has something to do; false if none had.
    pub fn round(&mut self) -> bool {
        let now = self.network.now();
        let mut worked = false;
        for seat in self.seats.iter_mut().filter(|seat| !seat.stopped) {
            if self.network.take_wake_up(seat.id) || seat.wake_at <= now {
                seat.wake_at = match seat.host.poll(&mut seat.io) {
                    Next::Busy => Instant::default(),
                    Next::ParkUntil(at) => at,
                };
                worked = true;
            }
        }
        worked
    }

    /// Goes on until `until`, or until `done` says so after a round; gives whether it did.
    pub fn run_until(&mut self, until: Instant, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            let worked = self.round();
            if done(self) {
                return true;
            }
            let now = self.network.now();
            if now >= until {
                return false;
            }
            let awake = self.seats.iter().filter(|seat| !seat.stopped).map(|seat| seat.wake_at);
            let next = awake.chain(self.network.next_at()).min().unwrap_or(Instant::NEVER);
            let least = if worked { now + self.round } else { now };
            self.network.advance_to(next.max(least).min(until));
        }
    }

    /// Goes on for a time.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.network.now() + time;
        self.run_until(until, |_| false);
    }
}
