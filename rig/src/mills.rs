//! Mills at work while packets flow: what is sent is unique and was made a moment ago, for the mix key of that moment, so
//! that a run may be as long as anybody likes and its memory stays what it is.

use super::frame::{FRAME_OVERHEAD_BYTES, PacketSealer};
use super::mill::{BATCH, Delays, Maker, Pool, Purpose};
use super::supply::Stream;
use super::{Failure, cpu};
use pki::{Epoch, EpochClock};
use sphinx::Geometry;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use testnet::session::unix_now;

/// Bytes of the frames that are made in one go.
const POOL_BYTES: usize = 1 << 20;
/// Of so many some may be just made, sent or written.
const POOLS_IN_HAND: usize = 3;
/// Fewer would make mill and rig wait for each other.
const POOLS_MIN: usize = POOLS_IN_HAND + 2;
/// Between two looks at how far they are.
const LOOK: Duration = Duration::from_millis(20);

/// What to make, and when which key is good.
pub struct Mills<'a> {
    /// Sizes of packets.
    pub geometry: &'a Geometry,
    /// What they are for.
    pub purpose: Purpose<'a>,
    /// What they ask for.
    pub delays: Delays,
    /// Each takes another link than the one before.
    pub in_turns: bool,
    /// All epochs.
    pub clock: &'a EpochClock,
    /// The first one with a key.
    pub first: Epoch,
    /// The node's mix keys.
    pub keys: &'a (dyn Fn(Epoch) -> Option<Vec<u8>> + Sync),
    /// Where mills run, one on each; one runs anywhere if there is none.
    pub processors: &'a [usize],
}

/// What is in stock.
pub struct Stock<'a> {
    shared: &'a Shared,
    pools: usize,
    pool_packets: usize,
}

impl Stock<'_> {
    /// Waits until it is full, `limit` is over, or a mill has failed. Gives the share that is there.
    pub fn wait(&self, limit: Duration) -> f64 {
        let started = Instant::now();
        let stocked = || self.shared.stocked.load(Ordering::Relaxed);
        let is_waiting = || !self.shared.failed.load(Ordering::Relaxed) && started.elapsed() < limit;
        // Some are in the hands of mills and rig.
        while stocked() + POOLS_IN_HAND < self.pools && is_waiting() {
            std::thread::sleep(LOOK);
        }
        stocked() as f64 / self.pools as f64
    }

    /// How many packets there are.
    pub fn packets(&self) -> usize {
        self.shared.stocked.load(Ordering::Relaxed) * self.pool_packets
    }
}

/// What the mills share.
struct Shared {
    empty: Mutex<Receiver<Pool>>,
    /// Whoever has it seals and hands over: frames must come in the order of sealing.
    full: Mutex<(Vec<PacketSealer>, Option<Sender<Pool>>)>,
    stocked: Arc<AtomicUsize>,
    failed: AtomicBool,
}

impl Mills<'_> {
    /// Works as long as `work` does, at most `stock_packets` ahead.
    pub fn run<T>(
        &self,
        sealers: Vec<PacketSealer>,
        stock_packets: usize,
        work: impl FnOnce(Stream, &Stock<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let pool_packets = (POOL_BYTES / (self.geometry.packet_length + FRAME_OVERHEAD_BYTES)).next_multiple_of(BATCH);
        let pools = (stock_packets / pool_packets).max(POOLS_MIN);
        let ((empty_sender, empty), (full_sender, full)) = (channel(), channel());
        for _ in 0..pools {
            let mut pool = Pool::with_room_for(self.geometry, pool_packets);
            if self.in_turns {
                pool.take_turns();
            }
            empty_sender.send(pool).map_err(|error| error.to_string())?;
        }
        let shared = Shared {
            empty: Mutex::new(empty),
            full: Mutex::new((sealers, Some(full_sender))),
            stocked: Arc::default(),
            failed: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let processors = self.processors.iter().copied().map(Some);
            let processors: Vec<_> = if self.processors.is_empty() { vec![None] } else { processors.collect() };
            let shared_by_all = &shared;
            let start = |processor| scope.spawn(move || self.mill(shared_by_all, processor));
            let mills: Vec<_> = processors.into_iter().map(start).collect();
            let stock = Stock { shared: &shared, pools, pool_packets };
            // With the stream, which it drops, the mills end.
            let outcome = work(Stream { full, empty: empty_sender, stocked: shared.stocked.clone() }, &stock);
            for mill in mills {
                mill.join().map_err(|_| "a mill ended badly".to_owned())??;
            }
            outcome
        })
    }

    fn mill(&self, shared: &Shared, processor: Option<usize>) -> Result<(), String> {
        let outcome = self.make(shared, processor);
        if outcome.is_err() {
            // Nobody must wait for what does not come.
            locked(&shared.full).1 = None;
            shared.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn make(&self, shared: &Shared, processor: Option<usize>) -> Result<(), String> {
        cpu::pin(processor)?;
        cpu::give_way()?;
        let mut maker: Option<(Epoch, Maker<'_>)> = None;
        loop {
            let Ok(mut pool) = locked(&shared.empty).recv() else { return Ok(()) };
            let epoch = self.clock.now(unix_now()).map_or(self.first, |time| time.epoch.max(self.first));
            let maker = match &mut maker {
                Some((of, maker)) if *of == epoch => maker,
                maker => &mut maker.insert((epoch, self.maker(epoch)?)).1,
            };
            pool.refill(maker)?;
            let (sealers, full) = &mut *locked(&shared.full);
            pool.seal_in_order(sealers)?;
            shared.stocked.fetch_add(1, Ordering::Relaxed);
            if full.as_ref().is_none_or(|full| full.send(pool).is_err()) {
                return Ok(());
            }
        }
    }

    fn maker(&self, epoch: Epoch) -> Result<Maker<'_>, String> {
        let key = (self.keys)(epoch).ok_or_else(|| format!("the node has posted no mix key for epoch {epoch}"))?;
        Maker::new(self.geometry, &key, self.purpose, self.delays)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
