//! Takes requests out of the data plane's rings and puts each into the queue of its plugin. It never waits for one.

use super::tally::{Outcome, Tally};
use crate::logging::Log;
use interplane::requests::{Bell, Request, RequestId, Requests};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Requests that wait for one plugin (server.md 6.4).
const QUEUE_REQUESTS: usize = 1000;

/// Requests of each shard between two looks at everything else.
const ROUND_REQUESTS: usize = 256;

/// Longest sleep, whatever the bell does.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A request that waits for its plugin.
pub struct Waiting {
    /// Its number.
    pub id: RequestId,
    /// When its packet came, since the Unix epoch.
    pub received_at: Duration,
    /// What was left of its reply's delay when it was handed over.
    pub delay: Duration,
    /// Whether an answer can be sent.
    pub wants_reply: bool,
    /// The user payload.
    pub payload: Vec<u8>,
}

impl Waiting {
    fn of(request: &Request<'_>) -> Self {
        let Request { id, received_at, delay, wants_reply, payload } = *request;
        Self { id, received_at, delay, wants_reply, payload: payload.to_vec() }
    }
}

/// The queues, by the plugins' numbers.
pub struct Exchange {
    requests: Requests,
    bell: Bell,
    queues: Vec<(mpsc::Sender<Waiting>, Arc<Tally>)>,
    kaetzchen_delay: Duration,
}

impl Exchange {
    /// Without plugins yet.
    pub fn new(requests: Requests, bell: Bell, kaetzchen_delay: Duration) -> Self {
        Self { requests, bell, queues: Vec::new(), kaetzchen_delay }
    }

    /// The queue of the next plugin.
    pub fn add(&mut self, tally: Arc<Tally>) -> mpsc::Receiver<Waiting> {
        let (sender, receiver) = mpsc::channel(QUEUE_REQUESTS);
        self.queues.push((sender, tally));
        receiver
    }

    /// Works until it is dropped.
    pub async fn run(mut self, log: Log) {
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe; a bell keeps its descriptor open while it lives"
        )]
        let bell = match AsyncFd::with_interest(self.bell.clone(), Interest::READABLE) {
            Ok(bell) => bell,
            Err(error) => return log.error("plugins", format_args!("cannot wait for requests: {error}")),
        };
        loop {
            while self.take() {
                tokio::task::yield_now().await;
            }
            if !self.requests.fall_asleep() {
                continue;
            }
            // Whoever brings something from here on rings.
            if let Ok(Ok(mut rung)) = tokio::time::timeout(SLEEP_MAX, bell.readable()).await {
                bell.get_ref().still();
                rung.clear_ready();
            }
        }
    }

    /// Distributes what is there; gives whether there may be more.
    fn take(&mut self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (queues, longest) = (&self.queues, self.kaetzchen_delay);
        self.requests.take(ROUND_REQUESTS, |request| {
            let Some((queue, tally)) = queues.get(usize::from(request.id.plugin())) else { return };
            if now.saturating_sub(request.received_at) > longest {
                return tally.count(Outcome::DwellExceeded);
            }
            match queue.try_send(Waiting::of(&request)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => tally.count(Outcome::QueueFull),
                Err(mpsc::error::TrySendError::Closed(_)) => tally.count(Outcome::NotRunning),
            }
        })
    }
}
