//! The cases of the reference's own Sphinx benchmark (sphinx.md 15): 5 hops, 2,000 bytes of payload, no reply block.

use crypto_simd::random::{OsRandom, Random};
use crypto_simd::schemes::{KemDecapsulationKey, Nike, NikePrivateKey, SharedSecret, kem, nike};
use sphinx::unwrap::BATCH_MAX;
use sphinx::{Geometry, MixKey, PathHop, RoutingCommand, Sphinx, UnwrapError, UnwrapErrorReason, Unwrapper};
use std::time::{Duration, Instant};

/// Hops of every case.
pub const HOPS: usize = 5;
/// Bytes of payload of every case.
pub const PAYLOAD_BYTES: usize = 2000;

/// One line of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The reference's name of it.
    pub label: &'static str,
    /// The NIKE, or empty.
    pub nike: &'static str,
    /// The KEM, or empty.
    pub kem: &'static str,
}

/// All cases that are measured.
pub const CASES: &[Case] = &[
    Case { label: "X25519 NIKE", nike: "x25519", kem: "" },
    Case { label: "X448 NIKE", nike: "x448", kem: "" },
    Case { label: "X25519 KEM", nike: "", kem: "x25519" },
    Case { label: "X448 KEM", nike: "", kem: "x448" },
    Case { label: "MLKEM768 KEM", nike: "", kem: "MLKEM768" },
    Case { label: "Xwing KEM", nike: "", kem: "XWING" },
    Case { label: "MLKEM768-X25519 KEM", nike: "", kem: "MLKEM768-X25519" },
    Case { label: "MLKEM768-X448 KEM", nike: "", kem: "MLKEM768-X448" },
];

/// A case with keys and a path.
pub struct Prepared {
    /// Makes packets.
    pub sphinx: Sphinx,
    /// The first hop's key.
    pub key: MixKey,
    /// The path.
    pub path: Vec<PathHop>,
    /// The payload.
    pub payload: Vec<u8>,
    /// One packet for the first hop.
    pub packet: Vec<u8>,
}

impl Case {
    /// The geometry.
    pub fn geometry(&self) -> Result<Geometry, String> {
        let geometry = if self.kem.is_empty() {
            Geometry::nike(self.nike, PAYLOAD_BYTES, HOPS, false)
        } else {
            Geometry::kem(self.kem, PAYLOAD_BYTES, HOPS, false)
        };
        geometry.map_err(|error| error.to_string())
    }

    /// Keys, a path with a delay at each hop, and a packet; an error says that the scheme is not built in.
    pub fn prepare(&self) -> Result<Prepared, String> {
        prepare(self.geometry()?)
    }
}

fn prepare(geometry: Geometry) -> Result<Prepared, String> {
    let mut random = OsRandom;
    let mut first = None;
    let mut path = Vec::with_capacity(geometry.nr_hops);
    for hop in 0..geometry.nr_hops {
        let key = MixKey::new(&geometry, &private_key(&geometry)?).map_err(|error| error.to_string())?;
        let mut id = [0; 32];
        random.fill(&mut id);
        let command = if hop + 1 < geometry.nr_hops {
            RoutingCommand::NodeDelay { delay_ms: 0xdead_babe_u32.wrapping_mul(hop as u32 + 1) }
        } else {
            RoutingCommand::Recipient(id)
        };
        path.push(PathHop { id, public_key: key.public_key().to_vec(), commands: vec![command] });
        first.get_or_insert(key);
    }
    let key = first.ok_or("a path needs a hop")?;
    let sphinx = Sphinx::new(geometry).map_err(|error| error.to_string())?;
    let mut payload = vec![0; sphinx.geometry().forward_payload_length];
    let random_bytes = payload.len().min(103);
    random.fill(&mut payload[..random_bytes]);
    let packet = sphinx.new_packet(&path, &payload, &mut random).map_err(|error| error.to_string())?;
    Ok(Prepared { sphinx, key, path, payload, packet })
}

/// A fresh private key of the geometry's scheme.
pub fn private_key(geometry: &Geometry) -> Result<Vec<u8>, String> {
    let key = if geometry.kem_name.is_empty() {
        nike::by_name(&geometry.nike_name).map_err(|error| error.to_string())?.generate(&mut OsRandom)
    } else {
        kem::by_name(&geometry.kem_name).map_err(|error| error.to_string())?.generate(&mut OsRandom)
    };
    Ok(key.to_vec())
}

/// A batch of copies of one packet that can be unwrapped again and again. Copying is not part of what is timed.
pub struct UnwrapBench {
    unwrapper: Unwrapper,
    key: MixKey,
    packet: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    results: Vec<Result<sphinx::Unwrapped, UnwrapError>>,
}

impl UnwrapBench {
    /// Batches of `batch` packets (at most [`BATCH_MAX`]).
    pub fn new(prepared: Prepared, batch: usize) -> Result<Self, String> {
        let batch = batch.clamp(1, BATCH_MAX);
        let unwrapper = Unwrapper::new(prepared.sphinx.geometry(), batch).map_err(|error| error.to_string())?;
        let unset = Err(UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None });
        let buffers = vec![prepared.packet.clone(); batch];
        Ok(Self { unwrapper, key: prepared.key, packet: prepared.packet, buffers, results: vec![unset; batch] })
    }

    /// The time that one batch takes.
    ///
    /// # Panics
    ///
    /// If a packet does not unwrap, which its own keys rule out.
    pub fn time_batch(&mut self) -> Duration {
        self.buffers.iter_mut().for_each(|buffer| buffer.copy_from_slice(&self.packet));
        let mut packets: Vec<&mut [u8]> = self.buffers.iter_mut().map(Vec::as_mut_slice).collect();
        let started = Instant::now();
        self.unwrapper.unwrap_batch(&self.key, &mut packets, &mut self.results);
        let took = started.elapsed();
        assert!(self.results.iter().all(Result::is_ok), "a packet for this key unwraps");
        took
    }

    /// Packets in a batch.
    pub fn batch(&self) -> usize {
        self.buffers.len()
    }
}

/// The public-key operations that unwrapping a batch cannot do without, and nothing else.
pub struct FloorBench {
    operations: Operations,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    secrets: Vec<SharedSecret>,
}

enum Operations {
    /// One exchange and one blinding for each packet.
    Nike { nike: &'static dyn Nike, key: Box<dyn NikePrivateKey>, factor: Vec<u8> },
    /// One decapsulation for each packet.
    Kem { key: Box<dyn KemDecapsulationKey> },
}

impl FloorBench {
    /// Batches of `batch` packets (at most [`BATCH_MAX`]).
    pub fn new(geometry: &Geometry, batch: usize) -> Result<Self, String> {
        let batch = batch.clamp(1, BATCH_MAX);
        let private = private_key(geometry)?;
        let mut inputs = Vec::with_capacity(batch);
        let operations = if geometry.kem_name.is_empty() {
            let nike = nike::by_name(&geometry.nike_name).map_err(|error| error.to_string())?;
            for _ in 0..batch {
                inputs.push(nike.public_key(&private_key(geometry)?).map_err(|error| error.to_string())?);
            }
            let key = nike.load(&private).map_err(|error| error.to_string())?;
            Operations::Nike { nike, key, factor: private_key(geometry)? }
        } else {
            let kem = kem::by_name(&geometry.kem_name).map_err(|error| error.to_string())?;
            let key = kem.load(&private).map_err(|error| error.to_string())?;
            for _ in 0..batch {
                let mut ciphertext = vec![0; kem.info().ciphertext_bytes];
                kem.encapsulate(key.public_key(), &mut OsRandom, &mut ciphertext, &mut SharedSecret::default())
                    .map_err(|error| error.to_string())?;
                inputs.push(ciphertext);
            }
            Operations::Kem { key }
        };
        Ok(Self { operations, outputs: inputs.clone(), inputs, secrets: vec![SharedSecret::default(); batch] })
    }

    /// The time that one batch takes.
    ///
    /// # Panics
    ///
    /// If an operation fails, which good keys rule out.
    pub fn time_batch(&mut self) -> Duration {
        let inputs: Vec<&[u8]> = self.inputs.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<&mut [u8]> = self.outputs.iter_mut().map(Vec::as_mut_slice).collect();
        let mut results = vec![Ok(()); inputs.len()];
        let mut blinded = vec![Ok(()); inputs.len()];
        let started = Instant::now();
        match &self.operations {
            Operations::Nike { nike, key, factor } => {
                key.derive_batch(&inputs, &mut self.secrets, &mut results);
                let factors = vec![factor.as_slice(); inputs.len()];
                nike.blind_batch(&factors, &inputs, &mut outputs, &mut blinded);
            }
            Operations::Kem { key } => key.decapsulate_batch(&inputs, &mut self.secrets, &mut results),
        }
        let took = started.elapsed();
        assert!(results.iter().chain(&blinded).all(Result::is_ok), "good keys");
        took
    }
}

/// Packets per second that one core unwraps in batches of 32: the median batch of `duration`.
pub fn unwrap_packets_per_second(geometry: &Geometry, duration: Duration) -> Result<f64, String> {
    let mut bench = UnwrapBench::new(prepare(geometry.clone())?, 32)?;
    let started = Instant::now();
    let mut times = vec![bench.time_batch()];
    while started.elapsed() < duration {
        times.push(bench.time_batch());
    }
    Ok(bench.batch() as f64 / median(&mut times).as_secs_f64())
}

/// The median; zero of nothing.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
