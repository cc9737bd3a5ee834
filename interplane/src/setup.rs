//! What a data plane is told once, when a control plane attaches. Every value is final: defaults of the configuration
//! file are filled in.

mod adjustable;
mod pool_size;
#[cfg(test)]
pub(crate) mod tests;

pub use adjustable::{Adjustable, ClientRate, OrderedRate};
pub use pool_size::PoolSize;

use crate::counter::SHARDS_MAX;
use pki::epoch::PeriodError;
use pki::neighbours::Role;
use pki::{EpochClock, NodeId};
use serde::{Deserialize, Serialize};
use sphinx::Geometry;
use std::time::Duration;

/// Most packets of a batch.
pub const BATCH_PACKETS_MAX: usize = 32;

/// What the defaults below are sized for: enough for tests and tools. A node's line rate comes from its configuration or
/// its host (`controlplane/src/node/memory.rs`).
const SMALL_LINE_RATE: u32 = 5_000;

/// All static facts of a data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The node's name, for logs.
    pub name: String,
    /// The hash of the node's identity key: its additional data in handshakes.
    pub node_id: NodeId,
    /// The configured role.
    pub role: Role,
    /// Sizes of packets and the scheme of mix keys.
    pub geometry: Geometry,
    /// The KEM of link handshakes, by canonical name.
    pub wire_kem: String,
    /// The period of epochs.
    pub epoch_period: Duration,
    /// The `[Debug]` section's times.
    pub times: Times,
    /// Limits of the packet path and of connections.
    pub limits: Limits,
    /// What clients may do and have; only gateways have clients.
    pub clients: Clients,
    /// Shards and their machine.
    pub machine: Machine,
    /// Buckets of each replay set (`replay::replay_capacity`).
    pub replay_buckets: u64,
    /// Whether the node makes loops of its own.
    pub sends_decoys: bool,
    /// Whether the memory of replay sets is taken ahead of time, in huge pages, and not as it is used.
    pub populates_replay_sets: bool,
}

/// Times in milliseconds, under the names of the configuration file (server.md 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Longest dwell before an unwrap.
    pub unwrap_delay_ms: u64,
    /// Longest time between arrival and service at a service node.
    pub service_delay_ms: u64,
    /// Longest time between arrival and a service's work.
    pub kaetzchen_delay_ms: u64,
    /// How much later than its delays say a loop of the node's own may come back.
    pub decoy_slack_ms: u64,
    /// Latest dispatch after a packet is due.
    pub scheduler_slack_ms: u64,
    /// Longest wait for a link.
    pub send_slack_ms: u64,
    /// Longest time between arrival and delivery at a gateway.
    pub gateway_delay_ms: u64,
    /// Longest dial.
    pub connect_timeout_ms: u64,
    /// Longest handshake.
    pub handshake_timeout_ms: u64,
    /// Time between two authentications of a live connection.
    pub reauth_interval_ms: u64,
}

impl Default for Times {
    /// The reference's defaults.
    fn default() -> Self {
        Self {
            unwrap_delay_ms: 250,
            service_delay_ms: 500,
            kaetzchen_delay_ms: 750,
            decoy_slack_ms: 15_000,
            scheduler_slack_ms: 450,
            send_slack_ms: 50,
            gateway_delay_ms: 500,
            connect_timeout_ms: 60_000,
            handshake_timeout_ms: 3_000,
            reauth_interval_ms: 30_000,
        }
    }
}

/// What keeps a shard's work and memory bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Packets in the delay queue of all shards together; 0 is no limit but that of the pool (`SchedulerQueueSize`).
    pub scheduler_queue_packets: u64,
    /// Packets per second that the node is sized for.
    pub packets_per_second: u32,
    /// Packets in the queue of one link.
    pub link_queue_packets: u32,
    /// Open incoming connections of all shards together.
    pub connections: u32,
    /// Unfinished handshakes of peers that come from where neighbours may come from.
    pub handshakes_of_neighbours: u32,
    /// Unfinished handshakes of all others.
    pub handshakes_of_strangers: u32,
    /// Unfinished handshakes per source address, for each neighbour that may be behind it.
    pub handshakes_per_address: u32,
    /// Open connections per source address from which no neighbour may come; 0 is no limit.
    pub connections_per_address: u32,
}

/// What clients of a gateway may do and have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// How fast they may send.
    pub rate: ClientRate,
    /// Messages that wait for one of them.
    pub mailbox_messages: u32,
    /// Bytes of the messages that wait for all of them.
    pub spool_bytes: u64,
    /// Whether the control plane is asked who may be one, over `requests::PluginRings`.
    pub has_user_database: bool,
    /// Whether the control plane keeps the messages that wait for registered ones, too.
    pub keeps_mail: bool,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            rate: ClientRate::default(),
            mailbox_messages: 512,
            spool_bytes: 256 << 20,
            has_user_database: false,
            keeps_mail: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            scheduler_queue_packets: 0,
            packets_per_second: SMALL_LINE_RATE,
            link_queue_packets: 64,
            connections: 16_384,
            handshakes_of_neighbours: 384,
            handshakes_of_strangers: 128,
            handshakes_per_address: 32,
            connections_per_address: 1024,
        }
    }
}

/// How input and output are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// io_uring where it works, else epoll.
    #[default]
    Auto,
    /// The own reactor on io_uring.
    Uring,
    /// Plain readiness.
    Epoll,
    /// glommio's executors.
    Glommio,
}

/// What carries the datagrams of links over QUIC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Datagrams {
    /// The kernel's sockets.
    #[default]
    Kernel,
    /// AF_XDP, where it works.
    Xdp {
        /// The network interface.
        interface: String,
    },
}

/// Shards and what they run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// How many shards.
    pub shards: u16,
    /// The CPU of each shard; empty to pin none.
    pub cpus: Vec<u16>,
    /// The backend.
    pub backend: Backend,
    /// What carries datagrams.
    pub datagrams: Datagrams,
    /// Packets that a batch waits for.
    pub batch_packets_max: u16,
    /// Microseconds that a batch waits for more packets.
    pub batch_wait_us: u32,
    /// Whether delays are lengthened by a random part of a millisecond.
    pub spreads_delays: bool,
    /// Packet slots of each shard.
    pub slots_per_shard: u32,
}

impl Default for Machine {
    fn default() -> Self {
        let delay_max = Duration::from_millis(pki::document::delay_cap_ms(pki::document::MU_USUAL));
        Self {
            shards: 1,
            cpus: Vec::new(),
            backend: Backend::default(),
            datagrams: Datagrams::default(),
            batch_packets_max: BATCH_PACKETS_MAX as u16,
            batch_wait_us: 500,
            spreads_delays: false,
            slots_per_shard: PoolSize::new(u64::from(SMALL_LINE_RATE), 1, delay_max).slots() as u32,
        }
    }
}

/// Why a data plane cannot run with a setup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The geometry is not sound.
    #[error("geometry: {0}")]
    Geometry(#[from] sphinx::GeometryError),
    /// The period is not.
    #[error("epoch period: {0}")]
    Period(#[from] PeriodError),
    /// A number is out of range.
    #[error("{what} is {found}, must be {least} to {most}")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The least possible.
        least: u64,
        /// The greatest possible.
        most: u64,
    },
    /// There are CPUs for some shards only.
    #[error("{cpus} CPUs for {shards} shards")]
    Cpus {
        /// How many CPUs.
        cpus: usize,
        /// How many shards.
        shards: u16,
    },
}

impl Setup {
    /// Finds the first thing that a data plane could not run with.
    pub fn check(&self) -> Result<(), SetupError> {
        if let Err(errors) = self.geometry.validate() {
            return errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()));
        }
        self.epoch_clock()?;
        let machine = &self.machine;
        range("shards", u64::from(machine.shards), 1, SHARDS_MAX as u64)?;
        range("batch_packets_max", u64::from(machine.batch_packets_max), 1, BATCH_PACKETS_MAX as u64)?;
        range(
            "slots_per_shard",
            u64::from(machine.slots_per_shard),
            BATCH_PACKETS_MAX as u64 * 4,
            PoolSize::SLOTS_MAX,
        )?;
        range("replay_buckets", self.replay_buckets, 1, u64::MAX)?;
        range("link_queue_packets", u64::from(self.limits.link_queue_packets), 1, 1 << 20)?;
        range("mailbox_messages", u64::from(self.clients.mailbox_messages), 1, 1 << 20)?;
        if !machine.cpus.is_empty() && machine.cpus.len() != usize::from(machine.shards) {
            return Err(SetupError::Cpus { cpus: machine.cpus.len(), shards: machine.shards });
        }
        Ok(())
    }

    /// Epoch time with the setup's period.
    pub fn epoch_clock(&self) -> Result<EpochClock, PeriodError> {
        EpochClock::with_period(self.epoch_period)
    }
}

fn range(what: &'static str, found: u64, least: u64, most: u64) -> Result<(), SetupError> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(SetupError::Range { what, found, least, most }) }
}
