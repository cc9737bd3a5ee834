//! What a service manager keeps of a data plane, by name, for a start after both processes have ended.

use interplane::memory::{self, MemoryError, SealedMemory};
use interplane::message::{Descriptor, Listener, Transport, VERSION};
use interplane::setup::Setup;
use pki::Epoch;
use socket2::{SockRef, Type};
use std::os::fd::OwnedFd;

#[cfg(test)]
mod tests;

/// How it worked.
pub const SETUP: &str = "setup";
const SECRETS: &str = "secrets";
const REMEMBERED: &str = "remembered";
const REPLAYS_PREFIX: &str = "replays-";
const LISTENER_PREFIX: &str = "listener-";
const QUIC_PREFIX: &str = "quic-";
const SETUP_BYTES_MAX: usize = 1 << 20;

/// The name under which it is kept.
pub fn name(what: &Descriptor) -> String {
    match what {
        Descriptor::Listener(listener) => listener_name(listener, 0),
        Descriptor::ReplaySet { epoch } => format!("{REPLAYS_PREFIX}{}", epoch.0),
        Descriptor::Remembered => REMEMBERED.into(),
        Descriptor::Secrets => SECRETS.into(),
        // Nothing else is worth it.
        _ => String::new(),
    }
}

/// The name of a listening socket, the one of that number of several for one address. A colon would end a name.
pub fn listener_name(listener: &Listener, number: usize) -> String {
    let address = listener.address;
    let name = match listener.transport {
        Transport::Tcp => format!("{LISTENER_PREFIX}{address}"),
        Transport::Quic => format!("{LISTENER_PREFIX}{QUIC_PREFIX}{number}-{address}"),
    };
    name.replace(':', ";")
}

/// What is kept under that name.
pub fn parse(name: &str) -> Option<Descriptor> {
    if let Some(epoch) = name.strip_prefix(REPLAYS_PREFIX) {
        return epoch.parse().ok().map(|epoch| Descriptor::ReplaySet { epoch: Epoch(epoch) });
    }
    match name {
        SECRETS => Some(Descriptor::Secrets),
        REMEMBERED => Some(Descriptor::Remembered),
        _ => None,
    }
}

/// Whether a listening socket is kept under that name.
pub fn is_listener(name: &str) -> bool {
    name.starts_with(LISTENER_PREFIX)
}

/// Takes the listening sockets out of what is kept: of any version and configuration, each is in somebody's way, or of use.
/// One of them that listens nowhere, or elsewhere than its name says, is closed.
pub fn take_listeners(kept: &mut Vec<(String, OwnedFd)>) -> Vec<(String, Listener, OwnedFd)> {
    let listeners = kept.extract_if(.., |(name, _)| is_listener(name));
    let listeners = listeners.filter_map(|(name, fd)| {
        let rest = name.strip_prefix(LISTENER_PREFIX)?;
        let (transport, address) = match rest.strip_prefix(QUIC_PREFIX) {
            Some(rest) => (Transport::Quic, rest.split_once('-')?.1),
            None => (Transport::Tcp, rest),
        };
        let address = address.replace(';', ":").parse().ok()?;
        let socket = SockRef::from(&fd);
        let listens = match transport {
            Transport::Tcp => socket.is_listener().ok()? && socket.r#type().ok()? == Type::STREAM,
            Transport::Quic => socket.r#type().ok()? == Type::DGRAM,
        };
        let is_there = socket.local_addr().ok()?.as_socket() == Some(address);
        (listens && is_there).then_some((name, Listener { address, transport }, fd))
    });
    listeners.collect()
}

/// A descriptor that says how the data plane worked.
pub fn setup_file(setup: &Setup) -> Result<OwnedFd, MemoryError> {
    let bytes = postcard::to_stdvec(&(VERSION, setup)).map_err(|_| MemoryError::Content(SETUP))?;
    memory::seal(SETUP, &bytes)
}

/// What is behind it; none if it is another version's.
pub fn setup(fd: &OwnedFd) -> Option<Setup> {
    let content = SealedMemory::open(fd, SETUP, SETUP_BYTES_MAX).ok()?;
    // The version comes first, whatever follows it.
    let (version, rest) = postcard::take_from_bytes::<u32>(&content).ok()?;
    (version == VERSION).then(|| postcard::from_bytes(rest).ok()).flatten()
}
