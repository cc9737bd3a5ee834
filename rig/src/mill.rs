//! Packets made in advance, each with what the node must do with it: no key operation happens while capacity or lateness
//! is measured.

use super::frame::{FRAME_OVERHEAD_BYTES, PACKET_OFFSET, PacketSealer};
use crypto_simd::random::{OsRandom, Random, SeededRandom};
use rustc_hash::FxHasher;
use sphinx::create::{LoadCommand, LoadMaker};
use sphinx::{Geometry, NODE_ID_BYTES, RECIPIENT_ID_BYTES, SURB_ID_BYTES, Sphinx};
use std::hash::Hasher;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::FRAME_BODY_TAG_BYTES;

/// Packets that are made together, so that the kernels see full lanes.
pub const BATCH: usize = 32;
/// Bytes of frames that a thread takes at once.
const CHUNK_BYTES: usize = 1 << 20;
/// The most packets and bytes that are made to find out how fast that goes.
const TRIAL_PACKETS: usize = 200_000;
const TRIAL_BYTES: usize = 1 << 30;

/// What the node is told to do with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Which of the nodes behind it, or of its users, gets what comes out.
    pub link: u16,
    /// The delay.
    pub delay_ms: u16,
}

/// What must come out of the node for a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Stands for the bytes.
    pub hash: u64,
    /// Where and when.
    pub order: Order,
}

/// What packets are for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To be sent on to one of these nodes.
    Forward {
        /// Their ids.
        next: &'a [[u8; NODE_ID_BYTES]],
    },
    /// For a service, whose replies go to one of these nodes.
    Request {
        /// What stands for the service.
        recipient: [u8; RECIPIENT_ID_BYTES],
        /// Their ids.
        next: &'a [[u8; NODE_ID_BYTES]],
    },
    /// For one of these users.
    Reply {
        /// Their names.
        users: &'a [[u8; RECIPIENT_ID_BYTES]],
    },
}

impl Purpose<'_> {
    /// Where what comes out may go.
    fn ways(&self) -> usize {
        match self {
            Self::Forward { next } | Self::Request { next, .. } => next.len(),
            Self::Reply { users } => users.len(),
        }
    }

    fn draw(&self, delays: Delays, random: &mut dyn Random) -> Order {
        let link = (uniform(random) * self.ways() as f64) as u16;
        // Mail is given to its user at once.
        let delay_ms = if matches!(self, Self::Reply { .. }) { 0 } else { delays.draw(random) };
        Order { link, delay_ms }
    }

    fn command(&self, order: Order, random: &mut dyn Random) -> LoadCommand {
        let (way, delay_ms) = (usize::from(order.link), u32::from(order.delay_ms));
        match *self {
            Self::Forward { next } => LoadCommand::Forward { next: next[way], delay_ms },
            Self::Request { recipient, next } => LoadCommand::Request { recipient, next: next[way], delay_ms },
            Self::Reply { users } => {
                let mut surb_id = [0; SURB_ID_BYTES];
                random.fill(&mut surb_id);
                LoadCommand::Reply { recipient: users[way], surb_id }
            }
        }
    }
}

/// Unique packets, by number, each in a frame that the links seal when they are up.
#[derive(Default)]
pub struct Pool {
    frame_bytes: usize,
    /// Packets that follow each other over one link.
    in_a_row: usize,
    frames: Vec<u8>,
    expected: Vec<Expected>,
}

/// For packets of which nobody gets any.
pub const ANYWHERE: Purpose<'_> = Purpose::Forward { next: &[[1; NODE_ID_BYTES]] };

/// How delays are drawn, as clients do: exponentially, in whole milliseconds from 1 up to a bound (client.md 13.2).
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
        (delay as u16).saturating_add(1).min(self.max_ms)
    }
}

impl Pool {
    /// Packets for the node whose mix key is `public`, evenly for those whom `purpose` names: `count`, or fewer when the
    /// deadline comes before.
    pub fn make(
        geometry: &Geometry,
        public: &[u8],
        purpose: Purpose<'_>,
        delays: Delays,
        count: usize,
        deadline: Option<Instant>,
    ) -> Result<Self, String> {
        let frame_bytes = geometry.packet_length + FRAME_OVERHEAD_BYTES;
        let mut frames = vec![0; count * frame_bytes];
        let mut expected = vec![Expected::default(); count];
        let chunk = (CHUNK_BYTES / frame_bytes).next_multiple_of(BATCH);
        let chunks = frames.chunks_mut(chunk * frame_bytes).zip(expected.chunks_mut(chunk));
        // In order, so that those made before the deadline are the first.
        let chunks = Mutex::new((0, chunks));
        let work = || -> Result<(), String> {
            let mut maker = Maker::new(geometry, public, purpose, delays)?;
            loop {
                let chunk = {
                    let (made, chunks) = &mut *chunks.lock().unwrap_or_else(PoisonError::into_inner);
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Ok(());
                    }
                    chunks.next().inspect(|(_, expected)| *made += expected.len())
                };
                let Some((frames, expected)) = chunk else { return Ok(()) };
                maker.fill(frames, expected)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..processors()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a mill thread ended badly")?)
        })?;
        let (made, _) = chunks.into_inner().unwrap_or_else(PoisonError::into_inner);
        frames.truncate(made * frame_bytes);
        expected.truncate(made);
        Ok(Self { frame_bytes, in_a_row: BATCH, frames, expected })
    }

    /// Packets of random bytes that are to be passed on as they are, from the nth link to the nth.
    pub fn random(geometry: &Geometry, links: usize, count: usize) -> Self {
        let frame_bytes = geometry.packet_length + FRAME_OVERHEAD_BYTES;
        let mut frames = vec![0; count * frame_bytes];
        let mut random = SeededRandom::new(&seed());
        let packets = frames.chunks_mut(frame_bytes).map(packet_of).enumerate();
        let expected = packets
            .map(|(number, packet)| {
                random.fill(packet);
                Expected { hash: hash(packet), order: Order { link: (number / BATCH % links) as u16, delay_ms: 0 } }
            })
            .collect();
        Self { frame_bytes, in_a_row: BATCH, frames, expected }
    }

    /// Room for `count` packets.
    pub fn with_room_for(geometry: &Geometry, count: usize) -> Self {
        let frame_bytes = geometry.packet_length + FRAME_OVERHEAD_BYTES;
        let (frames, expected) = (vec![0; count * frame_bytes], vec![Expected::default(); count]);
        Self { frame_bytes, in_a_row: BATCH, frames, expected }
    }

    /// Other packets in the same room.
    pub fn refill(&mut self, maker: &mut Maker<'_>) -> Result<(), String> {
        maker.fill(&mut self.frames, &mut self.expected)
    }

    /// Lets each packet take another link than the one before, as those of many clients do.
    pub fn take_turns(&mut self) {
        self.in_a_row = 1;
    }

    /// Over which of `links` links to the node a packet is sent: some in a row take the same one, so that they can be
    /// written at once.
    pub fn upstream_link(&self, number: usize, links: usize) -> usize {
        number / self.in_a_row % links
    }

    /// How many packets there are.
    pub fn count(&self) -> usize {
        self.expected.len()
    }

    /// Seals the frames for the links that they will be sent over, on all processors. Packets that are not sealed at the
    /// deadline are let go.
    pub fn seal(&mut self, links: &mut [PacketSealer], deadline: Option<Instant>) -> Result<(), String> {
        let (count, in_a_row) = (links.len(), self.in_a_row);
        let threads = processors().min(count).max(1);
        // A thread has some of the links, and seals what goes over them in the order of the numbers.
        let mut parts: Vec<(Vec<&mut PacketSealer>, Vec<Unsealed<'_>>)> =
            (0..threads).map(|_| Default::default()).collect();
        for (number, link) in links.iter_mut().enumerate() {
            parts[number % threads].0.push(link);
        }
        for (number, frame) in self.frames.chunks_mut(self.frame_bytes).enumerate() {
            let link = number / in_a_row % count;
            parts[link % threads].1.push(Unsealed { number, link: link / threads, frame });
        }
        let seal = |links: &mut [&mut PacketSealer], part: Vec<Unsealed<'_>>| -> Result<Option<usize>, String> {
            for (at, Unsealed { number, link, frame }) in part.into_iter().enumerate() {
                if at % BATCH == 0 && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Ok(Some(number));
                }
                links[link].seal(frame)?;
            }
            Ok(None)
        };
        let unsealed = std::thread::scope(|scope| {
            let threads = parts.into_iter().map(|(mut links, part)| scope.spawn(move || seal(&mut links, part)));
            let threads: Vec<_> = threads.collect();
            let firsts = threads.into_iter().map(|thread| thread.join().map_err(|_| "a sealing thread ended badly")?);
            firsts.collect::<Result<Vec<_>, String>>()
        })?;
        if let Some(first) = unsealed.into_iter().flatten().min() {
            self.frames.truncate(first * self.frame_bytes);
            self.expected.truncate(first);
        }
        Ok(())
    }

    /// The same on this thread, in the order of the numbers.
    pub fn seal_in_order(&mut self, links: &mut [PacketSealer]) -> Result<(), String> {
        let (count, in_a_row) = (links.len(), self.in_a_row);
        let mut frames = self.frames.chunks_mut(self.frame_bytes).enumerate();
        frames.try_for_each(|(number, frame)| links[number / in_a_row % count].seal(frame))
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

    /// What must come out for it.
    pub fn expected(&self, number: usize) -> Expected {
        self.expected[number]
    }
}

/// A frame that waits for its link, which is one of those that a thread has.
struct Unsealed<'a> {
    number: usize,
    link: usize,
    frame: &'a mut [u8],
}

/// Makes packets for one mix key on one thread.
pub struct Maker<'a> {
    maker: LoadMaker,
    purpose: Purpose<'a>,
    delays: Delays,
    random: SeededRandom,
    frame_bytes: usize,
    packet_bytes: usize,
    /// Where what comes out begins: users get no header.
    output_offset: usize,
    forwarded: Vec<u8>,
}

impl<'a> Maker<'a> {
    /// For the mix key `public`.
    pub fn new(geometry: &Geometry, public: &[u8], purpose: Purpose<'a>, delays: Delays) -> Result<Self, String> {
        let sphinx = Sphinx::new(geometry.clone()).map_err(|error| error.to_string())?;
        let maker = LoadMaker::new(sphinx, public, &mut OsRandom).map_err(|error| error.to_string())?;
        let packet_bytes = geometry.packet_length;
        let frame_bytes = packet_bytes + FRAME_OVERHEAD_BYTES;
        let forwarded = vec![0; BATCH * packet_bytes];
        let random = SeededRandom::new(&seed());
        let output_offset = if matches!(purpose, Purpose::Reply { .. }) { geometry.header_length } else { 0 };
        Ok(Self { maker, purpose, delays, random, frame_bytes, packet_bytes, output_offset, forwarded })
    }

    fn fill(&mut self, frames: &mut [u8], expected: &mut [Expected]) -> Result<(), String> {
        let batches = frames.chunks_mut(BATCH * self.frame_bytes).zip(expected.chunks_mut(BATCH));
        batches.into_iter().try_for_each(|(frames, expected)| self.fill_batch(frames, expected))
    }

    fn fill_batch(&mut self, frames: &mut [u8], expected: &mut [Expected]) -> Result<(), String> {
        let mut commands = Vec::with_capacity(expected.len());
        for Expected { order, .. } in expected.iter_mut() {
            *order = self.purpose.draw(self.delays, &mut self.random);
            commands.push(self.purpose.command(*order, &mut self.random));
        }
        let mut packets: Vec<&mut [u8]> = frames.chunks_mut(self.frame_bytes).map(packet_of).collect();
        let mut forwarded: Vec<&mut [u8]> = self.forwarded.chunks_mut(self.packet_bytes).take(commands.len()).collect();
        self.maker
            .make(&commands, &mut self.random, &mut packets, &mut forwarded)
            .map_err(|error| error.to_string())?;
        for (expected, forwarded) in expected.iter_mut().zip(&forwarded) {
            expected.hash = hash(&forwarded[self.output_offset..]);
        }
        Ok(())
    }
}

/// Packets per second that all processors together make, as found by making some for `duration`, in new memory.
pub fn packets_per_second(geometry: &Geometry, public: &[u8], duration: Duration) -> Result<f64, String> {
    let delays = Delays { mean_ms: 1.0, max_ms: 1 };
    let count = TRIAL_PACKETS.min(TRIAL_BYTES / (geometry.packet_length + FRAME_OVERHEAD_BYTES));
    let started = Instant::now();
    let pool = Pool::make(geometry, public, ANYWHERE, delays, count.max(BATCH), Some(started + duration))?;
    Ok(pool.count().max(1) as f64 / started.elapsed().as_secs_f64())
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
pub fn hash(packet: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(packet);
    hasher.finish()
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    OsRandom.fill(&mut seed);
    seed
}

/// Uniform in [0, 1), in steps that are fine enough for the longest delays.
pub fn uniform(random: &mut dyn Random) -> f64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Exponential with mean 1.
pub fn exponential(random: &mut dyn Random) -> f64 {
    -(1.0 - uniform(random)).ln()
}
