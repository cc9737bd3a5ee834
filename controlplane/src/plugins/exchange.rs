//! Takes requests out of the data plane's rings and puts each into the queue of its plugin. It never waits for one.

use super::line::{Entrance, Waiting};
use super::tally::Outcome;
use crate::logging::Log;
use interplane::requests::{Bell, Requests};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Requests of each shard between two looks at everything else.
const ROUND_REQUESTS: usize = 256;

/// Longest sleep, whatever the bell does.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The queues, by the plugins' numbers.
pub struct Exchange {
    requests: Requests,
    bell: Bell,
    queues: Vec<Entrance>,
    kaetzchen_delay: Duration,
}

impl Exchange {
    /// Without plugins yet.
    pub fn new(requests: Requests, bell: Bell, kaetzchen_delay: Duration) -> Self {
        Self { requests, bell, queues: Vec::new(), kaetzchen_delay }
    }

    /// The queue of the next plugin.
    pub fn add(&mut self, queue: Entrance) {
        self.queues.push(queue);
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
            let Some(queue) = queues.get(usize::from(request.id.plugin())) else { return };
            if now.saturating_sub(request.received_at) > longest {
                return queue.tally().count(Outcome::DwellExceeded);
            }
            queue.put(|| Waiting::of(&request));
        })
    }
}
