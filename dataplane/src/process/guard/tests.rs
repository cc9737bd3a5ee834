//! The guard as it ships, over real shards and a driver whose backend does what glommio's executor was seen to do.

use super::*;
use crate::io::driver::{Backend, Clock, Driver, Plan, Task, Wakes};
use crate::io::epoll;
use crate::io::half::Half;
use crate::io::quic::QuicIo;
use crate::shard::tests::net::setup;
use crate::shard::{Instruments, Next, Shard};
use crate::shared::Facts;
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Within five seconds half a data plane is none.
const _: () = assert!(STUCK.as_millis() + STILL.as_millis() + PAUSE_PARKED.as_millis() <= 5000);

/// epoll, with a sleep that no timer ends: only a wake-up does, up to a number of them.
struct Forgetful {
    epoll: Arc<epoll::Fabric>,
    wakes_heard: AtomicUsize,
}

impl Wakes for Forgetful {
    fn wake(&self, shard: usize) {
        if self.wakes_heard.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.epoll.wake(shard);
        }
    }
}

impl Backend for Forgetful {
    type Io = QuicIo<Half<epoll::EpollIo>>;

    fn run(
        self: Arc<Self>,
        shard: usize,
        listeners: Vec<OwnedFd>,
        mut round: impl FnMut(&mut Self::Io) -> Option<Next> + 'static,
    ) -> Result<(), DriverError> {
        let forget = move |io: &mut QuicIo<Half<epoll::EpollIo>>| {
            round(io).map(|next| match next {
                Next::ParkUntil(_) => Next::ParkUntil(Instant::NEVER),
                Next::Busy => Next::Busy,
            })
        };
        Arc::clone(&self.epoll).run(shard, listeners, forget)
    }
}

struct Sleeper(Shard, Arc<AtomicBool>);

impl Task for Sleeper {
    fn poll(&mut self, io: &mut impl crate::io::Io) -> Option<Next> {
        (!self.1.load(Ordering::SeqCst)).then(|| self.0.poll(io))
    }
}

struct Watched {
    shared: Arc<Shared>,
    counters: Counters,
    driver: Driver,
    guard: Guard,
    ending: Arc<AtomicBool>,
}

fn watched(wakes_heard: usize) -> Watched {
    let mut setup = setup(1);
    // So often the shard wakes up by itself, if it does.
    setup.times.reauth_interval_ms = 50;
    let shared = Arc::new(Shared::new(Facts::new(&setup).expect("a sound setup"), []));
    let (counters, events, in_flight) = (Counters::heap(1), EventRings::heap(1), InFlight::heap(1));
    let instruments = Instruments {
        counters: counters.shard(0).expect("a row"),
        events: events.shard(0).expect("a ring"),
        in_flight: in_flight.shard(0).expect("a place"),
        plugins: None,
        loops: None,
    };
    let clock = Clock::start();
    let shard = Shard::new(0, Arc::clone(&shared), instruments, [1; 32], clock.now()).expect("a sound setup");
    let ending = Arc::new(AtomicBool::new(false));
    let task = Sleeper(shard, Arc::clone(&ending));
    let epoll = Arc::new(epoll::Fabric::new(1, clock).expect("every host has epoll"));
    let backend = Forgetful { epoll, wakes_heard: AtomicUsize::new(wakes_heard) };
    let driver =
        Driver::spawn(backend, clock, vec![Plan { cpu: None, listeners: Vec::new(), task }]).expect("a thread");
    while matches!(driver.condition(0), crate::io::driver::Condition::Starting) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let guard = Guard::new(1, counters.process(), events.process());
    Watched { shared, counters, driver, guard, ending }
}

#[test]
fn a_parked_shard_that_sleeps_past_its_time_is_woken() {
    let mut watched = watched(usize::MAX);
    let start = std::time::Instant::now();
    while watched.counters.total(Counter::RESCUES) < 2 {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody woke it");
        let pause = watched.guard.look(&watched.shared, &watched.counters, &watched.driver).expect("a living shard");
        assert!(pause <= PAUSE_PARKED);
        std::thread::sleep(pause);
    }
    assert!(watched.counters.get(0, Counter::HEARTBEAT) >= 3, "and goes on");
    watched.ending.store(true, Ordering::SeqCst);
    watched.driver.join();
}

#[test]
fn a_shard_that_no_wake_up_helps_is_an_error() {
    let mut watched = watched(0);
    let start = std::time::Instant::now();
    let error = loop {
        assert!(start.elapsed() < Duration::from_secs(60), "nobody noticed");
        match watched.guard.look(&watched.shared, &watched.counters, &watched.driver) {
            Ok(pause) => std::thread::sleep(pause),
            Err(error) => break error,
        }
    };
    assert_eq!(error, DriverError::Stuck { shard: 0, seconds: 4 });
}
