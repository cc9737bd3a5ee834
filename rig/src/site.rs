//! Where node and rig are: on one host, or each on a host of its own with a cable between them, which are network namespaces
//! and a pair of virtual interfaces. They are gone when this process and the node's are.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// The interface at either end of the cable.
pub const INTERFACE: &str = "wire";
/// The addresses at its ends.
const RIG: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PREFIX: u8 = 24;

/// The hosts of node and rig.
pub struct Site {
    /// Where the rig listens for the node.
    pub rig: IpAddr,
    /// Where the node listens.
    pub node: IpAddr,
    /// The network of the node, if it has one of its own.
    network: Option<File>,
}

impl Site {
    /// Everybody at the loopback interface.
    pub fn one_host() -> Self {
        let here = Ipv4Addr::LOCALHOST.into();
        Self { rig: here, node: here, network: None }
    }

    /// The calling thread, and all that it starts from now on, is alone with the node, whose interface has so many queues. To
    /// be called before there are other threads.
    pub fn two_hosts(queues: usize) -> Result<Self, String> {
        let network = new_network()?;
        let queues = format!("numtxqueues {queues} numrxqueues {queues}");
        ip(&format!("link add {INTERFACE} {queues} type veth peer name other {queues}"))?;
        ip(&format!("addr add {NODE}/{PREFIX} dev {INTERFACE}"))?;
        ip("link set lo up")?;
        let site = Self { rig: RIG.into(), node: NODE.into(), network: Some(network) };
        new_network()?;
        let this = rustix::thread::gettid();
        site.at_node(|| {
            ip(&format!("link set other netns {}", this.as_raw_nonzero()))?;
            ip(&format!("link set {INTERFACE} up"))
        })?;
        ip(&format!("link set other name {INTERFACE}"))?;
        ip(&format!("addr add {RIG}/{PREFIX} dev {INTERFACE}"))?;
        ip(&format!("link set {INTERFACE} up"))?;
        ip("link set lo up")?;
        Ok(site)
    }

    /// Does something at the node's host.
    pub fn at_node<T: Send>(&self, work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
        let Some(network) = &self.network else { return work() };
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                let entered = setns(network, CloneFlags::CLONE_NEWNET);
                entered.map_err(|errno| format!("cannot enter the node's network: {}", std::io::Error::from(errno)))?;
                work()
            });
            there.join().map_err(|_| "a thread at the node's host ended badly".to_owned())?
        })
    }
}

/// The calling thread gets a network of its own.
fn new_network() -> Result<File, String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
        format!("a network namespace for node or rig: {}; it takes root", std::io::Error::from(errno))
    })?;
    File::open("/proc/thread-self/ns/net").map_err(|error| format!("/proc/thread-self/ns/net: {error}"))
}

/// Runs `ip` with these words.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("`ip`, of the package iproute2, makes the cable: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
