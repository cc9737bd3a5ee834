//! `katzensprung.toml`: our own knobs, beside the reference's file so that going back to the reference needs no edit.
//! Always strict: unknown keys are errors.

#[cfg(test)]
mod tests;

use crate::finding::{Findings, Place};
use crate::program::Program;
use crate::reader::{At, Reader, Strictness};
use crate::section;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

section! {
    /// The whole file. It is optional, and so is every key.
    AnyCase Root {
        /// The process that forwards packets.
        dataplane: RawDataplane = ("dataplane", "every key at its default", "");
        /// The process that talks to authorities and operators.
        controlplane: RawControlplane = ("controlplane", "every key at its default", "");
        /// Private keys on the disk.
        keys: RawKeys = ("keys", "every key at its default", "");
    }

    /// The process that forwards packets.
    AnyCase RawDataplane {
        /// Threads that forward packets, 1 to 256; each is one shard.
        shards: i64 = ("shards", "one for each of `pin_cpus`, else for each processor, at most `Debug.NumSphinxWorkers`", "");
        /// Processors to which the shards are pinned, in order; at least as many as shards.
        pin_cpus: Vec<At<i64>> = ("pin_cpus", "not pinned", "");
        /// How the shards do input and output: `uring`, `epoll`, `glommio`, or `auto`, which is `uring` where it works, else `epoll`.
        backend: String = ("backend", "`auto`", "");
        /// What carries the datagrams of `quic://` links: `kernel` for sockets, `xdp` for AF_XDP at `interface`, with sockets for what cannot go that way. Not with the backend `glommio`. docs/operating/bypass.md says what it takes.
        datagrams: String = ("datagrams", "`kernel`", "");
        /// The network interface over which links come, for `datagrams = "xdp"`: a name as `ip link` shows it.
        interface: String = ("interface", "none", "");
        /// Most packets per second that the node must carry, 1 to 10000000. Replay sets and packet slots are sized from it (see Memory). Packets beyond a full set are dropped. Where it is set, the memory of the replay sets is taken ahead of time.
        line_rate_packets_per_second: i64 = ("line_rate_packets_per_second", "20000 for each shard, less where half of the memory is not enough for the replay sets", "");
        /// Packets that are unwrapped together, 1 to 32.
        batch_max: i64 = ("batch_max", "32", "");
        /// How long a packet waits at most for company to fill the kernels' lanes, in microseconds, 0 to 10000; not at all where none is to be expected. Its delay counts from its arrival all the same, and clients ask for whole milliseconds, so that none is overrun where this and the unwrap of a batch take less than one together and no batch waits behind another; `katzensprung_delays_overrun_total` counts what is.
        batch_wait_us: i64 = ("batch_wait_us", "500 us", "");
        /// Lengthen each packet's delay by a random part of a millisecond. Clients ask for whole ones, so that a packet otherwise leaves when the part of a millisecond at which it came is round again, which an observer with an exact clock sees. Costs half a millisecond for each packet on average; the reference's nodes do not do it.
        spread_delays: bool = ("spread_delays", "false", "");
        /// Packets that a shard can hold, 256 to 4194304; when they run out, random delayed packets are dropped. Memory is taken when so many packets are held for the first time.
        slots: i64 = ("slots", "enough for the line rate with delays of 5.5 s, at most a quarter of the memory (see Memory)", "");
        /// Open connections from one address (or one IPv6 network of 64 bits) from which no neighbour may come, and of clients wherever they come from, 0 to 1000000; 0 is no limit. Whatever this says, an eighth of all connections is for neighbours.
        connections_per_address: i64 = ("connections_per_address", "1024", "");
        /// Gateway: messages that may wait for one client, 1 to 1000000.
        mailbox_messages: i64 = ("mailbox_messages", "512", "");
        /// Gateway: memory for the messages that wait for all clients, in MiB, 1 to 1000000. Taken as it is used; more than the host or the container has beside all else is refused at start.
        spool_mib: i64 = ("spool_mib", "256, at most an eighth of the memory (see Memory)", "");
        /// The data plane is a unit of its own, `katzensprung dataplane --socket DataDir/dataplane.sock`, of the same user; otherwise the control plane spawns it.
        run_as_two_units: bool = ("run_as_two_units", "false", "");
    }

    /// The process that talks to authorities and operators.
    AnyCase RawControlplane {
        /// Stay up after the first SIGTERM until no consensus lists the node.
        shutdown_withdraw: bool = ("shutdown_withdraw", "`Server.WaitForConsensusExitOnShutdown`", "Exclusive with `Server.PersistMixKeysOnShutdown`.");
        /// Gateway with a user database: messages of registered clients that `Gateway.SpoolDB` keeps for all of them, in MiB, 1 to 65536. Beyond, whoever has most gives some up.
        kept_mail_mib: i64 = ("kept_mail_mib", "1024", "");
        /// Gateway with a user database: for how many days they are kept, 1 to 3650.
        kept_mail_days: i64 = ("kept_mail_days", "30", "");
    }

    /// Private keys on the disk.
    AnyCase RawKeys {
        /// How a stop writes the mix keys and replay sets that `Server.PersistMixKeysOnShutdown` keeps: `off` writes them as the reference does; `systemd` seals them with the credential `katzensprung-seal` of the unit (`LoadCredentialEncrypted=`), so that they are of no use where that cannot be opened. Without the credential the node does not start. Before going back to the reference, which cannot read them: `katzensprung keys unseal`.
        seal: String = ("seal", "`off`", "");
    }
}

/// What `katzensprung.toml` says, with defaults where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnConfig {
    /// The process that forwards packets.
    pub dataplane: Dataplane,
    /// The process that talks to authorities and operators.
    pub controlplane: Controlplane,
    /// Private keys on the disk.
    pub keys: Keys,
}

/// The process that forwards packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// Threads that forward packets; none is one for each processor.
    pub shards: Option<NonZeroUsize>,
    /// Processors of the shards; empty is not pinned.
    pub pin_cpus: Vec<usize>,
    /// How the shards do input and output.
    pub backend: Backend,
    /// The interface at which datagrams go past the kernel, if they do.
    pub interface: Option<String>,
    /// Most packets per second, for the sizes of replay sets and pools; none is worked out from the host.
    pub line_rate_packets_per_second: Option<u32>,
    /// Packets that are unwrapped together.
    pub batch_max: usize,
    /// How long a packet waits for its batch to fill.
    pub batch_wait: Duration,
    /// Whether delays are lengthened by a random part of a millisecond.
    pub spread_delays: bool,
    /// Packets that a shard can hold; none is worked out from the line rate.
    pub slots: Option<usize>,
    /// Connections from one address; none is the default, zero no limit.
    pub connections_per_address: Option<u32>,
    /// Messages that may wait for one client; none is the default.
    pub mailbox_messages: Option<u32>,
    /// Memory for messages that wait for clients; none is the default.
    pub spool_mib: Option<u32>,
    /// Whether the data plane is started by someone else.
    pub run_as_two_units: bool,
}

/// How shards do input and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The fastest that works.
    #[default]
    Auto,
    /// io_uring.
    Uring,
    /// Plain readiness.
    Epoll,
    /// glommio's executors.
    Glommio,
}

impl Default for Dataplane {
    fn default() -> Self {
        Self {
            shards: None,
            pin_cpus: Vec::new(),
            backend: Backend::default(),
            interface: None,
            line_rate_packets_per_second: None,
            batch_max: BATCH_PACKETS_MAX,
            batch_wait: Duration::from_micros(500),
            spread_delays: false,
            slots: None,
            connections_per_address: None,
            mailbox_messages: None,
            spool_mib: None,
            run_as_two_units: false,
        }
    }
}

/// The process that talks to authorities and operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controlplane {
    /// Whether the node stays until no consensus lists it; none leaves that to the main file.
    pub shutdown_withdraw: Option<bool>,
    /// How much mail of registered clients is kept; none is the default.
    pub kept_mail_mib: Option<u32>,
    /// For how many days; none is the default.
    pub kept_mail_days: Option<u32>,
}

/// Private keys on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// How kept mix keys are written.
    pub seal: Seal,
}

/// With what files are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seal {
    /// Not at all: the reference can read them.
    #[default]
    Off,
    /// The credential that systemd gives to the unit.
    Systemd,
}

/// Most packets that are unwrapped together.
pub const BATCH_PACKETS_MAX: usize = 32;
const SHARDS_MAX: i64 = 256;
const KEPT_MAIL_MIB_MAX: i64 = 65_536;
const KEPT_MAIL_DAYS_MAX: i64 = 3_650;
const CPU_MAX: i64 = 4_095;
/// Names of interfaces are no longer for the kernel.
const INTERFACE_BYTES_MAX: usize = 15;

/// The knobs in `text`; what is wrong stays at its default and is an error among the findings.
pub fn parse(text: &str, findings: &mut Findings) -> OwnConfig {
    let mut reader = Reader::new::<Root>(text, Strictness::Strict, |_| None, findings);
    let Some(tree) = reader.parse(text) else { return OwnConfig::default() };
    if let Some(other) = Program::of(tree.get_ref()).filter(|program| *program != Program::Katzensprung) {
        let problem = format!("this is {} configuration, not {}", other.file_kind(), Program::Katzensprung.file_kind());
        reader.findings.error("other-program", &Place::default(), problem, "remove it, or move it to where it belongs");
        return OwnConfig::default();
    }
    let root: Root = reader.read_root(tree.get_ref());
    let controlplane = root.controlplane.map(|at| at.value).unwrap_or_default();
    OwnConfig {
        dataplane: dataplane(root.dataplane.map(|at| at.value).unwrap_or_default(), findings),
        controlplane: self::controlplane(&controlplane, findings),
        keys: Keys { seal: seal(root.keys.and_then(|at| at.value.seal), findings) },
    }
}

fn seal(name: Option<At<String>>, findings: &mut Findings) -> Seal {
    let Some(at) = name else { return Seal::default() };
    match at.value.as_str() {
        "off" => Seal::Off,
        "systemd" => Seal::Systemd,
        other => {
            findings.error("seal", &at.place, format!("nothing is sealed by '{other}'"), "write off or systemd");
            Seal::default()
        }
    }
}

fn controlplane(raw: &RawControlplane, findings: &mut Findings) -> Controlplane {
    let mut small = |value: &Option<At<i64>>, most: i64| {
        in_range(value, 1..=most, findings).and_then(|number| u32::try_from(number).ok())
    };
    Controlplane {
        shutdown_withdraw: raw.shutdown_withdraw.as_ref().map(|at| at.value),
        kept_mail_mib: small(&raw.kept_mail_mib, KEPT_MAIL_MIB_MAX),
        kept_mail_days: small(&raw.kept_mail_days, KEPT_MAIL_DAYS_MAX),
    }
}

fn dataplane(raw: RawDataplane, findings: &mut Findings) -> Dataplane {
    let defaults = Dataplane::default();
    let pin_cpus = pin_cpus(&raw, findings);
    let shards = in_range(&raw.shards, 1..=SHARDS_MAX, findings);
    if let (Some(shards), Some(at)) = (shards, &raw.pin_cpus)
        && (1..shards).contains(&pin_cpus.len())
    {
        let problem = format!("names {} processors for {shards} shards", pin_cpus.len());
        findings.error("pin-cpus", &at.place, problem, "name one processor for each shard");
    }
    let mut small = |value: &Option<At<i64>>, least: i64| {
        in_range(value, least..=1_000_000, findings).and_then(|number| u32::try_from(number).ok())
    };
    let connections_per_address = small(&raw.connections_per_address, 0);
    let (mailbox_messages, spool_mib) = (small(&raw.mailbox_messages, 1), small(&raw.spool_mib, 1));
    let batch_max = in_range(&raw.batch_max, 1..=BATCH_PACKETS_MAX as i64, findings).unwrap_or(defaults.batch_max);
    let interface = interface(&raw, findings);
    Dataplane {
        shards: shards.or(Some(pin_cpus.len())).and_then(NonZeroUsize::new),
        pin_cpus,
        backend: backend(raw.backend, findings),
        interface,
        line_rate_packets_per_second: in_range(&raw.line_rate_packets_per_second, 1..=10_000_000, findings)
            .and_then(|rate| u32::try_from(rate).ok()),
        batch_max,
        batch_wait: in_range(&raw.batch_wait_us, 0..=10_000, findings)
            .map_or(defaults.batch_wait, |us| Duration::from_micros(us as u64)),
        spread_delays: raw.spread_delays.is_some_and(|at| at.value),
        // From eight full batches: being unwrapped, waiting to be pulled, being collected.
        slots: in_range(&raw.slots, 256..=4_194_304, findings),
        connections_per_address,
        mailbox_messages,
        spool_mib,
        run_as_two_units: raw.run_as_two_units.is_some_and(|at| at.value),
    }
}

fn backend(name: Option<At<String>>, findings: &mut Findings) -> Backend {
    let Some(at) = name else { return Backend::default() };
    match at.value.as_str() {
        "auto" => Backend::Auto,
        "uring" => Backend::Uring,
        "epoll" => Backend::Epoll,
        "glommio" => Backend::Glommio,
        other => {
            let problem = format!("there is no backend '{other}'");
            findings.error("backend", &at.place, problem, "write auto, uring, epoll or glommio");
            Backend::default()
        }
    }
}

/// Where datagrams go past the kernel, if they are to.
fn interface(raw: &RawDataplane, findings: &mut Findings) -> Option<String> {
    let named = raw.interface.as_ref();
    let is_xdp = match raw.datagrams.as_ref().map(|at| (at, at.value.as_str())) {
        None | Some((_, "kernel")) => false,
        Some((_, "xdp")) => true,
        Some((at, other)) => {
            let problem = format!("nothing named '{other}' carries datagrams");
            findings.error("datagrams", &at.place, problem, "write kernel or xdp");
            return None;
        }
    };
    match (is_xdp, named, &raw.datagrams) {
        (false, None, _) | (true, None, None) => None,
        (false, Some(at), _) => {
            let problem = "names an interface, and the kernel's sockets carry datagrams";
            findings.warning("interface", &at.place, problem, "write datagrams = \"xdp\" beside it, or take it out");
            None
        }
        (true, None, Some(at)) => {
            let remedy = "write interface = \"NAME\" beside it; `ip link` shows the names";
            findings.error("interface", &at.place, "AF_XDP needs the interface over which links come", remedy);
            None
        }
        (true, Some(at), _) => {
            let is_name = |name: &str| {
                (1..=INTERFACE_BYTES_MAX).contains(&name.len())
                    && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
            };
            if !is_name(&at.value) {
                let problem = format!("'{}' cannot be the name of an interface", at.value);
                findings.error("interface", &at.place, problem, "write a name as `ip link` shows it, as \"eth0\"");
            }
            if let Some(backend) = raw.backend.as_ref().filter(|at| at.value == "glommio") {
                let problem = "glommio cannot wait for AF_XDP";
                findings.error("backend", &backend.place, problem, "write uring or auto, or datagrams = \"kernel\"");
            }
            Some(at.value.clone())
        }
    }
}

/// A number within its bounds; none when absent or after a finding.
fn in_range(value: &Option<At<i64>>, bounds: RangeInclusive<i64>, findings: &mut Findings) -> Option<usize> {
    let at = value.as_ref()?;
    let number = usize::try_from(at.value).ok().filter(|_| bounds.contains(&at.value));
    if number.is_none() {
        let remedy = format!("write a number from {} to {}", bounds.start(), bounds.end());
        findings.error("out-of-range", &at.place, format!("{} is out of range", at.value), remedy);
    }
    number
}

fn pin_cpus(raw: &RawDataplane, findings: &mut Findings) -> Vec<usize> {
    let mut cpus = Vec::new();
    for at in raw.pin_cpus.iter().flat_map(|list| &list.value) {
        let number = Some(At { value: at.value, place: at.place.clone() });
        let Some(cpu) = in_range(&number, 0..=CPU_MAX, findings) else { continue };
        if cpus.contains(&cpu) {
            let problem = format!("names processor {cpu} twice");
            findings.error("pin-cpus", &at.place, problem, "give each shard a processor of its own");
        } else {
            cpus.push(cpu);
        }
    }
    cpus
}
