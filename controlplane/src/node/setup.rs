//! What the configuration asks of the data plane.

use super::Node;
use config::server::Debug;
use interplane::replay::replay_capacity;
use interplane::setup::{Limits, Machine, Setup, Times};
use rustix::process::{Resource, getrlimit};
use std::num::NonZeroUsize;
use std::time::Duration;

/// Connections' worth of line rate that one peer's queue may hold, in milliseconds of it.
const LINK_QUEUE_MS: u64 = 50;

/// Descriptors that incoming connections leave to everything else.
const DESCRIPTORS_RESERVED: u64 = 1024;

impl Node {
    /// All static facts, with the configuration's defaults filled in.
    pub(super) fn setup(&self) -> Setup {
        let (config, own) = (&self.config, &self.config.own.dataplane);
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let shards = config.shards(processors).get().min(interplane::counter::SHARDS_MAX);
        let line_rate = u64::from(own.line_rate_packets_per_second);
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
                scheduler_queue_packets: config.debug.scheduler_queue_size.map_or(0, |size| size.get() as u64),
                link_queue_packets: u32::try_from((line_rate * LINK_QUEUE_MS / 1000).max(64)).unwrap_or(u32::MAX),
                connections: Limits::default().connections.min(connections_that_fit(descriptors())),
                ..Limits::default()
            },
            machine: Machine {
                shards: small(shards),
                cpus: own.pin_cpus.iter().take(shards).map(|&cpu| small(cpu)).collect(),
                batch_packets_max: small(own.batch_max.min(interplane::setup::BATCH_PACKETS_MAX)),
                batch_wait_us: u32::try_from(own.batch_wait.as_micros()).unwrap_or(u32::MAX),
                slots_per_shard: u32::try_from(own.slots).unwrap_or(u32::MAX),
                ..Machine::default()
            },
            decoys: false,
            rate_limit: !config.debug.disable_rate_limit,
            replay_buckets: replay_capacity(line_rate, self.clock.period().as_secs()),
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

fn times(debug: &Debug) -> Times {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Times {
        unwrap_delay_ms: ms(debug.unwrap_delay),
        gateway_delay_ms: ms(debug.gateway_delay),
        service_delay_ms: ms(debug.service_delay),
        kaetzchen_delay_ms: ms(debug.kaetzchen_delay),
        scheduler_slack_ms: ms(debug.scheduler_slack),
        send_slack_ms: ms(debug.send_slack),
        decoy_slack_ms: ms(debug.decoy_slack),
        connect_timeout_ms: ms(debug.connect_timeout),
        handshake_timeout_ms: ms(debug.handshake_timeout),
        reauth_interval_ms: ms(debug.reauth_interval),
    }
}
