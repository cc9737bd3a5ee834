//! Whether an interface could be bypassed, as far as that can be seen without touching it: attaching a program stops some cards
//! for a moment.

use crate::channels;
use crate::netlink::Netlink;
use crate::queue::{Frames, frames_bytes, mtu_max};
use crate::refusal::{Capability, Refusal, Step};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Finds the first thing for which so many queues of the interface would be refused to this process.
pub fn check(name: &str, queues: u32, frames: Frames) -> Result<(), Refusal> {
    let found = Netlink::open().and_then(|mut netlink| netlink.interface(name));
    let interface = found.map_err(|code| Refusal::of(code, Step::Interface, name, 0))?;
    let name = name.to_owned();
    if interface.mac.is_none() {
        return Err(Refusal::NotEthernet { name });
    }
    let Some(bytes) = frames_bytes(interface.mtu, frames) else {
        return Err(Refusal::Mtu { name, mtu: interface.mtu, mtu_max: mtu_max() });
    };
    // Where nothing tells how many there are, nothing is found.
    let there = channels::receiving(&name).unwrap_or(queues);
    if there < queues {
        return Err(Refusal::NoQueue { name, queue: there });
    }
    let missing = Capability::missing();
    if !missing.is_empty() {
        return Err(Refusal::Capabilities { step: Step::Attach, missing });
    }
    let is_free = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let (wanted_bytes, limit_bytes) = (bytes as u64 * u64::from(queues), getrlimit(Resource::Memlock).current);
    match limit_bytes.filter(|limit| *limit < wanted_bytes && !is_free) {
        Some(_) => Err(Refusal::LockedMemory { wanted_bytes, limit_bytes }),
        None => Ok(()),
    }
}
