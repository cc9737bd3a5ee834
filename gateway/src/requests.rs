//! The documents that a client waits for (server.md 5.6): one after the other, in the order in which it asked, each in as
//! many pieces as there is room for at a time.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;
use wire::command::codes;

/// Requests that may wait before nothing more is read from the client.
const WAITING_MAX: usize = 4;

/// Documents that a client may take one after the other when it has just connected. It asks for three, and for the same
/// ones again if it could not use them (client.md 12.2). Not more: who connects again and again has them each time.
pub const DOCUMENTS_AT_FIRST: u32 = 6;
/// Documents that it may take one after the other when it has taken none for a while.
pub const DOCUMENTS_BURST: u32 = 16;
/// How long it waits for another one after that. Clients ask again after a sixteenth of an epoch; one that has no document
/// at all asks five times, a second apart.
pub const DOCUMENT_INTERVAL: Duration = Duration::from_secs(2);

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The compressed document of an epoch in chunks: GetConsensus2.
    Chunks(u64),
    /// The document of an epoch in one piece: GetConsensus, which the reference at the pin still answers.
    Whole(u64),
}

/// A document of which some chunks are sent.
#[derive(Debug)]
pub struct Download<D> {
    /// Where the document is.
    pub source: Arc<D>,
    /// Its epoch.
    pub epoch: u64,
    /// The chunk to be sent next.
    pub next_chunk: usize,
}

/// What one client waits for. `D` holds documents.
#[derive(Debug)]
pub struct Requests<D> {
    waiting: VecDeque<Request>,
    /// What is being sent.
    pub download: Option<Download<D>>,
    /// Up to when documents are spent: so far ahead of the time that no more than a burst is.
    spent_until: Instant,
}

impl<D> Requests<D> {
    /// Of a client that has just connected.
    pub fn new(now: Instant) -> Self {
        let spent_until = now + DOCUMENT_INTERVAL * (DOCUMENTS_BURST - DOCUMENTS_AT_FIRST);
        Self { waiting: VecDeque::new(), download: None, spent_until }
    }

    /// The client asks for something.
    pub fn push(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// The request that is to be answered next, if nothing is being sent.
    pub fn next(&self) -> Option<Request> {
        self.waiting.front().copied().filter(|_| self.download.is_none())
    }

    /// It is being answered.
    pub fn begin(&mut self, download: Option<Download<D>>) {
        self.waiting.pop_front();
        self.download = download;
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    /// Whether one more document may be sent now; it counts then. Answers without a document
    /// are a short command each, and do not count.
    pub fn may_take(&mut self, now: Instant) -> bool {
        let spent_until = self.spent_until.max(now) + DOCUMENT_INTERVAL;
        let may_take = spent_until <= now + DOCUMENT_INTERVAL * DOCUMENTS_BURST;
        if may_take {
            self.spent_until = spent_until;
        }
        may_take
    }

    /// Whether so many wait that nothing more is to be read from this client for now.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.download.is_none()
    }
}

/// What the client is told about a document that is not held: that there will never be one, or that there is none yet.
/// `is_final` says that it is known that there will be none.
pub fn refusal_code(epoch: u64, current: u64, is_final: bool) -> u8 {
    let is_past = epoch < current.saturating_sub(1);
    if is_final || is_past { codes::consensus::GONE } else { codes::consensus::NOT_FOUND }
}
