//! The data plane's process: a child, or one that an earlier control plane or somebody else has started.

use super::super::plane::PlaneError;
use crate::process::remedy::remedy;
use interplane::channel::Channel;
use interplane::peer::PeerProcess;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a child that is to end.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that cannot be taken for another one.
pub enum Process {
    /// Its number stays its own until it is reaped.
    Child(Child),
    /// Of somebody else.
    Other(PeerProcess),
}

impl Process {
    /// Starts a data plane that is to listen at `socket`.
    pub fn spawn(socket: &Path) -> Result<Self, PlaneError> {
        // This very program, whatever stands under its name by now; called by a name that does not mean `server`.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("katzensprung").arg("dataplane").arg("--socket").arg(socket).stdin(Stdio::null());
        // A group of its own: an interrupt from the terminal is for the control plane, which lets packets leave first.
        let spawned = command.process_group(0).spawn();
        spawned.map(Self::Child).map_err(|error| {
            let remedy =
                if error.kind() == ErrorKind::NotFound { "; mount /proc, which it needs" } else { remedy(&error) };
            PlaneError::Refused(format!("it cannot be started: {error}{remedy}"))
        })
    }

    /// The process at the other end.
    pub fn at(channel: &Channel) -> Result<Self, PlaneError> {
        Ok(PeerProcess::of(channel).map(Self::Other)?)
    }

    /// Its number, for the log.
    pub fn number(&self) -> i32 {
        match self {
            Self::Child(child) => child.id() as i32,
            Self::Other(process) => process.number(),
        }
    }

    /// How it ended, if it has, within `limit`.
    pub fn end_within(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            match self {
                Self::Child(child) => match child.try_wait() {
                    Ok(Some(status)) => return Some(status.to_string()),
                    Ok(None) => {}
                    Err(error) => return Some(error.to_string()),
                },
                Self::Other(process) => {
                    let rest = deadline.saturating_duration_since(Instant::now());
                    return process.has_ended_within(rest).then(|| "it is gone".into());
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends it as nothing can prevent.
    pub fn kill(&mut self) {
        match self {
            Self::Child(child) => {
                let _already_gone = child.kill();
            }
            Self::Other(process) => process.kill(),
        }
    }
}
