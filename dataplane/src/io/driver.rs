//! Shards on threads of their own, whatever does their input and output: started, watched, woken, ended.

#[cfg(test)]
mod tests;

use super::{DriverError, Io};
use crate::shard::Next;
use crate::time::Instant;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_current_timer_slack};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause between two looks at shards that start or end.
const PAUSE: Duration = Duration::from_millis(2);

/// Monotonic time, the same for all shards of a process.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time that has passed.
    pub fn now(&self) -> Instant {
        Instant(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Ends the sleep of shards, from any thread.
pub trait Wakes: Send + Sync {
    /// A wake-up that comes before the sleep, or before the shard's first round, is not lost.
    fn wake(&self, shard: usize);
}

/// One way to do input and output: what its shards share, and how one of them runs.
pub trait Backend: Wakes + Sized + 'static {
    /// What a shard gets.
    type Io: Io;

    /// Runs on the shard's own thread until `round` gives none. Listeners are accepted from on this shard; those for datagrams
    /// are its own.
    fn run(
        self: Arc<Self>,
        shard: usize,
        listeners: Vec<OwnedFd>,
        round: impl FnMut(&mut Self::Io) -> Option<Next> + 'static,
    ) -> Result<(), DriverError>;
}

/// What is polled on a shard's thread.
pub trait Task: Send + 'static {
    /// One round; none ends the thread.
    fn poll(&mut self, io: &mut impl Io) -> Option<Next>;
}

/// One shard to start.
pub struct Plan<T> {
    /// The processor to pin it to, if any.
    pub cpu: Option<usize>,
    /// Sockets from which it accepts.
    pub listeners: Vec<OwnedFd>,
    /// What it does.
    pub task: T,
}

/// What is known of one shard.
#[derive(Clone, Debug)]
pub enum Condition {
    /// It has not polled yet.
    Starting,
    /// It has.
    Ready,
    /// Its thread has ended, with this error if it was not asked to.
    Ended(Option<DriverError>),
}

/// The running shards of a process.
pub struct Driver {
    wakes: Arc<dyn Wakes>,
    clock: Clock,
    seats: Arc<[Seat]>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seat {
    has_polled: AtomicBool,
    end: Mutex<Option<Result<(), DriverError>>>,
}

impl Seat {
    fn end(&self) -> std::sync::MutexGuard<'_, Option<Result<(), DriverError>>> {
        // A whole value after every statement, so a panic elsewhere cannot have torn it.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    /// Starts one thread for each plan.
    pub fn spawn<B: Backend, T: Task>(backend: B, clock: Clock, plans: Vec<Plan<T>>) -> Result<Self, DriverError> {
        let backend = Arc::new(backend);
        let seats: Arc<[Seat]> = plans.iter().map(|_| Seat::default()).collect();
        let mut driver = Self { wakes: backend.clone(), clock, seats, threads: Vec::new() };
        for (shard, plan) in plans.into_iter().enumerate() {
            let (backend, seats) = (Arc::clone(&backend), Arc::clone(&driver.seats));
            let thread = std::thread::Builder::new().name(format!("shard-{shard}"));
            let started = thread.spawn(move || {
                let outcome = run(backend, shard, plan, Arc::clone(&seats));
                *seats[shard].end() = Some(outcome);
            });
            let thread = started.map_err(|error| DriverError::os(shard, "start its thread", &error))?;
            driver.threads.push(thread);
        }
        Ok(driver)
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Ends the sleep of a shard.
    pub fn wake(&self, shard: usize) {
        self.wakes.wake(shard);
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.seats.len()
    }

    /// What is known of a shard.
    pub fn condition(&self, shard: usize) -> Condition {
        let Some(seat) = self.seats.get(shard) else { return Condition::Ended(None) };
        match &*seat.end() {
            Some(outcome) => Condition::Ended(outcome.as_ref().err().cloned()),
            // A thread that panics leaves nothing behind; the process's panic hook ends it before anybody looks here.
            None if self.threads.get(shard).is_some_and(JoinHandle::is_finished) => {
                Condition::Ended(Some(DriverError::Panicked { shard }))
            }
            None if seat.has_polled.load(Ordering::Acquire) => Condition::Ready,
            None => Condition::Starting,
        }
    }

    /// The error of the first shard that has ended unasked.
    pub fn check(&self) -> Result<(), DriverError> {
        for shard in 0..self.shards() {
            if let Condition::Ended(error) = self.condition(shard) {
                return Err(error.unwrap_or(DriverError::Returned { shard }));
            }
        }
        Ok(())
    }

    /// Waits until every shard has polled, so long at most.
    pub fn wait_until_ready(&self, limit: Duration) -> Result<(), DriverError> {
        let start = self.now();
        loop {
            self.check()?;
            let starting = (0..self.shards()).find(|shard| matches!(self.condition(*shard), Condition::Starting));
            let Some(shard) = starting else { return Ok(()) };
            if self.now().since(start) > limit {
                return Err(DriverError::NeverPolled { shard, seconds: limit.as_secs() });
            }
            // Cures a thread that hangs before its first round.
            self.wake(shard);
            std::thread::sleep(PAUSE);
        }
    }

    /// Wakes all shards again and again until their threads have ended: their tasks have been told to.
    pub fn join(self) {
        while !self.threads.iter().all(JoinHandle::is_finished) {
            (0..self.shards()).for_each(|shard| self.wake(shard));
            std::thread::sleep(PAUSE);
        }
        for thread in self.threads {
            // A shard that panicked has ended too.
            let _ended = thread.join();
        }
    }
}

fn run<B: Backend, T: Task>(
    backend: Arc<B>,
    shard: usize,
    plan: Plan<T>,
    seats: Arc<[Seat]>,
) -> Result<(), DriverError> {
    let Plan { cpu, listeners, mut task } = plan;
    // Keys pass over the shard's stack while it works with them.
    secret_memory::protect_stack();
    if let Some(cpu) = cpu {
        pin(shard, cpu)?;
    }
    wake_in_time();
    backend.run(shard, listeners, move |io| {
        let next = task.poll(io);
        seats[shard].has_polled.store(true, Ordering::Release);
        next
    })
}

/// Pins the calling thread.
fn pin(shard: usize, cpu: usize) -> Result<(), DriverError> {
    let may = sched_getaffinity(None).unwrap_or_default();
    if cpu >= CpuSet::MAX_CPU || !may.is_set(cpu) {
        let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| may.is_set(*cpu)).map(|cpu| cpu.to_string()).collect();
        return Err(DriverError::Processor { cpu, allowed: allowed.join(", ") });
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
        .map_err(|errno| DriverError::os(shard, "pin its thread (sched_setaffinity)", &errno.into()))
}

/// Lets the kernel end sleeps of the calling thread when they are over, and not up to 50 us later together with others. On
/// a host that forbids it packets leave so much later.
fn wake_in_time() {
    let _bearable = set_current_timer_slack(Some(NonZeroU64::MIN));
}
