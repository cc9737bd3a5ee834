//! The cases of the reference's own Sphinx benchmark (sphinx.md 15): 5 hops, no reply block, 2,000 bytes of payload
//! there and other sizes here.

use crypto_simd::random::{OsRandom, Random};
use rig::floor::private_key;
use sphinx::{Geometry, MixKey, PathHop, RoutingCommand, Sphinx};

/// Hops of every case.
pub const HOPS: usize = 5;
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

/// The case beside which other implementations are measured: theirs are over X25519 too.
pub const X25519_NIKE: Case = Case { label: "X25519 NIKE", nike: "x25519", kem: "" };

/// All cases that are measured.
pub const CASES: &[Case] = &[
    X25519_NIKE,
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
    /// The same, serialised.
    pub private: Vec<u8>,
    /// The path.
    pub path: Vec<PathHop>,
    /// The payload.
    pub payload: Vec<u8>,
    /// One packet for the first hop.
    pub packet: Vec<u8>,
}

impl Case {
    /// The geometry for a payload of that size.
    pub fn geometry(&self, payload_bytes: usize) -> Result<Geometry, String> {
        let geometry = if self.kem.is_empty() {
            Geometry::nike(self.nike, payload_bytes, HOPS, false)
        } else {
            Geometry::kem(self.kem, payload_bytes, HOPS, false)
        };
        geometry.map_err(|error| error.to_string())
    }

    /// Keys, a path with a delay at each hop, and a packet; an error says that the scheme is not built in.
    pub fn prepare(&self, payload_bytes: usize) -> Result<Prepared, String> {
        prepare(self.geometry(payload_bytes)?)
    }

    /// Whether one packet of libraries takes a tenth of a millisecond or more.
    pub fn is_slow(&self) -> bool {
        self.label.contains("X448")
    }
}

fn prepare(geometry: Geometry) -> Result<Prepared, String> {
    let mut random = OsRandom;
    let mut first = None;
    let mut path = Vec::with_capacity(geometry.nr_hops);
    for hop in 0..geometry.nr_hops {
        let private = private_key(&geometry)?;
        let key = MixKey::new(&geometry, &private).map_err(|error| error.to_string())?;
        let mut id = [0; 32];
        random.fill(&mut id);
        let command = if hop + 1 < geometry.nr_hops {
            RoutingCommand::NodeDelay { delay_ms: 0xdead_babe_u32.wrapping_mul(hop as u32 + 1) }
        } else {
            RoutingCommand::Recipient(id)
        };
        path.push(PathHop { id, public_key: key.public_key().to_vec(), commands: vec![command] });
        first.get_or_insert((key, private));
    }
    let (key, private) = first.ok_or("a path needs a hop")?;
    let sphinx = Sphinx::new(geometry).map_err(|error| error.to_string())?;
    let mut payload = vec![0; sphinx.geometry().forward_payload_length];
    let random_bytes = payload.len().min(103);
    random.fill(&mut payload[..random_bytes]);
    let packet = sphinx.new_packet(&path, &payload, &mut random).map_err(|error| error.to_string())?;
    Ok(Prepared { sphinx, key, private, path, payload, packet })
}
