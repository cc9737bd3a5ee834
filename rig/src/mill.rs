//! Packets made in advance, each with what the node must do with it: no key operation happens while anything is
//! measured.

use super::link::{FRAME_OVERHEAD_BYTES, PACKET_OFFSET, Presealed};
use crypto_simd::random::{OsRandom, Random, SeededRandom};
use rustc_hash::{FxHashMap, FxHasher};
use sphinx::create::{LoadCommand, LoadMaker};
use sphinx::{Geometry, Sphinx};
use std::hash::Hasher;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::FRAME_BODY_TAG_BYTES;

/// Packets that are made together, so that the kernels see full lanes.
pub const BATCH: usize = 32;
/// Packets that a thread takes at once.
const CHUNK: usize = 16 * BATCH;

/// What the node is told to do with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Which of the nodes behind it gets the packet.
    pub link: u16,
    /// The delay.
    pub delay_ms: u16,
}

/// Unique packets, by number, each in a frame that the links seal when they are up.
pub struct Pool {
    frame_bytes: usize,
    frames: Vec<u8>,
    orders: Vec<Order>,
    expected: FxHashMap<u64, u32>,
}

/// How delays are drawn: exponentially, in whole milliseconds from 1 up to a bound.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// The mean before rounding.
    pub mean_ms: f64,
    /// The bound.
    pub max_ms: u16,
}

impl Delays {
    fn draw(&self, random: &mut dyn Random) -> u16 {
        let delay = exponential(random) * self.mean_ms;
        (delay.round() as u16).clamp(1, self.max_ms)
    }
}

impl Pool {
    /// Packets for the node whose mix key is `public`, evenly for the nodes in `next`.
    pub fn make(
        geometry: &Geometry,
        public: &[u8],
        next: &[[u8; 32]],
        delays: Delays,
        count: usize,
    ) -> Result<Self, String> {
        let frame_bytes = geometry.packet_length + FRAME_OVERHEAD_BYTES;
        let mut frames = vec![0; count * frame_bytes];
        let mut filled = vec![(Order::default(), 0); count];
        let chunks = frames.chunks_mut(CHUNK * frame_bytes).zip(filled.chunks_mut(CHUNK));
        let chunks = Mutex::new(chunks);
        let work = || -> Result<(), String> {
            let mut maker = Maker::new(geometry, public, next, delays)?;
            loop {
                let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((frames, filled)) = chunk else { return Ok(()) };
                for (frames, filled) in frames.chunks_mut(BATCH * frame_bytes).zip(filled.chunks_mut(BATCH)) {
                    maker.fill(frames, filled)?;
                }
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..processors()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a mill thread ended badly")?)
        })?;
        Self::index(frame_bytes, frames, filled)
    }

    /// Packets of random bytes that are to be passed on as they are, from the nth link to the nth.
    pub fn random(geometry: &Geometry, links: usize, count: usize) -> Result<Self, String> {
        let frame_bytes = geometry.packet_length + FRAME_OVERHEAD_BYTES;
        let mut frames = vec![0; count * frame_bytes];
        let mut random = SeededRandom::new(&seed());
        let packets = frames.chunks_mut(frame_bytes).map(packet_of).enumerate();
        let filled = packets
            .map(|(number, packet)| {
                random.fill(packet);
                (Order { link: upstream_link(number, links) as u16, delay_ms: 0 }, hash(packet))
            })
            .collect();
        Self::index(frame_bytes, frames, filled)
    }

    fn index(frame_bytes: usize, frames: Vec<u8>, filled: Vec<(Order, u64)>) -> Result<Self, String> {
        let orders = filled.iter().map(|(order, _)| *order).collect();
        let expected: FxHashMap<u64, u32> = filled.iter().zip(0..).map(|((_, hash), number)| (*hash, number)).collect();
        // One in 2^28 runs with a million packets; such a run could not tell two packets apart.
        if expected.len() != filled.len() {
            return Err("two packets have the same hash; run again".into());
        }
        Ok(Self { frame_bytes, frames, orders, expected })
    }

    /// How many packets there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// Seals every frame for the link that it will be sent over.
    pub fn seal(&mut self, links: &mut [Presealed]) -> Result<(), String> {
        let count = links.len();
        let mut frames = self.frames.chunks_mut(self.frame_bytes).enumerate();
        frames.try_for_each(|(number, frame)| links[upstream_link(number, count)].seal(frame))
    }

    /// All frames.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Where the frame of the packet with this number lies in [`Pool::frames`].
    pub fn frame(&self, number: usize) -> Range<usize> {
        number * self.frame_bytes..(number + 1) * self.frame_bytes
    }

    /// The packet in a frame that is not sealed yet.
    pub fn packet(&self, number: usize) -> &[u8] {
        let frame = &self.frames[self.frame(number)];
        &frame[PACKET_OFFSET..frame.len() - FRAME_BODY_TAG_BYTES]
    }

    /// What the node is told to do with it.
    pub fn order(&self, number: usize) -> Order {
        self.orders[number]
    }

    /// The number of the packet that the node sends on as these bytes.
    pub fn number_of(&self, forwarded: &[u8]) -> Option<usize> {
        self.expected.get(&hash(forwarded)).map(|number| *number as usize)
    }
}

/// One thread's part.
struct Maker<'a> {
    maker: LoadMaker,
    next: &'a [[u8; 32]],
    delays: Delays,
    random: SeededRandom,
    frame_bytes: usize,
    packet_bytes: usize,
    forwarded: Vec<u8>,
}

impl<'a> Maker<'a> {
    fn new(geometry: &Geometry, public: &[u8], next: &'a [[u8; 32]], delays: Delays) -> Result<Self, String> {
        let sphinx = Sphinx::new(geometry.clone()).map_err(|error| error.to_string())?;
        let maker = LoadMaker::new(sphinx, public, &mut OsRandom).map_err(|error| error.to_string())?;
        let packet_bytes = geometry.packet_length;
        let frame_bytes = packet_bytes + FRAME_OVERHEAD_BYTES;
        let forwarded = vec![0; BATCH * packet_bytes];
        let random = SeededRandom::new(&seed());
        Ok(Self { maker, next, delays, random, frame_bytes, packet_bytes, forwarded })
    }

    fn fill(&mut self, frames: &mut [u8], filled: &mut [(Order, u64)]) -> Result<(), String> {
        for (order, _) in filled.iter_mut() {
            let link = uniform(&mut self.random) * self.next.len() as f64;
            *order = Order { link: link as u16, delay_ms: self.delays.draw(&mut self.random) };
        }
        let commands: Vec<_> = filled
            .iter()
            .map(|(order, _)| LoadCommand {
                next: self.next[usize::from(order.link)],
                delay_ms: u32::from(order.delay_ms),
            })
            .collect();
        let mut packets: Vec<&mut [u8]> = frames.chunks_mut(self.frame_bytes).map(packet_of).collect();
        let mut forwarded: Vec<&mut [u8]> = self.forwarded.chunks_mut(self.packet_bytes).take(commands.len()).collect();
        self.maker
            .make(&commands, &mut self.random, &mut packets, &mut forwarded)
            .map_err(|error| error.to_string())?;
        for ((_, expected), forwarded) in filled.iter_mut().zip(&forwarded) {
            *expected = hash(forwarded);
        }
        Ok(())
    }
}

/// Packets per second that all processors together make.
pub fn packets_per_second(geometry: &Geometry, public: &[u8], duration: Duration) -> Result<f64, String> {
    let delays = Delays { mean_ms: 1.0, max_ms: 1 };
    let mut maker = Maker::new(geometry, public, &[[1; 32]], delays)?;
    let mut frames = vec![0; BATCH * (geometry.packet_length + FRAME_OVERHEAD_BYTES)];
    let mut filled = vec![(Order::default(), 0); BATCH];
    let (started, mut made) = (Instant::now(), 0);
    while made == 0 || started.elapsed() < duration {
        maker.fill(&mut frames, &mut filled)?;
        made += BATCH;
    }
    Ok(made as f64 / started.elapsed().as_secs_f64() * processors() as f64)
}

/// Over which of `links` links to the node a packet is sent: some in a row take the same one, so that they can be
/// written at once.
pub fn upstream_link(number: usize, links: usize) -> usize {
    number / BATCH % links
}

/// The packet in a frame.
fn packet_of(frame: &mut [u8]) -> &mut [u8] {
    let end = frame.len() - FRAME_BODY_TAG_BYTES;
    &mut frame[PACKET_OFFSET..end]
}

/// Threads that can run at once.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// 64 bits that stand for a packet. Nobody chooses packets against it: it need not be a cryptographic hash.
fn hash(packet: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(packet);
    hasher.finish()
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    OsRandom.fill(&mut seed);
    seed
}

/// Uniform in [0, 1).
pub fn uniform(random: &mut dyn Random) -> f64 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// Exponential with mean 1.
pub fn exponential(random: &mut dyn Random) -> f64 {
    -(1.0 - uniform(random)).ln()
}
