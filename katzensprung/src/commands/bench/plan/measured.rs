//! What `bench node` has found, out of its JSON.

use super::super::scale::report::costs;
use super::line::{FRAME_OVERHEAD_BYTES, Transport};
use crypto_simd::cpu::{Level, level};
use serde::Deserialize;
use simnet::scale::Costs;
use sphinx::Geometry;
use std::path::Path;

/// What is measured where nothing else is asked for.
pub const SPHINX: &str = "x25519";
/// The same of user payload.
pub const PAYLOAD_BYTES: usize = 2000;
/// The most that such a file has.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What a packet of [`PROBE_BYTES`] took of both processors' halves of a transport, in microseconds, in a probe of 29
/// November 2026: veth, quinn with 44 segments per send, and TCP.
const PROBE_QUIC_US: f64 = 11.9;
const PROBE_TCP_US: f64 = 1.8;
const PROBE_BYTES: f64 = 3_100.0;

/// One way through a node.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    /// What the node was.
    pub role: String,
    /// The scheme of the packets, like `x25519 NIKE`.
    pub sphinx: String,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    shards: usize,
    packets_per_second: f64,
    cpu_us_per_packet: f64,
    #[serde(default)]
    stages: Vec<rig::Stage>,
    /// The other way through a gateway.
    to_clients: Option<Box<Measured>>,
    transport: Option<String>,
    good: Option<bool>,
    quiet: Option<bool>,
    /// Where that is from.
    #[serde(skip)]
    pub source: String,
}

/// What one shard does over a transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Packets per second of a shard that does nothing else.
    pub packets_per_second: f64,
    /// Processor time of a packet.
    pub cpu_us: f64,
    /// How that comes about.
    pub formula: String,
}

impl Measured {
    /// Out of a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let fail = |reason: String| format!("--measured {name}: {reason}");
        let size = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !size.is_file() || size.len() > FILE_BYTES_MAX {
            return Err(fail("not a file that `bench node --json` has written".into()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        Self::parse(&text, &name.to_string()).map_err(fail)
    }

    /// Out of its text.
    pub fn parse(text: &str, source: &str) -> Result<Self, String> {
        let mut found: Self =
            serde_json::from_str(text).map_err(|error| format!("not what `bench node --json` writes: {error}"))?;
        source.clone_into(&mut found.source);
        std::iter::once(&found).chain(found.to_clients.as_deref()).try_for_each(Self::check_figures)?;
        if !["mix", "gateway", "service"].contains(&found.role.as_str()) {
            return Err(format!("role {:?}: mix, gateway or service", found.role));
        }
        Ok(found)
    }

    fn check_figures(&self) -> Result<(), String> {
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        if !is_positive(self.packets_per_second) || !is_positive(self.cpu_us_per_packet) || self.shards == 0 {
            return Err(
                "it has no capacity: packets_per_second, cpu_us_per_packet and shards have to be above zero".into()
            );
        }
        let is_sound = |stage: &rig::Stage| stage.seconds.is_finite() && stage.seconds >= 0.0;
        if !self.stages.iter().all(is_sound) || self.packet_bytes == 0 || self.packet_bytes > 1 << 24 {
            return Err("its stages or packet_bytes cannot be".into());
        }
        Ok(())
    }

    /// That it is about what is asked for.
    pub fn check(&self, sphinx: Option<&str>, payload: Option<usize>) -> Result<(), String> {
        let (name, kind) = self.sphinx.rsplit_once(' ').ok_or("the measured scheme has no name and kind")?;
        let wanted = sphinx.map_or_else(|| format!("{}:{name}", kind.to_ascii_lowercase()), Into::into);
        let geometry = rig::geometry(&wanted, payload.unwrap_or(PAYLOAD_BYTES))?;
        let Geometry { nike_name, kem_name, packet_length, .. } = &geometry;
        let is_same = name.eq_ignore_ascii_case(if kind == "KEM" { kem_name } else { nike_name });
        if is_same && (payload.is_none() || *packet_length == self.packet_bytes) {
            return Ok(());
        }
        Err(format!(
            "{}: packets of {} bytes, {}; asked for are others: measure them with `bench node --json --sphinx {wanted} \
             --payload {}`",
            self.source,
            self.packet_bytes,
            self.sphinx,
            payload.unwrap_or(PAYLOAD_BYTES)
        ))
    }

    /// A geometry with packets of that size, for the simulation.
    pub fn geometry(&self) -> Result<Geometry, String> {
        let (name, kind) = self.sphinx.rsplit_once(' ').ok_or("the measured scheme has no name and kind")?;
        let name = format!("{}:{name}", kind.to_ascii_lowercase());
        let least = rig::geometry(&name, 1)?;
        let payload = (self.packet_bytes + 1).saturating_sub(least.packet_length).max(1);
        rig::geometry(&name, payload)
    }

    /// What one shard does over that transport: of a gateway half of the packets each way. Processor time is what counts: a host
    /// that had others to serve shows it all the same.
    pub fn shard(&self, transport: Transport) -> Shard {
        let ways: Vec<&Self> = std::iter::once(self).chain(self.to_clients.as_deref()).collect();
        let more_us = self.more_us(transport);
        let cpu_us = ways.iter().map(|way| way.cpu_us_per_packet).sum::<f64>() / ways.len() as f64 + more_us;
        let each: Vec<String> = ways.iter().map(|way| format!("{:.1}", way.cpu_us_per_packet)).collect();
        let mut formula = format!("{} us", each.join(" us one way and "));
        if more_us != 0.0 {
            formula += &format!(", {more_us:+.1} us for {transport}, ESTIMATED from a probe");
        }
        Shard { packets_per_second: 1e6 / cpu_us, cpu_us, formula }
    }

    /// What stages cost over that transport: what is more is half reading, half sending.
    pub fn costs(&self, transport: Transport) -> Costs {
        let more_ns = self.more_us(transport) * 500.0;
        let mut costs = costs(&self.stages, self.cpu_us_per_packet, level().map_or(1, Level::lanes), None);
        costs.receive_ns = costs.receive_ns.saturating_add_signed(more_ns as i64);
        costs.send_ns = costs.send_ns.saturating_add_signed(more_ns as i64);
        costs
    }

    /// Whether its stages are known.
    pub fn has_stages(&self) -> bool {
        self.stages.iter().any(|stage| stage.seconds > 0.0)
    }

    /// What should be known about the figures.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.good == Some(false) {
            notes.push("the measured node was NOT GOOD: mend that first".to_owned());
        }
        if self.quiet == Some(false) {
            notes.push("the host was NOT QUIET while it was measured: measure again".to_owned());
        }
        notes
    }

    /// What a packet takes more over that transport than over the measured one.
    fn more_us(&self, transport: Transport) -> f64 {
        let was_quic = self.transport.as_deref() == Some("quic");
        let more = (PROBE_QUIC_US - PROBE_TCP_US) * (self.packet_bytes + FRAME_OVERHEAD_BYTES) as f64 / PROBE_BYTES;
        match (was_quic, transport) {
            (false, Transport::Quic) => more,
            (true, Transport::Tcp) => -more.min(self.cpu_us_per_packet / 2.0),
            _ => 0.0,
        }
    }
}
