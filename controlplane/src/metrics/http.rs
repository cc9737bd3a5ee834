//! Plain HTTP for scrapes and probes. Whoever reaches the port may hold a few connections for a few seconds, and never
//! the descriptors with which the node talks to its authorities.

use super::history::INTERVAL;
use crate::logging::Log;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Connections that are served at once; the oldest goes when another one comes.
pub const CONNECTIONS_MAX: usize = 32;

/// How long a request's head may take, on a new connection and on one that waits for its next request.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection may be open in all.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of the longest head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

const MODULE: &str = "instrument";

/// What is served.
pub trait Page: Clone + Send + Sync + 'static {
    /// Called every few seconds.
    fn look(&self) {}
    /// What there is to ask for.
    const PATHS: &'static str = "/metrics, /ready and /health";
    /// `/`, as HTML, where there is one.
    fn status(&self) -> Option<String> {
        None
    }
    /// `/metrics`, in the exposition format.
    fn metrics(&self) -> String;
    /// `/health`: that all is at work; else what is missing.
    fn health(&self) -> Result<(), &'static str>;
    /// `/ready`: that it takes part in the current epoch; else what is missing.
    fn readiness(&self) -> Result<(), &'static str>;
}

/// Answers requests until the future is dropped.
pub async fn serve(listener: TcpListener, page: impl Page, log: Log) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut failed = 0_u64;
    let mut looks = tokio::time::interval(INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = looks.tick() => {
                page.look();
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                failed = 0;
                open.retain(|connection| !connection.is_finished());
                if open.len() >= CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(converse(stream, page.clone())).abort_handle());
            }
            Err(error) => {
                // Once when it begins and once a minute while it lasts.
                if failed.is_multiple_of(60) {
                    log.warning(MODULE, format_args!("cannot accept a connection for metrics: {error}"));
                }
                failed += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, page: impl Page) {
    let service = service_fn(move |request: Request<_>| {
        let answer = answer(request.method(), request.uri().path(), &page);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    // A scrape that breaks is the scraper's affair.
    let _ended = tokio::time::timeout(CONNECTION_LIMIT, connection).await;
}

type Answer = Response<Full<Bytes>>;

fn answer<P: Page>(method: &Method, path: &str, page: &P) -> Answer {
    if !matches!(path, "/" | "/metrics" | "/ready" | "/health") {
        return not_found::<P>();
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
        refusal.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/" => page.status().map_or_else(not_found::<P>, html),
        "/metrics" => text(StatusCode::OK, page.metrics()),
        "/ready" => probe(page.readiness(), "ready\n"),
        _ => probe(page.health(), "healthy\n"),
    }
}

fn not_found<P: Page>() -> Answer {
    text(StatusCode::NOT_FOUND, format!("not found: there are {}\n", P::PATHS))
}

fn probe(outcome: Result<(), &'static str>, good: &str) -> Answer {
    match outcome {
        Ok(()) => text(StatusCode::OK, good.into()),
        Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

/// A page that may load nothing, run nothing, and be framed by nobody.
fn html(body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    let headers = answer.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'";
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, hyper::header::HeaderValue::from_static(value));
    }
    answer
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
