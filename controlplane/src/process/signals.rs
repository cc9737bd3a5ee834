//! The signals that a node acts on, and those that must not end it in passing: a control plane that ends without a
//! stop leaves a data plane behind.

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// INT, QUIT, TERM.
    Stop,
    /// HUP.
    ReopenLog,
}

/// Those that were sent and are not yet acted on.
pub struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Held so that they keep doing nothing.
    _ignored: Vec<Signal>,
}

/// Signals that end a process which does not catch them, by number: VTALRM, PROF, IO and PWR have no name in tokio.
const IGNORED: [i32; 4] = [26, 27, 29, 30];

impl Signals {
    /// From now on none of them ends the process by itself.
    pub fn new() -> std::io::Result<Self> {
        let named = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()];
        let ignored = named.into_iter().chain(IGNORED.map(SignalKind::from_raw));
        let signals = Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _ignored: ignored.map(signal).collect::<Result<_, _>>()?,
        };
        // The program has let hang-ups wait from its first moment on: one that came while keys were made is due now.
        SigSet::from(nix::sys::signal::Signal::SIGHUP).thread_unblock()?;
        Ok(signals)
    }

    /// The next one that means something.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.quit.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::ReopenLog,
        }
    }
}
