//! The measured node as it really runs: `server` with a configuration file in a folder of its own, and the data plane
//! that it starts.

use super::cpu::CpuTime;
use super::site::Site;
use super::traffic::{Service, Traffic};
use super::{Failure, Options, on_processor};
use pki::neighbours::Role;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testnet::files::MainFile;
use testnet::network::Network;

/// How long a node may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Lines of the node's output that are shown when something fails.
const TAIL_LINES: usize = 20;
/// Lateness is measured, so the node must not drop what its host has made late.
const LATENESS_MS_MAX: u32 = 60_000;
/// Packets that the node may hold: those of the largest window with room to spare.
const SLOTS: usize = 16_384;

/// The service of a service node.
pub const ENDPOINT: &str = "+echo";

/// What is started as a node.
pub struct Program {
    path: PathBuf,
    /// Another implementation: one process, without a file of its own.
    is_peer: bool,
}

impl Program {
    /// Ours.
    pub fn own(options: &Options) -> Self {
        Self { path: options.program.clone(), is_peer: false }
    }

    /// Another implementation's.
    pub fn of_peer(path: &Path) -> Self {
        Self { path: path.to_owned(), is_peer: true }
    }
}

/// What the node's own file says.
pub struct NodeOptions {
    /// Packets per second that it must carry.
    pub line_rate: u32,
    /// Its shards.
    pub shards: usize,
    /// Their processors, if they are pinned.
    pub processors: Vec<usize>,
    /// The data plane's backend, if it is not left to the node.
    pub io: Option<String>,
    /// It may hold as many packets as it does by itself at that rate.
    pub default_slots: bool,
    /// What the node is there for.
    pub traffic: Traffic,
    /// What a gateway's file says of users; nothing takes everybody.
    pub gateway: String,
    /// Over what it is reached.
    pub scheme: &'static str,
    /// Where its datagrams go past the kernel, if they do.
    pub interface: Option<&'static str>,
}

impl NodeOptions {
    fn file(&self) -> String {
        let Self { line_rate, shards, processors, io, default_slots, traffic, interface, .. } = self;
        let slots = if *default_slots { String::new() } else { format!("slots = {SLOTS}\n") };
        let pinned = if processors.is_empty() { String::new() } else { format!("pin_cpus = {processors:?}\n") };
        // All clients are here.
        let connections = if traffic.role() == Role::Gateway { "connections_per_address = 0\n" } else { "" };
        let backend = io.as_ref().map_or(String::new(), |io| format!("backend = {io:?}\n"));
        let datagrams = interface.map_or(String::new(), |name| format!("datagrams = \"xdp\"\ninterface = {name:?}\n"));
        format!(
            "[dataplane]\nshards = {shards}\n{pinned}{backend}{datagrams}{slots}line_rate_packets_per_second = {line_rate}\n{connections}"
        )
    }
}

/// What the node's processes have in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Of the process that was started.
    pub control_plane_bytes: u64,
    /// Of the one that it has started.
    pub data_plane_bytes: u64,
}

/// A running node.
pub struct NodeProcess {
    folder: TempDir,
    child: Child,
    is_peer: bool,
    /// Where it listens for links.
    pub address: SocketAddr,
    /// Where it serves metrics.
    pub metrics: SocketAddr,
}

impl NodeProcess {
    /// Starts `program server` in a new folder.
    pub fn start(
        program: &Program,
        site: &Site,
        network: &Network,
        authority: SocketAddr,
        options: &NodeOptions,
    ) -> Result<Self, String> {
        let Program { path: program, is_peer } = program;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (address, metrics) = site.at_node(|| Ok((free_address(site.node)?, free_address(site.node)?)))?;
        let config = folder.path().join("katzenpost.toml");
        let data_dir = folder.path().join("data");
        let write = |path: &Path, text: &str| fs::write(path, text).map_err(|error| error.to_string());
        let plugin = folder.path().join("plugin");
        if options.traffic == Traffic::Requests(Service::Plugin) {
            write(&plugin, &plugin_script(program, &folder.path().join("plugin.sock")))?;
            fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
        }
        let role = role(options, &plugin);
        let text = main_file(network, authority, (options.scheme, address), metrics, &data_dir, &role)?;
        write(&config, &text)?;
        write(&folder.path().join("katzensprung.toml"), &options.file())?;
        let output = File::create(folder.path().join("output")).map_err(|error| error.to_string())?;
        let error_output = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        // The other implementation's program is a server and nothing else.
        command.args((!is_peer).then_some("server")).arg("-f").arg(&config);
        command.env(pki::epoch::PERIOD_VARIABLE, format!("{}ns", network.clock.period().as_nanos()));
        command.stdin(Stdio::null()).stdout(output).stderr(error_output);
        let start = || command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()));
        let child = match is_peer {
            // Where its threads run is inherited.
            true => on_processor(options.processors.first().copied(), || site.at_node(start))?,
            false => site.at_node(start)?,
        };
        Ok(Self { folder, child, is_peer: *is_peer, address, metrics })
    }

    /// An error if the node has ended.
    pub fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the node has ended: {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// CPU time of the data plane so far.
    pub fn data_plane_cpu(&self) -> Result<CpuTime, String> {
        CpuTime::of_process(&self.data_plane()?).map_err(|error| format!("CPU time of the data plane: {error}"))
    }

    /// The share of one processor that the data plane takes in a time in which nobody asks anything of it.
    pub fn data_plane_share(&self, time: Duration) -> Result<f64, String> {
        let (before, started) = (self.data_plane_cpu()?, Instant::now());
        std::thread::sleep(time);
        let used = self.data_plane_cpu()?.since(before).used;
        Ok(used.as_secs_f64() / started.elapsed().as_secs_f64())
    }

    /// The memory of both processes now.
    pub fn memory(&self) -> Result<Memory, String> {
        Ok(Memory {
            control_plane_bytes: resident_bytes(&self.process())?,
            data_plane_bytes: resident_bytes(&self.data_plane()?)?,
        })
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// The folder of the data plane in /proc.
    fn data_plane(&self) -> Result<PathBuf, String> {
        if self.is_peer {
            return Ok(self.process());
        }
        let parent = self.child.id().to_string();
        let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|process| parent_of(process).as_deref() == Some(&parent) && is_data_plane(process))
            .ok_or_else(|| "the node has no data plane".into())
    }

    /// A failure with the last lines that the node has written.
    pub fn with_last_lines(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Failed(reason) => {
                Failure::Failed(format!("{reason}\n\n  the node's last lines:\n  {}", self.tail()))
            }
            no_figure => no_figure,
        }
    }

    fn tail(&self) -> String {
        let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ")
    }

    /// Stops the node as an operator would.
    pub fn stop(mut self) -> Result<(), String> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<(), String> {
        if self.check().is_err() {
            return Ok(());
        }
        let signalled = Pid::from_raw(self.child.id() as i32).map(|pid| kill_process(pid, Signal::TERM));
        let started = Instant::now();
        while signalled.is_some() && started.elapsed() < STOP_LIMIT {
            if self.check().is_err() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let data_plane = self.data_plane().ok().and_then(|path| path.file_name()?.to_str()?.parse().ok());
        if let Some(pid) = data_plane.and_then(Pid::from_raw) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        self.child.kill().and_then(|()| self.child.wait()).map_err(|error| error.to_string())?;
        Err(format!("the node did not stop within {STOP_LIMIT:?}"))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Whatever went wrong is reported already.
        let _late = self.terminate();
    }
}

/// Bytes that the process with that folder in /proc has in memory.
fn resident_bytes(process: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(process.join("status")).map_err(|error| format!("{}: {error}", process.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes << 10).ok_or_else(|| format!("{} has no VmRSS", process.display()))
}

/// A plugin is a child of the node too.
fn is_data_plane(process: &Path) -> bool {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).any(|argument| argument == b"dataplane")
}

fn parent_of(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1).map(str::to_owned)
}

fn free_address(host: IpAddr) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((host, 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// What the configuration file says of the node's role.
#[derive(Default)]
struct RoleLines {
    server: &'static str,
    sections: String,
    debug: &'static str,
}

fn role(options: &NodeOptions, plugin: &Path) -> RoleLines {
    let service = |list: &str, program: String| RoleLines {
        server: "  IsServiceNode = true\n",
        sections: format!(
            "[ServiceNode]\n  [[ServiceNode.{list}]]\n    Capability = \"echo\"\n    Endpoint = \"{ENDPOINT}\"\n{program}\n"
        ),
        debug: "",
    };
    match options.traffic {
        Traffic::Through => RoleLines::default(),
        // Few clients send as much as many do.
        Traffic::FromClients | Traffic::ToClients => RoleLines {
            server: "  IsGatewayNode = true\n",
            sections: options.gateway.clone(),
            debug: "  DisableRateLimit = true\n",
        },
        Traffic::Requests(Service::Echo) => service("Kaetzchen", String::new()),
        Traffic::Requests(Service::Plugin) => {
            service("CBORPluginKaetzchen", format!("    Command = \"{}\"\n", plugin.display()))
        }
    }
}

/// A program for the node to start, which needs no arguments.
fn plugin_script(program: &Path, socket: &Path) -> String {
    format!("#!/bin/sh\nexec '{}' bench plugin --socket '{}'\n", program.display(), socket.display())
}

fn main_file(
    network: &Network,
    authority: SocketAddr,
    (scheme, address): (&'static str, SocketAddr),
    metrics: SocketAddr,
    data_dir: &Path,
    role: &RoleLines,
) -> Result<String, String> {
    let slack = format!("Slack = {LATENESS_MS_MAX}\n");
    let delays: String = ["Unwrap", "Gateway", "Service", "Kaetzchen"]
        .map(|what| format!("  {what}Delay = {LATENESS_MS_MAX}\n"))
        .concat();
    let RoleLines { server, sections, debug } = role;
    let file = MainFile {
        scheme,
        address,
        data_dir,
        authority,
        authority_identity: network.authority.public_key(),
        authority_link: network.authority_identity.link_key.public_key(),
        geometry: &network.geometry,
        server: &format!("  MetricsAddress = \"{metrics}\"\n{server}"),
        logging: "  Level = \"NOTICE\"\n",
        sections: &format!(
            "{sections}[Management]\n  Enable = false\n\n[Debug]\n{debug}{delays}  Scheduler{slack}  Send{slack}"
        ),
    };
    file.text()
}
