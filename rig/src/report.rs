//! What a run says at its end: one object for programs, a few lines for people.

mod html;
#[cfg(test)]
mod tests;
mod text;

use super::Options;
use super::account::{Frames, NodeAccount};
use super::calls::Answers;
use super::check::Wrong;
use super::cpu::CpuTime;
use super::drive::Phase;
use super::floor::{FloorRates, median};
use super::guard::Guarded;
use super::latency::{Latency, cpu_us_per_packet};
use super::peer::found::Peer;
use super::plan::Plan;
use super::probe::WIDTH_SHARE_MIN;
use super::soak::found::Soak;
use super::stages::Stage;
use super::traffic::Traffic;
use super::users::UserOptions;
use hdrhistogram::Histogram;
use pki::neighbours::Role;
use serde::Serialize;
use std::time::Duration;

/// With more waiting than this the figures say more about others than about the node.
const WAIT_SHARE_MAX: f64 = 0.03;

/// The outcome of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the node is.
    pub role: &'static str,
    /// Which way the packets took through it.
    pub traffic: &'static str,
    /// Clients that they came from or went to; their rate was not limited.
    pub clients: usize,
    /// Where a gateway has its users and their mail; none is one that takes everybody.
    pub users: Option<String>,
    /// The scheme of the packets.
    pub sphinx: String,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// The mean delay that packets asked for, before rounding.
    pub delay_mean_ms: f64,
    /// The longest delay that they asked for.
    pub delay_max_ms: u16,
    /// Links on either side of the node.
    pub links: usize,
    /// The node's shards.
    pub shards: usize,
    /// The backend that was asked for; none is the node's own choice.
    pub io: Option<String>,
    /// What carries its links.
    pub transport: &'static str,
    /// Processors of the shards; none when they are not pinned.
    pub node_processors: Vec<usize>,
    /// The rig's processor; none when it has none for itself.
    pub rig_processor: Option<usize>,
    /// Whether the rig's processor is the other half (hyperthread) of a core of the node's.
    pub rig_shares_core: bool,
    /// Packets that were made in time, of which the phases used as many as they needed.
    pub packets_made: usize,
    /// Packets that the rig sent to the node, in all phases.
    pub packets_sent: u64,
    /// Packets that came out of it.
    pub packets_received: u64,
    /// Packets that came out with wrong bytes, at a wrong node, twice, or too early.
    pub packets_wrong: u64,
    /// Of these: bytes that no packet becomes.
    pub packets_unknown: u64,
    /// Of these: came a second time.
    pub packets_duplicate: u64,
    /// Of these: at another node than their next hop.
    pub packets_wrong_next_hop: u64,
    /// Of these: before their delay was over.
    pub packets_early: u64,
    /// The most by which one of them was early.
    pub early_ms_max: f64,
    /// Packets that never came out.
    pub packets_lost: u64,
    /// Whether the node's account adds up and agrees with what the rig counted.
    pub account_balanced: bool,
    /// The node's account.
    pub account: NodeAccount,
    /// Where its time went, if it says so.
    pub stages: Vec<Stage>,
    /// Datagrams past the kernel, if they go there.
    pub frames: Option<Frames>,
    /// The most that the node forwards, from a bounded number of packets inside it: the median of the turns.
    pub packets_per_second: f64,
    /// For how long that was measured, in all turns.
    pub measured_seconds: f64,
    /// CPU time of the data plane per packet at that rate, in microseconds.
    pub cpu_us_per_packet: f64,
    /// The share of its processors that the data plane used meanwhile: well below 1, something else was the limit.
    pub node_cpu_share: f64,
    /// The share of the time in which it could have run, and somebody else did: zero on a quiet machine.
    pub node_wait_share: f64,
    /// The share of its processor that the rig used meanwhile: near 1, the rig was the limit.
    pub rig_cpu_share: f64,
    /// The share of the time in which the rig could have run, and somebody else did.
    pub rig_wait_share: f64,
    /// New links that were made during the capacity phase.
    pub calls: u64,
    /// New links that came to nothing.
    pub calls_failed: u64,
    /// Why the first of them did.
    pub call_failure: Option<String>,
    /// From the dial to the node's first message, at full load, the rig's own waiting included.
    pub answered_ms: Option<Latency>,
    /// The same without what the caller waited for a processor.
    pub answered_without_wait_ms: Option<Latency>,
    /// From the dial to a link that is up.
    pub link_up_ms: Option<Latency>,
    /// Lateness at half of the packets per second above, or at the rate that was asked for.
    #[serde(flatten)]
    pub open_loop: OpenLoop,
    /// The same at 80 % of the packets per second above, if no rate was asked for.
    pub at_80_percent: Option<OpenLoop>,
    /// The share of one processor that the data plane takes with its links up and no packet.
    pub idle_node_cpu_share: f64,
    /// What the rig does with a node that only opens and seals frames.
    pub rig_ceiling_packets_per_second: f64,
    /// What one core unwraps in batches of 32 when it does nothing else: the median of the turns.
    pub unwrap_only_packets_per_second: f64,
    /// The same with the frames of both links, opened and sealed: the floor, all that must be done to forward.
    pub floor_packets_per_second: f64,
    /// The node's packets per second to the floor of as many cores as it has shards: the median of the turns' ratios.
    pub node_to_floor: f64,
    /// Whether most turns had a core without a neighbour, so that only these count.
    pub floor_at_full_width: bool,
    /// The turns in which both were measured, one right after the other.
    pub turns: Vec<TurnRates>,
    /// Clients that connected to a gateway at that rate of packets.
    pub new_clients: Option<NewClients>,
    /// The same of the other way through a gateway: to clients.
    pub to_clients: Option<Box<Report>>,
    /// Clients of a gateway that did nothing.
    pub idle_clients: Option<IdleClients>,
    /// Another implementation's mix, in turns with ours.
    pub peer: Option<Peer>,
    /// A long run at a part of the capacity, for each way through the node.
    pub soaks: Vec<Soak>,
}

/// What was found while packets were sent at a rate, whatever the node did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpenLoop {
    /// The rate.
    pub open_loop_packets_per_second: f64,
    /// Packets per second that came out meanwhile.
    pub open_loop_packets_per_second_out: f64,
    /// CPU time of the data plane per packet at that rate, in microseconds.
    pub open_loop_cpu_us_per_packet: f64,
    /// The share of its processors that the data plane used at that rate: half the packets take more than half of it.
    pub open_loop_node_cpu_share: f64,
    /// The share of the time in which it could have run at that rate, and somebody else did.
    pub open_loop_node_wait_share: f64,
    /// Lateness at that rate: departure less the moment at which the packet was due to be sent and delay, links included.
    /// None if no packet came out.
    pub lateness_ms: Option<Latency>,
    /// The same of those packets for which the rig itself was in time.
    pub lateness_guarded_ms: Option<Latency>,
    /// Their share of all packets.
    pub guarded_share: f64,
    /// Part of it: from the moment at which a packet was due until the rig sent it, for a full link or a lack of
    /// processor.
    pub held_up_ms: Option<Latency>,
    /// All that the lateness is made of, in microseconds, where it is guarded.
    #[serde(skip)]
    pub lateness_us: Option<Histogram<u64>>,
}

impl OpenLoop {
    pub(super) fn of(rate: f64, phase: Phase, shards: usize) -> Self {
        let (node_cpu_share, node_wait_share) = shares(phase.duration, phase.node_cpu, shards);
        let Guarded { lateness_us, discarded } = phase.guarded;
        let counted = lateness_us.len() as f64;
        Self {
            open_loop_packets_per_second: rate,
            open_loop_packets_per_second_out: phase.packets_per_second,
            open_loop_cpu_us_per_packet: cpu_us_per_packet(phase.node_cpu, phase.packets),
            open_loop_node_cpu_share: node_cpu_share,
            open_loop_node_wait_share: node_wait_share,
            lateness_ms: Latency::of(&phase.lateness_us),
            lateness_guarded_ms: Latency::of(&lateness_us),
            guarded_share: counted / (counted + discarded as f64).max(1.0),
            held_up_ms: Latency::of(&phase.held_up_us),
            lateness_us: Some(lateness_us),
        }
    }
}

/// The floor, and the node's capacity right after it.
pub struct Turn {
    /// What one core does with the cryptography alone.
    pub floor: FloorRates,
    /// The width of the core around that, in independent adds per cycle.
    pub width: f64,
    /// What the node did.
    pub phase: Phase,
}

/// The node and its floor in one turn, in packets per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TurnRates {
    /// What the node forwarded.
    pub node: f64,
    /// What one core did with the cryptography alone, just before.
    pub floor: f64,
    /// The width of the core before and behind that, to its full width: less is a neighbour on its other half.
    pub width: f64,
    /// Whether the turn counts: the width was full.
    pub counts: bool,
}

/// What became of clients that connected one after the other, some at a time, while packets were sent at the open loop's
/// rate.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewClients {
    /// Those that came in.
    pub made: u64,
    /// Those that did not.
    pub failed: u64,
    /// Why the first of them did not.
    pub failure: Option<String>,
    /// Handshakes per second.
    pub per_second: f64,
    /// From the dial to a session that is up.
    pub up_ms: Option<Latency>,
    /// Packets per second that came out meanwhile.
    pub packets_per_second_out: f64,
    /// Lateness of these packets.
    pub lateness_ms: Option<Latency>,
    /// Part of it: until the rig sent the packet.
    pub held_up_ms: Option<Latency>,
    /// The share of its processors that the data plane used.
    pub node_cpu_share: f64,
    /// The share of the time in which it could have run, and somebody else did.
    pub node_wait_share: f64,
}

/// What idle clients cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IdleClients {
    /// How many there were.
    pub sessions: usize,
    /// How many of them the node has ended.
    pub sessions_lost: usize,
    /// Sessions per second that were made, with nothing else to do.
    pub handshakes_per_second: f64,
    /// Memory of the data plane with the first few of them.
    pub memory_bytes_before: u64,
    /// Memory of the data plane with all of them.
    pub memory_bytes: u64,
    /// The difference for each, all buffers included.
    pub memory_bytes_per_session: f64,
    /// For how long they did nothing.
    pub seconds: f64,
    /// The share of one processor that the data plane took meanwhile, for their heartbeats.
    pub node_cpu_share: f64,
}

impl Report {
    /// Nothing measured yet.
    pub(super) fn new(options: &Options, plan: &Plan, traffic: Traffic) -> Self {
        let Plan { geometry, placement, .. } = plan;
        let (nike, kem) = (&geometry.nike_name, &geometry.kem_name);
        let delays = traffic.delays(options.network_delays);
        Self {
            role: match traffic.role() {
                Role::Mix => "mix",
                Role::Gateway => "gateway",
                Role::Service => "service",
            },
            traffic: traffic.name(),
            clients: if traffic.role() == Role::Gateway { options.clients } else { 0 },
            users: options.users.as_ref().map(UserOptions::describe),
            sphinx: if kem.is_empty() { format!("{nike} NIKE") } else { format!("{kem} KEM") },
            packet_bytes: geometry.packet_length,
            delay_mean_ms: delays.mean_ms,
            delay_max_ms: delays.max_ms,
            links: options.links,
            shards: options.shards,
            transport: if options.is_quic { "quic" } else { "tcp" },
            io: options.io.clone(),
            node_processors: placement.node.clone(),
            rig_processor: placement.rig,
            rig_shares_core: placement.shares_core,
            rig_ceiling_packets_per_second: plan.ceiling_packets_per_second,
            ..Self::default()
        }
    }

    /// Whether every packet was right, every new link came up, and everything is accounted for.
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// What was not right, each in a line that says what is known of the reason.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let wrong = [
            (self.packets_unknown, "came out with bytes that no packet becomes"),
            (self.packets_duplicate, "came out twice"),
            (self.packets_wrong_next_hop, "came out at another node than their next hop"),
            (self.packets_early, "came out before their delay was over"),
        ];
        faults
            .extend(wrong.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} packets {how}")));
        if self.packets_lost > 0 {
            faults.push(format!("{} packets never came out: {}", self.packets_lost, self.where_lost()));
        }
        if !self.account_balanced {
            faults.push(format!(
                "the account does not balance: the rig sent {} and got {}, the node received {}, sent {} and delivered \
                 {}, and its own sum is {}",
                self.packets_sent,
                self.packets_received,
                self.account.received,
                self.account.sent,
                self.account.delivered,
                if self.account.adds_up() { "right" } else { "wrong too" }
            ));
        }
        if self.calls_failed > 0 {
            let reason = self.call_failure.as_deref().unwrap_or("for an unknown reason");
            let tried = self.calls + self.calls_failed;
            faults.push(format!(
                "{} of {tried} new links came to nothing under load, the first: {reason}",
                self.calls_failed
            ));
        }
        if let Some(NewClients { made, failed, failure, .. }) = &self.new_clients
            && *failed > 0
        {
            let reason = failure.as_deref().unwrap_or("for an unknown reason");
            faults.push(format!("{failed} of {} new clients did not come in, the first: {reason}", made + failed));
        }
        if let Some(idle) = &self.idle_clients
            && idle.sessions_lost > 0
        {
            faults.push(format!("the node ended {} of {} idle sessions", idle.sessions_lost, idle.sessions));
        }
        if let Some(Peer { own_faults, .. }) = &self.peer
            && *own_faults > 0
        {
            faults.push(format!("beside the other mix ours lost {own_faults} packets, or sent them on wrong"));
        }
        faults.extend(self.soaks.iter().flat_map(Soak::faults).map(|fault| format!("soak: {fault}")));
        faults.extend(
            self.to_clients.iter().flat_map(|other| other.faults()).map(|fault| format!("to clients: {fault}")),
        );
        faults
    }

    fn where_lost(&self) -> String {
        let NodeAccount { dropped, held, received, .. } = &self.account;
        let mut places: Vec<String> =
            dropped.iter().map(|(reason, count)| format!("the node dropped {count} as {reason}")).collect();
        if *held > 0 {
            places.push(format!("{held} are still inside the node"));
        }
        if let Some(missing) = self.packets_sent.checked_sub(*received).filter(|missing| *missing > 0) {
            places.push(format!("{missing} have not reached it"));
        }
        if places.is_empty() { "the node's account does not know of them".into() } else { places.join(", ") }
    }

    /// Whether node and rig had their processors for themselves.
    pub fn is_quiet(&self) -> bool {
        self.node_wait_share.max(self.rig_wait_share) < WAIT_SHARE_MAX
            && self.to_clients.as_ref().is_none_or(|other| other.is_quiet())
    }

    /// The whole report as one line of JSON, verdict included.
    pub fn to_json(&self) -> Result<String, String> {
        #[derive(Serialize)]
        struct WithVerdict<'a> {
            #[serde(flatten)]
            report: &'a Report,
            good: bool,
            faults: Vec<String>,
            quiet: bool,
        }
        let all = WithVerdict { report: self, good: self.is_good(), faults: self.faults(), quiet: self.is_quiet() };
        serde_json::to_string(&all).map_err(|error| error.to_string())
    }

    pub(super) fn set_wrong(&mut self, wrong: Wrong) {
        self.packets_wrong = wrong.total();
        self.packets_unknown = wrong.unknown;
        self.packets_duplicate = wrong.duplicate;
        self.packets_wrong_next_hop = wrong.next_hop;
        self.packets_early = wrong.early;
        self.early_ms_max = wrong.early_us_max as f64 / 1000.0;
    }

    /// `full_width` is that of a core without a neighbour: turns with one do not count, if most have none.
    pub(super) fn set_capacity(&mut self, turns: &[Turn], full_width: f64) {
        let cores = self.shards.max(1) as f64;
        let is_full = |turn: &Turn| turn.width >= full_width * WIDTH_SHARE_MIN;
        let full = turns.iter().filter(|turn| is_full(turn)).count();
        let counts = |turn: &Turn| is_full(turn) || 2 * full <= turns.len();
        let rates = |turn: &Turn| TurnRates {
            node: turn.phase.packets_per_second,
            floor: turn.floor.packets_per_second,
            width: turn.width / full_width.max(f64::MIN_POSITIVE),
            counts: counts(turn),
        };
        self.turns = turns.iter().map(rates).collect();
        self.floor_at_full_width = 2 * full > turns.len();
        let turns: Vec<&Turn> = turns.iter().filter(|turn| counts(turn)).collect();
        let of_all = |value: fn(&Turn) -> f64| median(turns.iter().map(|turn| value(turn)).collect());
        self.packets_per_second = of_all(|turn| turn.phase.packets_per_second);
        self.unwrap_only_packets_per_second = of_all(|turn| turn.floor.unwraps_per_second);
        self.floor_packets_per_second = of_all(|turn| turn.floor.packets_per_second);
        self.node_to_floor = of_all(|turn| turn.phase.packets_per_second / turn.floor.packets_per_second) / cores;
        let phases = || turns.iter().map(|turn| &turn.phase);
        let duration: Duration = phases().map(|phase| phase.duration).sum();
        let node_cpu: CpuTime = phases().map(|phase| phase.node_cpu).sum();
        let rig_cpu: CpuTime = phases().map(|phase| phase.rig_cpu).sum();
        self.measured_seconds = duration.as_secs_f64();
        self.cpu_us_per_packet = cpu_us_per_packet(node_cpu, phases().map(|phase| phase.packets).sum());
        (self.node_cpu_share, self.node_wait_share) = shares(duration, node_cpu, self.shards);
        (self.rig_cpu_share, self.rig_wait_share) = shares(duration, rig_cpu, 1);
    }

    pub(super) fn set_answers(&mut self, answers: Answers) {
        self.calls = answers.made;
        self.calls_failed = answers.failed;
        self.call_failure = answers.first_failure;
        self.answered_ms = Latency::of(&answers.answered_us);
        self.answered_without_wait_ms = Latency::of(&answers.answered_without_wait_us);
        self.link_up_ms = Latency::of(&answers.up_us);
    }

    pub(super) fn set_new_clients(&mut self, phase: &Phase, answers: Answers, time: Duration) {
        let (node_cpu_share, node_wait_share) = shares(phase.duration, phase.node_cpu, self.shards);
        self.new_clients = Some(NewClients {
            made: answers.made,
            failed: answers.failed,
            failure: answers.first_failure,
            per_second: answers.made as f64 / time.as_secs_f64(),
            up_ms: Latency::of(&answers.up_us),
            packets_per_second_out: phase.packets_per_second,
            lateness_ms: Latency::of(&phase.lateness_us),
            held_up_ms: Latency::of(&phase.held_up_us),
            node_cpu_share,
            node_wait_share,
        });
    }

    fn placement(&self) -> String {
        let rig = match self.rig_processor {
            None => "; THE RIG HAS NO PROCESSOR FOR ITSELF".to_owned(),
            Some(rig) if self.rig_shares_core => {
                format!(
                    "; THE RIG'S PROCESSOR {rig} IS THE OTHER HALF OF A CORE OF THE NODE'S: each slows the other down"
                )
            }
            Some(rig) => format!(", rig {rig}"),
        };
        format!(
            "{}{rig}",
            if self.node_processors.is_empty() { "not pinned".into() } else { numbers(&self.node_processors) }
        )
    }
}

fn numbers(processors: &[usize]) -> String {
    processors.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn shares(duration: Duration, cpu: CpuTime, processors: usize) -> (f64, f64) {
    let all = duration.as_secs_f64() * processors.max(1) as f64;
    (cpu.used.as_secs_f64() / all, cpu.waited.as_secs_f64() / all)
}
