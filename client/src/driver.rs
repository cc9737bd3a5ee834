//! The sockets and clocks around a client: one connection, over TCP or QUIC.

#[cfg(test)]
mod tests;

use crate::engine::{Client, Event};
use crate::time::Now;
use crypto_simd::random::{OsRandom, Random};
use pki::address::Target;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streams::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant as Clock, sleep_until, timeout};
use wire::Instant;

/// Limit of connecting to one address (client.md 11.1).
pub const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// How long a good-bye may take.
const GOOD_BYE_LIMIT: Duration = Duration::from_secs(1);

/// Who has a client and wants something of it.
pub trait Owner {
    /// What comes of it.
    type Outcome;

    /// Hears of an event.
    fn handle_event(&mut self, event: Event);

    /// Does what is due, and says when all is done.
    fn go_on(&mut self, client: &mut Client, now: Now, random: &mut dyn Random) -> Option<Self::Outcome>;

    /// When [`go_on`](Self::go_on) has something to do even if nothing happens.
    fn poll_timeout(&self) -> Instant;
}

/// Runs `client` until `owner` is done. Dropping the future closes the connection.
pub async fn drive<O: Owner>(client: &mut Client, owner: &mut O) -> O::Outcome {
    if client.may_dial_quic() {
        streams::warm_up();
    }
    let mut driver = Driver::default();
    client.handle_timeout(driver.now(), &mut OsRandom);
    loop {
        let now = driver.now();
        while let Some(event) = client.poll_event() {
            driver.heed(&event);
            owner.handle_event(event);
        }
        if let Some(outcome) = owner.go_on(client, now, &mut OsRandom) {
            client.stop();
            let _closed_without = timeout(GOOD_BYE_LIMIT, driver.flush(client)).await;
            return outcome;
        }
        driver.begin_write(client, now);
        let deadline = client.poll_timeout(now).min(owner.poll_timeout());
        driver.wait(client, deadline).await;
    }
}

type Dialling = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send>>;

struct Driver {
    start: Clock,
    dialling: Option<Dialling>,
    stream: Option<Stream>,
    /// What is being sent, and how much of it is.
    writing: Option<(Vec<u8>, usize)>,
    buffer: Vec<u8>,
}

impl Default for Driver {
    fn default() -> Self {
        Self { start: Clock::now(), dialling: None, stream: None, writing: None, buffer: vec![0; READ_BYTES] }
    }
}

/// What came first.
enum Came {
    Connected(Result<Stream, String>),
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
    Deadline,
}

impl Driver {
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { at: Instant::default() + self.start.elapsed(), unix }
    }

    fn heed(&mut self, event: &Event) {
        match event {
            Event::Dial { addresses, .. } => self.dialling = Some(Box::pin(connect(addresses.clone()))),
            Event::Disconnected { .. } => {
                self.stream = None;
                self.writing = None;
            }
            _ => {}
        }
    }

    fn begin_write(&mut self, client: &mut Client, now: Now) {
        if self.writing.is_none() {
            self.writing = client.poll_output(now.at).map(|buffer| (buffer, 0));
        }
    }

    async fn wait(&mut self, client: &mut Client, deadline: Instant) {
        let came = self.first(deadline).await;
        let (now, random) = (self.now(), &mut OsRandom);
        match came {
            Came::Connected(Ok(stream)) => {
                self.dialling = None;
                self.stream = Some(stream);
                client.handle_connected(now, random);
            }
            Came::Connected(Err(reason)) => {
                self.dialling = None;
                client.handle_unreachable(&reason, now, random);
            }
            Came::Read(Ok(count @ 1..)) => client.handle_input(&mut self.buffer[..count], now, random),
            Came::Read(Ok(0)) => self.close(client, false),
            Came::Read(Err(_)) | Came::Written(Err(_)) => self.close(client, true),
            Came::Written(Ok(count)) => self.handle_written(client, count),
            Came::Deadline => client.handle_timeout(now, random),
        }
    }

    async fn first(&mut self, deadline: Instant) -> Came {
        let until = match deadline {
            Instant::NEVER => self.start + Duration::from_secs(1 << 30),
            deadline => self.start + Duration::from_nanos(deadline.0),
        };
        let (read, write) = match &mut self.stream {
            Some(stream) => {
                let (read, write) = tokio::io::split(stream);
                (Some(read), Some(write))
            }
            None => (None, None),
        };
        let dialling = &mut self.dialling;
        let connected = async {
            match dialling {
                Some(dialling) => dialling.await,
                None => pending().await,
            }
        };
        let buffer = &mut self.buffer;
        let read = async {
            match read {
                Some(mut read) => read.read(buffer).await,
                None => pending().await,
            }
        };
        let writing = &self.writing;
        let written = async {
            match (write, writing) {
                (Some(mut write), Some((bytes, sent))) => write.write(&bytes[*sent..]).await,
                _ => pending().await,
            }
        };
        tokio::select! {
            connected = connected => Came::Connected(connected),
            count = read => Came::Read(count),
            count = written => Came::Written(count),
            () = sleep_until(until) => Came::Deadline,
        }
    }

    fn handle_written(&mut self, client: &mut Client, count: usize) {
        let Some((bytes, sent)) = self.writing.take() else { return };
        let sent = sent + count;
        if sent < bytes.len() {
            self.writing = Some((bytes, sent));
        } else {
            client.handle_sent(bytes, sent, self.now(), &mut OsRandom);
        }
    }

    fn close(&mut self, client: &mut Client, is_broken: bool) {
        self.stream = None;
        self.writing = None;
        client.handle_closed(is_broken, self.now(), &mut OsRandom);
    }

    async fn flush(&mut self, client: &mut Client) {
        let Some(mut stream) = self.stream.take() else { return };
        let mut writing = self.writing.take();
        while let Some((bytes, sent)) = writing.take().or_else(|| Some((client.poll_output(self.now().at)?, 0))) {
            if stream.write_all(&bytes[sent..]).await.is_err() {
                return;
            }
            let taken = bytes.len();
            client.handle_sent(bytes, taken, self.now(), &mut OsRandom);
        }
        let _closed_anyway = stream.shutdown().await;
    }
}

/// A connection to the first of the addresses that answers.
async fn connect(addresses: Vec<Target>) -> Result<Stream, String> {
    let mut reasons = Vec::new();
    for address in addresses {
        match timeout(CONNECT_LIMIT, streams::connect(&address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => reasons.push(format!("{address}: {error}")),
            Err(_) => reasons.push(format!("{address}: no answer within {} s", CONNECT_LIMIT.as_secs())),
        }
    }
    Err(format!("cannot connect to {}", reasons.join(", ")))
}
