//! One request and one answer over a PKI session (wire.md 6.7, 7.6): dial, shake hands, ask, close.

use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use pki::address::Url;
use pki::authority::Authority;
use secret_memory::within;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::{Command, CommandSizes, FRAME_HEADER_BYTES, Handshake, Role, SessionConfig, Transport, Want};

/// Bytes of an answer's body that are read at once; more arrives in more reads, so that an announced length costs
/// nothing before its bytes are there.
const READ_BYTES: usize = 64 * 1024;

/// The largest answer that is taken: documents with hybrid signatures of many authorities stay far below.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why an exchange with an authority brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// None of the authority's addresses can be dialled by this node.
    #[error("no address that can be dialled (tcp://host:port)")]
    NoAddress,
    /// The connection could not be made.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// `host:port`.
        address: String,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// A step took too long.
    #[error("no {step} within {limit:?}")]
    TimedOut {
        /// The step.
        step: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(#[from] Box<wire::HandshakeError>),
    /// Somebody else answered at the authority's address.
    #[error("the peer is not the configured authority")]
    OtherPeer,
    /// A frame or command that does not belong here.
    #[error("the answer is not acceptable: {0}")]
    Answer(String),
}

impl ExchangeError {
    /// Whether trying again at once may help (wire.md 7.6).
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::TimedOut { .. } | Self::Broken(_))
    }
}

/// How to reach authorities.
#[derive(Clone)]
pub struct Dialler {
    /// The network's link KEM.
    pub kem: &'static dyn Kem,
    /// Bytes of a public key of the PKI signature scheme.
    pub pki_public_key_bytes: usize,
    /// Limit of a dial.
    pub connect_limit: Duration,
    /// Limit of the whole handshake.
    pub handshake_limit: Duration,
    /// Limit of sending the request, and of the answer.
    pub answer_limit: Duration,
}

/// Who asks: a node posts under its own identity, a fetcher stays anonymous with a fresh key.
#[derive(Clone)]
pub struct Caller {
    /// The link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
    /// The node id, or nothing.
    pub additional_data: Vec<u8>,
}

impl Caller {
    /// A fresh link key and no identity.
    pub fn anonymous(kem: &'static dyn Kem) -> Result<Self, crypto_simd::schemes::SchemeError> {
        let link_key = within(|| kem.load(&kem.generate(&mut OsRandom)).map(Arc::from))?;
        Ok(Self { link_key, additional_data: Vec::new() })
    }
}

impl Dialler {
    /// Sends `command` to `authority` and gives what `take` makes of the answer.
    pub async fn exchange<T>(
        &self,
        authority: &Authority,
        caller: &Caller,
        command: &Command<'_>,
        take: impl FnOnce(&Command<'_>) -> Option<T>,
    ) -> Result<T, ExchangeError> {
        let config = SessionConfig::pki(Role::Initiator, self.kem, CommandSizes::pki(self.pki_public_key_bytes));
        let mut stream = self.dial(authority).await?;
        let shaking = shake_hands(&mut stream, &config, caller, authority);
        let mut transport = limited("handshake", self.handshake_limit, shaking).await??;
        transport.opener.lower_limit(ANSWER_BYTES_MAX);
        let set = config.command_set();
        let finalization = limited("finalization", self.answer_limit, receive(&mut stream, &mut transport)).await??;
        match set.parse(&finalization) {
            Ok(Command::NoOp) => {}
            other => return Err(ExchangeError::Answer(format!("finalization by {other:?}"))),
        }
        let mut frame = Vec::new();
        transport
            .sealer
            .seal_command(&set, command, &mut frame)
            .map_err(|error| ExchangeError::Answer(error.to_string()))?;
        limited("room to send", self.answer_limit, stream.write_all(&frame)).await??;
        let answer = limited("answer", self.answer_limit, receive(&mut stream, &mut transport)).await??;
        let answer = set.parse(&answer).map_err(|error| ExchangeError::Answer(error.to_string()))?;
        take(&answer).ok_or_else(|| ExchangeError::Answer(format!("{:?}", answer.id())))
    }

    async fn dial(&self, authority: &Authority) -> Result<TcpStream, ExchangeError> {
        let mut last = ExchangeError::NoAddress;
        for address in dialled_addresses(authority) {
            match timeout(self.connect_limit, TcpStream::connect(&address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = ExchangeError::Connect { address, error },
                Err(_) => last = ExchangeError::TimedOut { step: "connection", limit: self.connect_limit },
            }
        }
        Err(last)
    }
}

/// `host:port` of each address that goes over TCP.
fn dialled_addresses(authority: &Authority) -> impl Iterator<Item = String> {
    authority.addresses.iter().filter_map(|text| {
        let url = Url::parse(text)?;
        let (host, port) = url.host_and_port()?;
        (url.scheme == "tcp").then(|| format!("{host}:{port}"))
    })
}

async fn limited<T>(step: &'static str, limit: Duration, work: impl Future<Output = T>) -> Result<T, ExchangeError> {
    timeout(limit, work).await.map_err(|_| ExchangeError::TimedOut { step, limit })
}

async fn shake_hands(
    stream: &mut TcpStream,
    config: &SessionConfig,
    caller: &Caller,
    authority: &Authority,
) -> Result<Transport, ExchangeError> {
    let mut random = OsRandom;
    let mut handshake = Handshake::new(config, caller.link_key.clone(), &caller.additional_data, &mut random)?;
    loop {
        match handshake.wants() {
            Want::Write => {
                stream.write_all(handshake.pending_write()).await?;
                handshake.written();
            }
            Want::Read(count) => {
                let mut message = vec![0; count];
                stream.read_exact(&mut message).await?;
                handshake.read(&mut message, unix_seconds(), &mut random)?;
            }
            Want::Authenticate => {
                let expected =
                    handshake.peer().is_some_and(|peer| authority.is_peer(&peer.additional_data, &peer.public_key));
                if !expected {
                    handshake.reject();
                    return Err(ExchangeError::OtherPeer);
                }
                handshake.accept(&mut random)?;
            }
            Want::Done => return Ok(handshake.into_transport()?),
            Want::Closed => return Err(ExchangeError::OtherPeer),
        }
    }
}

async fn receive(stream: &mut TcpStream, transport: &mut Transport) -> Result<Vec<u8>, ExchangeError> {
    let mut header = [0; FRAME_HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let unacceptable = |error: wire::FrameError| ExchangeError::Answer(error.to_string());
    let length = transport.opener.open_header(&mut header).map_err(unacceptable)?;
    let mut body = Vec::new();
    while body.len() < length {
        let begin = body.len();
        body.resize((begin + READ_BYTES).min(length), 0);
        stream.read_exact(&mut body[begin..]).await?;
    }
    let command = transport.opener.open_body(&mut body).map_err(unacceptable)?;
    Ok(command.to_vec())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
