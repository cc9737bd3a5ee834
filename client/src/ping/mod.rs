//! Pings: packets to an echo service, and the report about their answers (client.md 17.1). No ping is sent twice.

mod report;

pub use report::{Outcome, Ping, Report, Stop};

use crate::settings::Settings;
use pki::Epoch;
use std::time::Duration;

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
    /// How long to wait for a gateway and the first document.
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
    /// A link to the gateway of that name is there.
    Connected {
        /// Its name.
        gateway: &'a str,
    },
    /// The link is gone; another one is made.
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
        /// The name of the service node.
        node: &'a str,
        /// How long each answer is waited for.
        timeout: Duration,
        /// How long all of it takes on average at the rates of the document.
        expected: Duration,
    },
    /// One ping is through, or lost.
    Done(&'a Ping),
}

/// Why there was no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// The settings are of no use.
    #[error("{0}")]
    Settings(String),
    /// No link or document within the limit.
    #[error("{0}")]
    NoStart(String),
    /// The document lists no such service.
    #[error("the document of epoch {epoch} lists no service {service:?}")]
    NoService {
        /// The epoch of the document.
        epoch: Epoch,
        /// What was looked for.
        service: String,
    },
}

// pub async fn run(settings: &Settings, plan: &Plan, tell: &mut dyn FnMut(Progress<'_>)) -> Result<Report, PingError>
//
// Inside any tokio runtime with time and I/O enabled (a current-thread one will do). Dropping the future stops the run;
// `Progress::Done` has told of every ping until then. An error only if no ping could begin; losses are in the report.
#[allow(unused_imports)]
use Settings as _;
