//! One end of a PKI session: moves bytes between the connection and the link, and waits for what happens next.

use crypto_simd::random::OsRandom;
use std::io;
use std::time::Duration;
use streams::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant as Clock, timeout_at};
use wire::link::{Event, Input, Link};
use wire::{FrameError, Instant};

/// Bytes that are read at once at most; more arrives in more reads, so that an announced length costs nothing before its
/// bytes are there.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are read at once at least. Most connections of an authority need no more, and there may be many.
const READ_BYTES_MIN: usize = 4 * 1024;

/// What the owner of a session has to see to.
pub enum Happened {
    /// Something about the link.
    Event(Event),
    /// The header of a frame is open and its body, of so many bytes, is not here yet. Once a frame, and not of frames
    /// that arrive whole.
    Announced(usize),
    /// A command, or a frame that cannot be opened.
    Command(Result<Vec<u8>, FrameError>),
}

/// A link and its connection.
pub struct Driver {
    /// The link.
    pub link: Link,
    stream: Stream,
    start: Clock,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet taken.
    from: usize,
    to: usize,
    is_announced: bool,
}

impl Driver {
    /// A link that was made for the time [`Instant::default`].
    pub fn new(stream: Stream, link: Link) -> Self {
        Self { link, stream, start: Clock::now(), buffer: Vec::new(), from: 0, to: 0, is_announced: false }
    }

    /// The link's time.
    pub fn now(&self) -> Instant {
        Instant::default() + self.start.elapsed()
    }

    /// Sends what is to be sent, and waits for the next event or command.
    pub async fn next(&mut self) -> io::Result<Happened> {
        loop {
            if let Some(event) = self.link.poll_event() {
                return Ok(Happened::Event(event));
            }
            self.flush().await?;
            let now = self.now();
            let mut input = &mut self.buffer[self.from..self.to];
            let happened = match self.link.handle_input(now, &mut input) {
                Input::Nothing => None,
                Input::Event => Some(None),
                Input::Frame(frame) => Some(Some(frame.into_command())),
            };
            self.from = self.to - input.len();
            let announced = self.link.announced_bytes();
            let was_announced = std::mem::replace(&mut self.is_announced, announced.is_some());
            if let Some(bytes) = announced.filter(|_| !was_announced) {
                return Ok(Happened::Announced(bytes));
            }
            match happened {
                None => self.read().await?,
                Some(None) => {}
                Some(Some(command)) => return Ok(Happened::Command(command)),
            }
        }
    }

    /// Sends what is to be sent.
    pub async fn flush(&mut self) -> io::Result<()> {
        while let Some(buffer) = self.link.poll_output(self.now()) {
            match timeout_at(self.deadline(), self.stream.write_all(&buffer)).await {
                Ok(written) => {
                    written?;
                    let taken = buffer.len();
                    self.link.handle_sent(buffer, taken);
                }
                Err(_) => self.link.handle_timeout(self.now(), &mut OsRandom),
            }
        }
        Ok(())
    }

    /// Says that nothing more will come, after all that was sent.
    pub async fn close(mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn read(&mut self) -> io::Result<()> {
        self.buffer.resize(self.link.input_due().clamp(READ_BYTES_MIN, READ_BYTES_MAX), 0);
        (self.from, self.to) = (0, 0);
        match timeout_at(self.deadline(), self.stream.read(&mut self.buffer)).await {
            Ok(Ok(0)) => self.link.handle_closed(false),
            Ok(count) => self.to = count?,
            Err(_) => self.link.handle_timeout(self.now(), &mut OsRandom),
        }
        Ok(())
    }

    fn deadline(&self) -> Clock {
        self.start + Duration::from_nanos(self.link.poll_timeout().0)
    }
}
