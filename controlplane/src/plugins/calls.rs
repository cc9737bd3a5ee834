//! Requests to one child of the form that speaks HTTP (server.md 6.5, D.3): one at a time, each over a connection of its
//! own, so that an answer can only be that of its request, however late it comes.

use super::Settings;
use super::line::Line;
use super::talk::{self, TalkEnd};
use super::tally::Outcome;
use crate::logging::Log;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use interplane::SocketPath;
use interplane::requests::{Answers, RequestId};
use service::plugin::http::{self, Call};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Requests in a row without an answer in time after which a child is ended and started again.
const LATE_MAX: u32 = 3;
/// Bytes of the longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header fields of an answer.
const HEADERS_MAX: usize = 64;
/// Bytes of an answer besides its payload.
const EXTRA_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error("its socket: {0}")]
    Connect(std::io::Error),
    /// The time is over.
    #[error("it has not answered within {0:?}")]
    Late(Duration),
    /// What it said is longer than any answer.
    #[error("its answer is longer than any can be")]
    TooLong,
    /// It does not mean to answer.
    #[error("it answers with status {0}")]
    Status(StatusCode),
    /// What it said is not what was asked for.
    #[error("its answer: {0}")]
    Malformed(String),
}

/// One child, as requests see it.
pub struct Calls<'a> {
    /// The number of its entry.
    pub number: u16,
    /// What requests go by.
    pub settings: &'a Settings,
    /// Where answers go.
    pub answers: &'a Mutex<Answers>,
    /// Where requests wait.
    pub line: &'a Line,
    /// For what is wrong with answers.
    pub log: &'a Log,
    /// Its program, for the log.
    pub name: &'a str,
}

impl Calls<'_> {
    /// Asks until the child cannot be asked any more.
    pub async fn run(&self, socket: &Path) -> TalkEnd {
        let (mut late, mut is_told) = (0, false);
        let tally = &self.line.tally;
        loop {
            let Some(waiting) = self.line.next().await else { return TalkEnd::NodeStops };
            if talk::is_too_old(&waiting, self.settings) {
                tally.count(Outcome::DwellExceeded);
                continue;
            }
            let call = Call { id: waiting.id.0, payload: &waiting.payload, has_surb: waiting.wants_reply };
            let answer = self.ask(socket, call).await;
            if let Err(CallError::Connect(error)) = answer {
                self.line.give_back(waiting);
                return error.into();
            }
            tally.count(Outcome::Sent);
            late = if matches!(answer, Err(CallError::Late(_))) { late + 1 } else { 0 };
            // Once until it answers well again: whoever sends requests may be able to bring this about.
            if let (Err(error), false) = (&answer, is_told) {
                let name = self.name;
                self.log.warning("plugins", format_args!("{name} was asked in vain: {error}"));
            }
            is_told = answer.is_err();
            let outcome = match answer {
                Err(CallError::Late(_)) => Outcome::Late,
                Err(CallError::TooLong) => Outcome::AnswerTooLong,
                Err(_) => Outcome::AnswerMalformed,
                Ok(payload) => self.take(waiting.id, waiting.wants_reply, &payload),
            };
            tally.count(outcome);
            if late >= LATE_MAX {
                return TalkEnd::Hangs { requests: late, limit: self.settings.call_limit };
            }
        }
    }

    fn take(&self, id: RequestId, wants_reply: bool, payload: &[u8]) -> Outcome {
        if payload.is_empty() || !wants_reply {
            return Outcome::NoReply;
        }
        if payload.len() > self.settings.payload_bytes {
            return Outcome::AnswerTooLong;
        }
        debug_assert_eq!(id.plugin(), self.number);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.give(id, payload) { Outcome::Answered } else { Outcome::AnswersFull }
    }

    async fn ask(&self, socket: &Path, call: Call<'_>) -> Result<Vec<u8>, CallError> {
        let bytes_max = self.settings.payload_bytes + EXTRA_BYTES_MAX;
        let body = within(self.settings.call_limit, async {
            let stream = connect(socket).await?;
            post(stream, http::REQUEST_PATH, call.encode(), bytes_max).await
        });
        http::answer(&body.await?).map_err(|error| CallError::Malformed(error.to_string()))
    }
}

/// Asks over a fresh connection for what the plugin wants to be published; gives the body of its answer.
pub async fn parameters(stream: UnixStream, bytes_max: usize, limit: Duration) -> Result<Bytes, CallError> {
    within(limit, post(stream, http::PARAMETERS_PATH, Vec::new(), bytes_max)).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    timeout(limit, work).await.unwrap_or(Err(CallError::Late(limit)))
}

async fn connect(path: &Path) -> Result<UnixStream, CallError> {
    let connected = async { UnixStream::connect(SocketPath::of(path)?.as_path()).await };
    match connected.await {
        Ok(stream) => Ok(stream),
        // It accepts nothing, and its queue is full: as if it had been asked in vain.
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::future::pending().await,
        Err(error) => Err(CallError::Connect(error)),
    }
}

/// One POST over a connection that is closed after it.
async fn post(stream: UnixStream, path: &str, body: Vec<u8>, bytes_max: usize) -> Result<Bytes, CallError> {
    let malformed = |error: hyper::Error| CallError::Malformed(error.to_string());
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(malformed)?;
    let request = Request::post(path).header(HOST, "unix").header(CONTENT_TYPE, http::CONTENT_TYPE);
    let request =
        request.body(Full::new(Bytes::from(body))).map_err(|error| CallError::Malformed(error.to_string()))?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(malformed)?;
        if response.status() != StatusCode::OK {
            return Err(CallError::Status(response.status()));
        }
        match Limited::new(response.into_body(), bytes_max).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(CallError::TooLong),
            Err(error) => Err(CallError::Malformed(error.to_string())),
        }
    };
    tokio::pin!(talk, connection);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            outcome = &mut talk => return outcome,
            // What it has to say of an error, the other one says as well.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}
