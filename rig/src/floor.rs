//! What one core does when it only opens frames, unwraps packets and seals frames, without a node around it: the floor
//! under the node's figures.

use super::mill::{ANYWHERE, BATCH, Delays, Pool};
use crypto_simd::random::OsRandom;
use crypto_simd::symmetric::{FrameHeader, FrameOpening, seal_frame};
use sphinx::{Geometry, MixKey, Scheme, UnwrapError, UnwrapErrorReason, Unwrapper};
use std::time::{Duration, Instant};
use wire::command::COMMAND_HEADER_BYTES;

/// Packets, and the key that they were made for.
pub struct Floor {
    geometry: Geometry,
    key: MixKey,
    pool: Pool,
}

/// What one core does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloorRates {
    /// Packets per second that it unwraps.
    pub unwraps_per_second: f64,
    /// Packets per second whose frames it opens, that it unwraps, and seals for the next link.
    pub packets_per_second: f64,
}

impl Floor {
    /// Makes a batch of packets.
    pub fn new(geometry: &Geometry) -> Result<Self, String> {
        let key = MixKey::new(geometry, &private_key(geometry)?).map_err(|error| error.to_string())?;
        let delays = Delays { mean_ms: 1.0, max_ms: 1 };
        let pool = Pool::make(geometry, key.public_key(), ANYWHERE, delays, BATCH, None)?;
        Ok(Self { geometry: geometry.clone(), key, pool })
    }

    /// The key for which packets are made.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key()
    }

    /// Works for `duration` on this thread, in batches of 32; counts the median batch of each kind of work.
    pub fn measure(&self, duration: Duration) -> Result<FloorRates, String> {
        let mut unwrapper = Unwrapper::new(&self.geometry, BATCH).map_err(|error| error.to_string())?;
        let unset = Err(UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None });
        let mut results: Vec<Result<_, UnwrapError>> = vec![unset; BATCH];
        let (mut link_in, mut link_out) = (LinkIn::new(), [2; 32]);
        let (mut unwraps, mut ciphers) = (Vec::new(), Vec::new());
        let started = Instant::now();
        while unwraps.is_empty() || started.elapsed() < duration {
            let mut frames: Vec<Frame> = (0..BATCH).map(|number| link_in.seal(self.pool.packet(number))).collect();
            let begin = Instant::now();
            frames.iter_mut().try_for_each(|frame| link_in.open(frame))?;
            let opened = Instant::now();
            let mut packets: Vec<&mut [u8]> =
                frames.iter_mut().map(|frame| &mut frame.body[COMMAND_HEADER_BYTES..]).collect();
            unwrapper.unwrap_batch(&self.key, &mut packets, &mut results);
            let unwrapped = Instant::now();
            for Frame { header, body, .. } in &mut frames {
                std::hint::black_box(seal_frame(&mut link_out, 0, header, body));
            }
            let sealed = Instant::now();
            if results.iter().any(Result::is_err) {
                return Err("a packet made for a key does not unwrap with it".into());
            }
            unwraps.push((unwrapped - opened).as_secs_f64());
            ciphers.push(((opened - begin) + (sealed - unwrapped)).as_secs_f64());
        }
        let (unwrap, ciphers) = (median(unwraps), median(ciphers));
        Ok(FloorRates {
            unwraps_per_second: BATCH as f64 / unwrap,
            packets_per_second: BATCH as f64 / (unwrap + ciphers),
        })
    }
}

/// A frame in its parts.
struct Frame {
    header: FrameHeader,
    body: Vec<u8>,
    tags: [[u8; 16]; 2],
}

/// Both ends of the link before the node.
struct LinkIn {
    sealing: [u8; 32],
    opening_key: [u8; 32],
    opening: FrameOpening,
}

impl LinkIn {
    fn new() -> Self {
        Self { sealing: [1; 32], opening_key: [1; 32], opening: FrameOpening::new() }
    }

    fn seal(&mut self, packet: &[u8]) -> Frame {
        let mut header = FrameHeader::default();
        let mut body = vec![0; COMMAND_HEADER_BYTES + packet.len()];
        body[COMMAND_HEADER_BYTES..].copy_from_slice(packet);
        let tags = seal_frame(&mut self.sealing, 0, &mut header, &mut body);
        Frame { header, body, tags }
    }

    fn open(&mut self, frame: &mut Frame) -> Result<(), String> {
        let Self { opening_key, opening, .. } = self;
        let opened = opening
            .open_header(opening_key, 0, &mut frame.header, &frame.tags[0])
            .and_then(|()| opening.open_body(opening_key, &mut frame.body, &frame.tags[1]));
        opened.map_err(|_| "a frame does not open with the key that it was sealed with".into())
    }
}

/// The middle one; of an even number, the upper of two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A fresh private key of the geometry's scheme.
pub fn private_key(geometry: &Geometry) -> Result<Vec<u8>, String> {
    let scheme = Scheme::of(geometry).map_err(|error| error.to_string())?;
    Ok(scheme.generate(&mut OsRandom).to_vec())
}
