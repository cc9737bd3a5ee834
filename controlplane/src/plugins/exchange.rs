//! Takes requests out of the data plane's rings and puts each into the queue of its plugin. It never waits for one.

use super::line::{Entrance, Waiting};
use super::tally::Outcome;
use crate::logging::Log;
use crate::process::rings::{Taker, take_all};
use interplane::requests::{Bell, Requests};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Requests of each shard between two looks at everything else.
const ROUND_REQUESTS: usize = 256;

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
        let bell = self.bell.clone();
        let error = take_all(&mut self, bell).await;
        log.error("plugins", format_args!("cannot wait for requests: {error}"));
    }
}

impl Taker for Exchange {
    fn requests(&mut self) -> &mut Requests {
        &mut self.requests
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
