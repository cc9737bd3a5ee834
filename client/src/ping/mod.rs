//! Pings: packets to an echo service, and the report about their answers (client.md 17.1). No ping is sent twice.
//!
//! | file | what it holds |
//! |---|---|
//! | `pinger` | a run of pings as a machine around a client |
//! | `report` | what came of it |

mod pinger;
mod report;
#[cfg(test)]
mod tests;

pub use pinger::PAYLOAD_BYTES_MIN;
pub use report::{Outcome, Ping, Report, Stop};

use crate::driver;
use crate::engine::Client;
use crate::settings::Settings;
pub(crate) use pinger::Pinger;
use pki::Epoch;
use std::time::Duration;
use wire::Instant;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The capability of the service that answers.
    pub service: String,
    /// How many.
    pub count: u64,
    /// How many may be without an answer at a time.
    pub concurrency: usize,
    /// Whether each ping goes to a service node chosen for it, instead of one for all.
    pub service_for_each: bool,
    /// How long to wait for a gateway and a document: at the beginning, and where they get lost on the way.
    pub start_limit: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            service: "echo".into(),
            count: 5,
            concurrency: 1,
            service_for_each: false,
            start_limit: Duration::from_secs(60),
        }
    }
}

/// What happens during a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// A link to a gateway is up.
    Connected {
        /// The gateway's name.
        gateway: &'a str,
        /// Local clock minus the gateway's, in seconds.
        clock_skew: Option<i64>,
    },
    /// The link is gone, or could not be made; another one will be.
    Disconnected {
        /// Why.
        reason: &'a str,
    },
    /// A document is there, and is used from its epoch on.
    Document {
        /// Its epoch.
        epoch: Epoch,
    },
    /// All is there to begin.
    Begins {
        /// The endpoint of the service.
        endpoint: &'a str,
        /// The name of the service node; of the first one where each ping has its own.
        node: &'a str,
        /// How long each answer is waited for.
        timeout: Duration,
        /// How long all of it takes on average at the rates of the document.
        expected: Duration,
    },
    /// A ping has left.
    Sent {
        /// Its number.
        number: u64,
    },
    /// A ping is answered, or lost.
    Done(&'a Ping),
}

/// Why there was no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// The settings are of no use.
    #[error("{0}")]
    Settings(String),
    /// No link, or no document, within the limit.
    #[error("{what} within {} s; last: {last}", limit.as_secs())]
    NoStart {
        /// What there was not.
        what: &'static str,
        /// The limit.
        limit: Duration,
        /// What was seen last.
        last: String,
    },
    /// The document lists no such service.
    #[error("the document of epoch {epoch} lists no service {service:?}; it has {known}")]
    NoService {
        /// The epoch of the document.
        epoch: Epoch,
        /// What was looked for.
        service: String,
        /// What there is.
        known: String,
    },
    /// The network is another one than the settings say.
    #[error("{0}")]
    OtherNetwork(String),
}

/// Sends the pings of `plan` over a link of its own, and tells of what happens. Runs on any tokio runtime with time and
/// I/O enabled; a current-thread one will do. Dropping the future ends the run: until then [`Progress::Done`] has told
/// of each ping that was through. An error only where no ping could be sent; losses are in the report.
pub async fn run(
    settings: Settings,
    plan: Plan,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Report, PingError> {
    let payload_bytes = settings.geometry.user_forward_payload_length;
    let mut client =
        Client::new(settings, Instant::default()).map_err(|error| PingError::Settings(error.to_string()))?;
    let mut pinger = Pinger::new(plan, payload_bytes, tell)?;
    driver::drive(&mut client, &mut pinger).await
}
