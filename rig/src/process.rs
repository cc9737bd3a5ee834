//! The measured node as it really runs: `server` with a configuration file in a folder of its own, and the data plane
//! that it starts.

use super::cpu::CpuTime;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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
}

impl NodeOptions {
    fn file(&self) -> String {
        let Self { line_rate, shards, processors, io } = self;
        let pinned = if processors.is_empty() { String::new() } else { format!("pin_cpus = {processors:?}\n") };
        let backend = io.as_ref().map_or(String::new(), |io| format!("backend = {io:?}\n"));
        format!(
            "[dataplane]\nshards = {shards}\n{pinned}{backend}slots = {SLOTS}\nline_rate_packets_per_second = {line_rate}\n"
        )
    }
}

/// A running node.
pub struct NodeProcess {
    folder: TempDir,
    child: Child,
    /// Where it listens for links.
    pub address: SocketAddr,
    /// Where it serves metrics.
    pub metrics: SocketAddr,
}

impl NodeProcess {
    /// Starts `program server` in a new folder.
    pub fn start(
        program: &Path,
        network: &Network,
        authority: SocketAddr,
        options: &NodeOptions,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (address, metrics) = (free_address()?, free_address()?);
        let config = folder.path().join("katzenpost.toml");
        let data_dir = folder.path().join("data");
        let text = main_file(network, authority, address, metrics, &data_dir)?;
        let write = |path: &Path, text: &str| fs::write(path, text).map_err(|error| error.to_string());
        write(&config, &text)?;
        write(&folder.path().join("katzensprung.toml"), &options.file())?;
        let output = File::create(folder.path().join("output")).map_err(|error| error.to_string())?;
        let error_output = output.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg("server")
            .arg("-f")
            .arg(&config)
            .env(pki::epoch::PERIOD_VARIABLE, format!("{}ns", network.clock.period().as_nanos()))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(error_output)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(Self { folder, child, address, metrics })
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

    /// The folder of the data plane in /proc.
    fn data_plane(&self) -> Result<PathBuf, String> {
        let parent = self.child.id().to_string();
        let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|process| parent_of(process).as_deref() == Some(&parent))
            .ok_or_else(|| "the node has no data plane".into())
    }

    /// The last lines that the node has written.
    pub fn tail(&self) -> String {
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

fn parent_of(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1).map(str::to_owned)
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

fn main_file(
    network: &Network,
    authority: SocketAddr,
    address: SocketAddr,
    metrics: SocketAddr,
    data_dir: &Path,
) -> Result<String, String> {
    let slack = format!("Slack = {LATENESS_MS_MAX}\n");
    let file = MainFile {
        address,
        data_dir,
        authority,
        authority_identity: network.authority.public_key(),
        authority_link: network.authority_identity.link_key.public_key(),
        geometry: &network.geometry,
        server: &format!("  MetricsAddress = \"{metrics}\"\n"),
        logging: "  Level = \"NOTICE\"\n",
        sections: &format!(
            "[Management]\n  Enable = false\n\n[Debug]\n  UnwrapDelay = {LATENESS_MS_MAX}\n  Scheduler{slack}  Send{slack}"
        ),
    };
    file.text()
}
