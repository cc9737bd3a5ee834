//! What the configuration asks of the data plane.

use super::Node;
use super::memory::Wanted;
use super::role::NodeRole;
use config::ServerConfig;
use config::server::{Debug, Role};
use interplane::setup::{Adjustable, Backend, ClientRate, Clients, Datagrams, Limits, Machine, Setup, Times};
use pki::EpochClock;
use rustix::process::{Resource, getrlimit};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What the configuration accepts is what the data plane takes.
const _: () = assert!(config::server::own::BATCH_PACKETS_MAX == interplane::setup::BATCH_PACKETS_MAX);

/// Connections' worth of line rate that one peer's queue may hold, in milliseconds of it.
const LINK_QUEUE_MS: u64 = 50;

/// Unfinished handshakes of clients that a gateway has room for, some 10 kB each.
const CLIENT_HANDSHAKES: u32 = 1024;

/// Descriptors that incoming connections leave to everything else.
const DESCRIPTORS_RESERVED: u64 = 1024;

/// Without so many there is no node: what both planes need for themselves, and a few connections.
pub const DESCRIPTORS_MIN: u64 = 64;

impl Node {
    /// All static facts, with the configuration's defaults filled in.
    pub(super) fn setup(&self) -> Setup {
        let (config, own) = (&self.config, &self.config.own.dataplane);
        let (shards, sizes) = (shards(config), &self.sizes);
        let line_rate = u64::from(sizes.line_rate);
        let small = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        Setup {
            name: config.identifier.clone(),
            node_id: pki::hash(&self.identity.public),
            role: self.role.listed_as(),
            geometry: config.geometry.clone(),
            wire_kem: config.wire_kem.info().name.into(),
            epoch_period: self.clock.period(),
            times: times(&config.debug),
            limits: Limits {
                scheduler_queue_packets: queue_packets(&config.debug),
                packets_per_second: sizes.line_rate,
                link_queue_packets: u32::try_from((line_rate * LINK_QUEUE_MS / 1000).max(64)).unwrap_or(u32::MAX),
                connections: Limits::default().connections.min(connections_that_fit(descriptors())),
                connections_per_address: own
                    .connections_per_address
                    .unwrap_or(Limits::default().connections_per_address),
                // Strangers are what a gateway is there for.
                handshakes_of_strangers: match self.role.has_clients() {
                    true => CLIENT_HANDSHAKES,
                    false => Limits::default().handshakes_of_strangers,
                },
                ..Limits::default()
            },
            clients: Clients {
                rate: ClientRate { is_unlimited: config.debug.disable_rate_limit, ..ClientRate::default() },
                mailbox_messages: own.mailbox_messages.unwrap_or(Clients::default().mailbox_messages),
                spool_bytes: sizes.spool_bytes,
                keeps_mail: matches!(&config.role, Role::Gateway(gateway) if gateway.mail.is_some()),
                has_user_database: matches!(&config.role, Role::Gateway(gateway) if gateway.users.is_some()),
            },
            machine: Machine {
                shards: small(shards),
                cpus: own.pin_cpus.iter().take(shards).map(|&cpu| small(cpu)).collect(),
                backend: backend(&self.config),
                datagrams: own.interface.clone().map_or(Datagrams::Kernel, |interface| Datagrams::Xdp { interface }),
                batch_packets_max: small(own.batch_max),
                batch_wait_us: u32::try_from(own.batch_wait.as_micros()).unwrap_or(u32::MAX),
                spreads_delays: own.spread_delays,
                slots_per_shard: sizes.slots_per_shard,
            },
            replay_buckets: sizes.replay_buckets,
            sends_decoys: config.debug.send_decoy_traffic,
            // Who names a rate means to carry it; for everybody else memory follows the traffic.
            populates_replay_sets: own.line_rate_packets_per_second.is_some(),
        }
    }
}

/// Open files that a process of this node may have; the data plane inherits the limit.
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Incoming connections for which there are descriptors beside those for links, rings and files.
fn connections_that_fit(descriptors: u64) -> u32 {
    let reserve = DESCRIPTORS_RESERVED.min(descriptors / 2);
    u32::try_from(descriptors - reserve).unwrap_or(u32::MAX)
}

/// Which way packets are to go in and out.
pub fn backend(config: &ServerConfig) -> Backend {
    match config.own.dataplane.backend {
        config::server::Backend::Auto => Backend::Auto,
        config::server::Backend::Uring => Backend::Uring,
        config::server::Backend::Epoll => Backend::Epoll,
        config::server::Backend::Glommio => Backend::Glommio,
    }
}

/// How many shards a node with this configuration has here.
pub(super) fn shards(config: &ServerConfig) -> usize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    config.shards(processors).get().min(interplane::counter::SHARDS_MAX)
}

/// What this configuration asks of the memory.
pub(super) fn wanted(config: &ServerConfig, clock: &EpochClock) -> Wanted {
    let own = &config.own.dataplane;
    Wanted {
        line_rate: own.line_rate_packets_per_second,
        slots: own.slots,
        shards: shards(config),
        epoch_period: clock.period(),
        packet_bytes: config.geometry.packet_length,
        has_clients: NodeRole::of(&config.role).has_clients(),
        spool_mib: own.spool_mib,
    }
}

/// What of the setup may change, by this configuration and what operators have ordered.
pub(super) fn adjustable(debug: &Debug, client_rate: ClientRate) -> Adjustable {
    Adjustable { times: times(debug), scheduler_queue_packets: queue_packets(debug), client_rate }
}

fn queue_packets(debug: &Debug) -> u64 {
    debug.scheduler_queue_size.map_or(0, |size| size.get() as u64)
}

fn times(debug: &Debug) -> Times {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Times {
        unwrap_delay_ms: ms(debug.unwrap_delay),
        service_delay_ms: ms(debug.service_delay),
        kaetzchen_delay_ms: ms(debug.kaetzchen_delay),
        decoy_slack_ms: ms(debug.decoy_slack),
        scheduler_slack_ms: ms(debug.scheduler_slack),
        send_slack_ms: ms(debug.send_slack),
        gateway_delay_ms: ms(debug.gateway_delay),
        connect_timeout_ms: ms(debug.connect_timeout),
        handshake_timeout_ms: ms(debug.handshake_timeout),
        reauth_interval_ms: ms(debug.reauth_interval),
    }
}
