//! What a service manager keeps of a data plane, by name, for a start after both processes have ended.

use interplane::memory::{self, MemoryError, SealedMemory};
use interplane::message::{Descriptor, Listener, Transport, VERSION};
use interplane::setup::Setup;
use pki::Epoch;
use std::os::fd::OwnedFd;

/// How it worked.
pub const SETUP: &str = "setup";
const SECRETS: &str = "secrets";
const REMEMBERED: &str = "remembered";
const REPLAYS_PREFIX: &str = "replays-";
const LISTENER_PREFIX: &str = "listener-";
const SETUP_BYTES_MAX: usize = 1 << 20;

/// The name under which it is kept. A colon would end a name.
pub fn name(what: &Descriptor) -> String {
    match what {
        Descriptor::Listener(listener) => format!("{LISTENER_PREFIX}{}", listener.address).replace(':', ";"),
        Descriptor::ReplaySet { epoch } => format!("{REPLAYS_PREFIX}{}", epoch.0),
        Descriptor::Remembered => REMEMBERED.into(),
        Descriptor::Secrets => SECRETS.into(),
        // Nothing else is worth it.
        _ => String::new(),
    }
}

/// What is kept under that name.
pub fn parse(name: &str) -> Option<Descriptor> {
    if let Some(epoch) = name.strip_prefix(REPLAYS_PREFIX) {
        return epoch.parse().ok().map(|epoch| Descriptor::ReplaySet { epoch: Epoch(epoch) });
    }
    if let Some(address) = name.strip_prefix(LISTENER_PREFIX) {
        let address = address.replace(';', ":").parse().ok()?;
        return Some(Descriptor::Listener(Listener { address, transport: Transport::Tcp }));
    }
    match name {
        SECRETS => Some(Descriptor::Secrets),
        REMEMBERED => Some(Descriptor::Remembered),
        _ => None,
    }
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
