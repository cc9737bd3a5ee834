//! Requests that wait for the children of one entry, in one queue, and how many children there are to take them.

use super::tally::{Outcome, Tally};
use interplane::requests::{Request, RequestId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Requests that wait for one entry (server.md 6.4).
const QUEUE_REQUESTS: usize = 1000;

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
    /// A copy of what the data plane hands over.
    pub fn of(request: &Request<'_>) -> Self {
        let Request { id, received_at, delay, wants_reply, payload } = *request;
        Self { id, received_at, delay, wants_reply, payload: payload.to_vec() }
    }
}

/// The end at which requests are put in.
pub struct Entrance {
    sender: mpsc::Sender<Waiting>,
    line: Arc<Line>,
}

/// The end at which children take them out.
pub struct Line {
    requests: Mutex<mpsc::Receiver<Waiting>>,
    returns: mpsc::WeakSender<Waiting>,
    children: AtomicUsize,
    /// What became of the requests.
    pub tally: Arc<Tally>,
}

impl Line {
    /// Both ends, without children.
    pub fn new(tally: Arc<Tally>) -> (Entrance, Arc<Self>) {
        let (sender, receiver) = mpsc::channel(QUEUE_REQUESTS);
        let (requests, returns, children) = (Mutex::new(receiver), sender.downgrade(), AtomicUsize::new(0));
        let line = Arc::new(Self { requests, returns, children, tally });
        (Entrance { sender, line: line.clone() }, line)
    }

    /// One more child takes requests; whether it is the only one.
    pub fn join(&self) -> bool {
        self.children.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// One child less; whether it was the last. Nobody is there for the requests that wait, then.
    pub fn leave(&self) -> bool {
        let is_last = self.children.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && let Ok(mut requests) = self.requests.try_lock() {
            while requests.try_recv().is_ok() {
                self.tally.count(Outcome::NotRunning);
            }
        }
        is_last
    }

    /// The next request; none when the node stops. Dropped in the middle, it has taken none.
    pub async fn next(&self) -> Option<Waiting> {
        self.requests.lock().await.recv().await
    }

    /// A request that was taken and could not be handed over: another child may have it.
    pub fn give_back(&self, request: Waiting) {
        let is_back = self.returns.upgrade().is_some_and(|sender| sender.try_send(request).is_ok());
        if !is_back {
            self.tally.count(Outcome::NotRunning);
        }
    }

    /// The next request if one waits, and no other child does for it.
    pub fn try_next(&self) -> Option<Waiting> {
        self.requests.try_lock().ok()?.try_recv().ok()
    }
}

impl Entrance {
    /// Lets a request wait, unless that is of no use.
    pub fn put(&self, request: impl FnOnce() -> Waiting) {
        if self.line.children.load(Ordering::Relaxed) == 0 {
            return self.line.tally.count(Outcome::NotRunning);
        }
        // The other end is not dropped before this one.
        match self.sender.try_reserve() {
            Ok(place) => place.send(request()),
            Err(_) => self.line.tally.count(Outcome::QueueFull),
        }
    }

    /// What became of requests.
    pub fn tally(&self) -> &Tally {
        &self.line.tally
    }
}
