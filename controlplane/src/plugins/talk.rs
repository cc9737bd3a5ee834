//! What goes over the socket of a plugin: requests as they come, answers in any order.
//!
//! The reply block of a request stays in the data plane. What the plugin gets in its place has its length and holds the
//! request's number, so that an answer is known by what the reference knows it by.

use super::Settings;
use super::line::{Line, Waiting};
use super::tally::Outcome;
use interplane::requests::{Answers, RequestId};
use service::plugin::{Message, Messages, Parameters, PluginError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Bytes of requests that are written at once, if there are so many.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// Messages that answer nothing which a plugin may write between two requests: far more than any forgets or doubles.
/// Whoever writes without end would take the time of all others.
const SURPLUS_MAX: u64 = 1 << 20;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum TalkEnd {
    /// The socket.
    #[error("its socket: {0}")]
    Socket(#[from] std::io::Error),
    /// It closed the socket.
    #[error("it closed its socket")]
    Closed,
    /// It speaks nonsense.
    #[error("{0}; report it to the plugin's author")]
    Nonsense(#[from] PluginError),
    /// It writes without end.
    #[error("it has written more than {SURPLUS_MAX} messages that answer nothing; report it to the plugin's author")]
    Floods,
    /// It answers nothing in time.
    #[error("it has answered none of {requests} requests within {limit:?}")]
    Hangs {
        /// Requests in a row.
        requests: u32,
        /// The time for each.
        limit: Duration,
    },
    /// The node has no more requests.
    #[error("the node stops")]
    NodeStops,
}

/// One plugin's side of a conversation.
pub struct Talk<'a> {
    /// Its number.
    pub number: u16,
    /// What messages go by.
    pub settings: &'a Settings,
    /// Where its answers go.
    pub answers: &'a Mutex<Answers>,
    /// Where its requests wait.
    pub line: &'a Line,
    /// Answers that it may give: as many as it was asked for. What it writes besides must not fill the ring that all
    /// plugins' answers go through.
    pub owed: AtomicU64,
    /// Messages beyond that since the last request.
    pub surplus: AtomicU64,
}

impl Talk<'_> {
    /// Talks until one of the two ends it.
    pub async fn run(&self, stream: UnixStream, heard: Messages) -> TalkEnd {
        let (from, to) = stream.into_split();
        tokio::select! {
            end = self.write(to) => end,
            end = self.read(from, heard) => end,
        }
    }

    async fn write(&self, mut to: OwnedWriteHalf) -> TalkEnd {
        let mut bytes = Vec::new();
        loop {
            let Some(first) = self.line.next().await else { return TalkEnd::NodeStops };
            bytes.clear();
            let mut sent = u64::from(self.encode(&first, &mut bytes));
            while bytes.len() < WRITE_BYTES
                && let Some(next) = self.line.try_next()
            {
                sent += u64::from(self.encode(&next, &mut bytes));
            }
            let outcome = to.write_all(&bytes).await;
            let counted = if outcome.is_ok() { Outcome::Sent } else { Outcome::NotRunning };
            (0..sent).for_each(|_| self.line.tally.count(counted));
            if let Err(error) = outcome {
                return error.into();
            }
        }
    }

    /// Appends a request, unless it has waited too long.
    fn encode(&self, request: &Waiting, bytes: &mut Vec<u8>) -> bool {
        if is_too_old(request, self.settings) {
            self.line.tally.count(Outcome::DwellExceeded);
            return false;
        }
        let now = unix_now();
        let token = token(request.id, self.settings.surb_bytes);
        let message = Message {
            request_at: i64::try_from(now.as_secs()).ok(),
            // The data plane keeps the exact time; what plugins see is what is left of it about now.
            delay: request.delay.saturating_sub(now.saturating_sub(request.received_at)),
            id: request.id.0,
            payload: &request.payload,
            surb: request.wants_reply.then_some(&token),
            parameters: None,
        };
        message.encode(bytes);
        self.owed.fetch_add(u64::from(request.wants_reply), Ordering::Relaxed);
        self.surplus.store(0, Ordering::Relaxed);
        true
    }

    async fn read(&self, mut from: OwnedReadHalf, mut messages: Messages) -> TalkEnd {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            match from.read(&mut bytes).await {
                Ok(0) => return TalkEnd::Closed,
                Ok(count) => messages.push(&bytes[..count]),
                Err(error) => return error.into(),
            }
            loop {
                match messages.next_message() {
                    Ok(Some(message)) => self.take(&message),
                    Ok(None) => break,
                    Err(error) => return error.into(),
                }
            }
            if self.surplus.load(Ordering::Relaxed) > SURPLUS_MAX {
                return TalkEnd::Floods;
            }
        }
    }

    fn take(&self, message: &Message<'_>) {
        // Without what stands for a reply block there is nothing to be sent (server.md 6.4).
        let Some(surb) = message.surb.filter(|surb| surb.len() == self.settings.surb_bytes) else {
            self.surplus.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let outcome = match request_of(surb).filter(|id| id.plugin() == self.number) {
            None => Outcome::AnswerUnknown,
            Some(_) if self.owed.load(Ordering::Relaxed) == 0 => {
                self.surplus.fetch_add(1, Ordering::Relaxed);
                Outcome::AnswerUnknown
            }
            Some(_) if message.payload.len() > self.settings.payload_bytes => Outcome::AnswerTooLong,
            Some(id) => {
                self.owed.fetch_sub(1, Ordering::Relaxed);
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                if answers.give(id, message.payload) { Outcome::Answered } else { Outcome::AnswersFull }
            }
        };
        self.line.tally.count(outcome);
    }
}

/// What a plugin of these settings may say.
pub fn messages(settings: &Settings) -> Messages {
    Messages::new(settings.payload_bytes + settings.surb_bytes)
}

/// Asks a plugin that has been asked nothing yet for its parameters, and gives what it says: none if that is something
/// else, as what plugins say that do not know of parameters.
pub async fn ask_parameters(stream: &mut UnixStream, heard: &mut Messages) -> Result<Option<Vec<u8>>, TalkEnd> {
    let (mut question, mut bytes) = (Vec::new(), vec![0; READ_BYTES]);
    Message { parameters: Some(Parameters::Asked), ..Message::default() }.encode(&mut question);
    stream.write_all(&question).await?;
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Err(TalkEnd::Closed),
            count => heard.push(&bytes[..count]),
        }
        if let Some(message) = heard.next_message()? {
            return Ok(match message.parameters {
                Some(Parameters::Told(item)) => Some(item.to_vec()),
                _ => None,
            });
        }
    }
}

/// Whether a request has waited longer than it may.
pub fn is_too_old(request: &Waiting, settings: &Settings) -> bool {
    unix_now().saturating_sub(request.received_at) > settings.kaetzchen_delay
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What stands for the reply block of a request.
fn token(id: RequestId, bytes: usize) -> Vec<u8> {
    let mut token = vec![0; bytes];
    if let Some(number) = token.first_chunk_mut() {
        *number = id.0.to_be_bytes();
    }
    token
}

/// The request for whose reply block it stands.
fn request_of(token: &[u8]) -> Option<RequestId> {
    let (number, zeros) = token.split_first_chunk()?;
    zeros.iter().all(|byte| *byte == 0).then(|| RequestId(u64::from_be_bytes(*number)))
}
