//! The signals that a node acts on.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Those that were sent and are not yet acted on.
pub struct Signals {
    /// From the terminal.
    pub interrupt: Signal,
    /// From a service manager.
    pub terminate: Signal,
    /// Open the log again.
    pub hangup: Signal,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Waits for one that means stop.
pub async fn wait_for_stop(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
