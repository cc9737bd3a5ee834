//! What is fixed for the life of a data plane: [`Setup`] in the units and with the lookups that shards need.

use super::live::Live;
use crypto_simd::schemes::{Kem, LookupError, kem};
use gateway::{MailLimits, MemorySpool};
use interplane::Setup;
use interplane::setup::{Clients, Limits};
use pki::epoch::PeriodError;
use pki::neighbours::Role;
use pki::{EpochClock, NodeId};
use sphinx::Geometry;
use std::sync::Arc;
use std::time::Duration;
use wire::link::Limits as LinkLimits;
use wire::{CommandSet, CommandSizes, Role as LinkRole, SessionConfig};

/// Why a data plane cannot run with a setup.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The setup is not sound.
    #[error(transparent)]
    Setup(#[from] interplane::setup::SetupError),
    /// The link KEM is not in this build.
    #[error(transparent)]
    Kem(#[from] LookupError),
    /// The period is zero.
    #[error(transparent)]
    Period(#[from] PeriodError),
}

/// What is fixed.
#[derive(Clone)]
pub struct Facts {
    /// This node's id.
    pub node_id: NodeId,
    /// Its role.
    pub role: Role,
    /// Sizes of packets.
    pub geometry: Geometry,
    /// Epoch time.
    pub clock: EpochClock,
    /// Number of shards.
    pub shards: usize,
    /// Packets of a full batch.
    pub batch_max: usize,
    /// Packets that the kernels unwrap together: the widest ones', unless [`Facts::with_lanes`] says otherwise.
    pub lanes: usize,
    /// How long a packet waits for company at most.
    pub batch_wait: Duration,
    /// Whether delays are lengthened by a random part of a millisecond.
    pub spreads_delays: bool,
    /// Packet slots of each shard.
    pub slots: usize,
    /// Packets in the queue of one link.
    pub link_queue_packets: usize,
    /// Limits of connections.
    pub limits: Limits,
    /// What is not fixed after all.
    pub live: Arc<Live>,
    /// What clients may do and have; how fast they may send is in `live`.
    pub clients: Clients,
    kem: &'static dyn Kem,
    sizes: CommandSizes,
}

/// Packets that the widest kernels unwrap together.
const LANES: usize = 8;

/// What is sealed ahead for one link: so much if frames are small, but not too few of them and not too many.
const OUTPUT_BYTES: usize = 256 << 10;
const OUTPUT_FRAMES_MIN: usize = 4;
const OUTPUT_FRAMES_MAX: usize = 64;
/// The same for a link that a peer of a gateway opened: there are many of them, and a client that takes nothing of what
/// it has asked for must not cost more.
const CLIENT_OUTPUT_BYTES: usize = 16 << 10;

/// Fewest packets in the queue of one link (server.md 3.9).
const LINK_QUEUE_PACKETS_MIN: usize = 64;

impl Facts {
    /// The facts of a setup, if it can be run.
    pub fn new(setup: &Setup) -> Result<Self, FactsError> {
        setup.check()?;
        let (machine, geometry) = (&setup.machine, &setup.geometry);
        let shards = usize::from(machine.shards);
        let surb_reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
        Ok(Self {
            node_id: setup.node_id,
            role: setup.role,
            geometry: geometry.clone(),
            clock: setup.epoch_clock()?,
            shards,
            batch_max: usize::from(machine.batch_packets_max),
            lanes: LANES,
            batch_wait: Duration::from_micros(u64::from(machine.batch_wait_us)),
            spreads_delays: machine.spreads_delays,
            slots: machine.slots_per_shard as usize,
            link_queue_packets: LINK_QUEUE_PACKETS_MIN.max(setup.limits.link_queue_packets as usize),
            limits: setup.limits,
            live: Arc::new(Live::new(&setup.adjustable(), shards)),
            clients: setup.clients,
            kem: kem::by_name(&setup.wire_kem)?,
            sizes: CommandSizes::mixnet(geometry.packet_length, surb_reply_bytes),
        })
    }

    /// The same for kernels that unwrap so many packets together. Only a process asks its CPU: what is simulated is the same
    /// everywhere.
    pub fn with_lanes(self, lanes: usize) -> Self {
        Self { lanes, ..self }
    }

    /// The configuration of a link's session. No body is larger than a padded SendPacket.
    pub fn session(&self, role: LinkRole) -> SessionConfig {
        SessionConfig::mixnet(role, self.kem, self.sizes).receive_client_to_server()
    }

    /// The limits of a link. Whoever has not begun its handshake in half the time gives its place away.
    pub fn link_limits(&self, role: LinkRole) -> LinkLimits {
        let handshake_timeout = self.live.handshake_timeout.get();
        let frames = match role {
            LinkRole::Initiator => (OUTPUT_BYTES / self.frame_bytes()).clamp(OUTPUT_FRAMES_MIN, OUTPUT_FRAMES_MAX),
            LinkRole::Responder if self.role == Role::Gateway => (CLIENT_OUTPUT_BYTES / self.frame_bytes()).max(1),
            // Message 4 and a NoOp.
            LinkRole::Responder => 1,
        };
        LinkLimits {
            message_1: handshake_timeout / 2,
            output_bytes: frames * self.frame_bytes(),
            ..LinkLimits::node(role, handshake_timeout)
        }
    }

    /// The commands of links.
    pub fn commands(&self) -> CommandSet {
        self.session(LinkRole::Initiator).command_set()
    }

    /// The KEM of links.
    pub fn kem(&self) -> &'static dyn Kem {
        self.kem
    }

    /// Bytes of the frame that carries a packet.
    pub fn frame_bytes(&self) -> usize {
        wire::frame_bytes(self.sizes.client_to_server_bytes())
    }

    /// Bytes of a reply as its client gets it, payload tag included.
    pub fn surb_reply_bytes(&self) -> usize {
        self.sizes.surb_reply_bytes
    }

    /// An empty spool for one shard's share of the mailboxes.
    pub fn spool(&self) -> MemorySpool {
        let share = usize::try_from(self.clients.spool_bytes).unwrap_or(usize::MAX) / self.shards;
        MemorySpool::new(self.clients.mailbox_messages as usize, share)
    }

    /// What outlives the connections of clients.
    pub fn mail_limits(&self) -> MailLimits {
        MailLimits { absence_max: self.clock.period(), ..MailLimits::default() }
    }

    /// The longest delay that may be asked for at all: three epochs (server.md 3.7).
    pub fn delay_limit(&self) -> Duration {
        self.clock.period() * 3
    }
}
