//! Blocking link handshakes for everybody around the node: authority, fake mixes, null node.

use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::link::{Due, Event, Input, Limits, Link};
use wire::{Command, Instant, PeerCredentials, SessionConfig, Transport};

/// How long a peer may take for one message.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// What is read at once, whatever a peer announces.
const READ_BYTES_MAX: usize = 1 << 20;

/// Who one end of a link is.
#[derive(Clone)]
pub struct Identity {
    /// The additional data of the handshake.
    pub id: [u8; 32],
    /// The link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
}

impl Identity {
    /// An identity with a fresh link key.
    pub fn generate(id: [u8; 32], kem: &'static dyn Kem) -> Result<Self, String> {
        let link_key = kem.load(&kem.generate(&mut OsRandom)).map_err(|error| error.to_string())?;
        Ok(Self { id, link_key: Arc::from(link_key) })
    }

    /// Whether `peer` is this identity.
    pub fn is(&self, peer: &PeerCredentials) -> bool {
        peer.additional_data == self.id && peer.public_key == self.link_key.public_key()
    }
}

/// An established link.
pub struct Session<S = TcpStream> {
    /// The connection, blocking.
    pub stream: S,
    link: Link,
    start: std::time::Instant,
}

impl Session {
    /// Shakes hands as `config` says, finalization included.
    pub fn establish(
        stream: TcpStream,
        config: &SessionConfig,
        own: &Identity,
        is_welcome: impl Fn(&PeerCredentials) -> bool,
    ) -> Result<Self, String> {
        let io = |error: std::io::Error| format!("handshake: {error}");
        stream.set_nodelay(true).map_err(io)?;
        stream.set_read_timeout(Some(STEP_LIMIT)).map_err(io)?;
        stream.set_write_timeout(Some(STEP_LIMIT)).map_err(io)?;
        Self::over(stream, config, own, is_welcome)
    }
}

impl<S: Read + Write> Session<S> {
    /// Shakes hands over anything that blocks; what takes too long is its to end.
    pub fn over(
        stream: S,
        config: &SessionConfig,
        own: &Identity,
        is_welcome: impl Fn(&PeerCredentials) -> bool,
    ) -> Result<Self, String> {
        let limits = Limits::exchange(Duration::MAX, Duration::MAX);
        let link = Link::new(*config, own.link_key.clone(), &own.id, limits, Instant::default());
        let mut session = Self { stream, link, start: std::time::Instant::now() };
        loop {
            session.heed(&is_welcome)?;
            session.write()?;
            if session.link.is_up() {
                return Ok(session);
            }
            session.read()?;
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Option<&PeerCredentials> {
        self.link.peer()
    }

    /// Sends one command.
    pub fn send(&mut self, command: &Command<'_>) -> Result<(), String> {
        self.link.send(command).map_err(|error| error.to_string())?;
        self.write()
    }

    /// The plaintext of the next frame.
    pub fn receive(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(command) = self.read()? {
                return Ok(command);
            }
        }
    }

    /// The connection and both directions, for who drives frames by itself. No byte of a frame may be under way.
    pub fn into_parts(self) -> Result<(S, Transport), String> {
        let transport = self.link.into_transport().ok_or("a frame is under way")?;
        Ok((self.stream, transport))
    }

    fn heed(&mut self, is_welcome: &impl Fn(&PeerCredentials) -> bool) -> Result<(), String> {
        let (now, random) = (self.now(), &mut OsRandom);
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::Due(Due::Step) => self.link.step(now, unix_now().as_secs(), random),
                Event::Due(Due::Decision) if self.link.peer().is_some_and(is_welcome) => self.link.accept(now, random),
                Event::Due(Due::Decision) => self.link.reject(),
                Event::Up => {}
                Event::Ended(end) => return Err(end.to_string()),
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        while let Some(buffer) = self.link.poll_output(self.now()) {
            self.stream.write_all(&buffer).map_err(|error| error.to_string())?;
            let taken = buffer.len();
            self.link.handle_sent(buffer, taken);
        }
        Ok(())
    }

    /// Reads what is due and nothing beyond it; returns the command that it completes, if it does.
    fn read(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut buffer = vec![0; self.link.input_due().min(READ_BYTES_MAX)];
        self.stream.read_exact(&mut buffer).map_err(|error| error.to_string())?;
        let (now, mut input) = (self.now(), &mut buffer[..]);
        match self.link.handle_input(now, &mut input) {
            Input::Frame(frame) => Ok(Some(frame.open().map_err(|error| error.to_string())?.to_vec())),
            Input::Nothing | Input::Event => match self.link.ended() {
                Some(end) => Err(end.to_string()),
                None => Ok(None),
            },
        }
    }

    fn now(&self) -> Instant {
        Instant::default() + self.start.elapsed()
    }
}

/// Time since the Unix epoch.
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
