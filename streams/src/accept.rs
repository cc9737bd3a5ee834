//! From peers.

use crate::Stream;
use crate::quic::{self, lost};
use ::quic::profile;
use quinn::{Endpoint, Incoming, Side, TokioRuntime};
use socket2::{SockRef, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long the handshake of QUIC may take: what the reference's library gives it.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// With so many handshakes under way, senders have to show first that they are where they say.
pub(crate) const UNPROVEN_MAX: usize = 32;

/// More handshakes are not begun.
const HANDSHAKES_MAX: usize = 512;

/// A socket at which peers connect.
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over QUIC.
    Quic(QuicListener),
}

/// One of UDP.
pub struct QuicListener {
    endpoint: Endpoint,
    handshakes: Arc<AtomicUsize>,
}

/// Somebody who wants to connect. Who lets them go without a word turns them away.
pub struct Visitor {
    from: SocketAddr,
    kind: Kind,
}

enum Kind {
    Tcp(TcpStream),
    Quic(Box<Incoming>, Handshake),
}

/// A handshake under way, until it is dropped.
struct Handshake(Arc<AtomicUsize>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// At a socket that listens, or is bound, and does not block; which one it is tells over what.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        if SockRef::from(&socket).r#type()? == Type::STREAM {
            return Ok(Self::Tcp(TcpListener::from_std(std::net::TcpListener::from(socket))?));
        }
        let server = Some(profile::server_config().map_err(io::Error::other)?);
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new(profile::endpoint_config(Side::Server), server, UdpSocket::from(socket), runtime)?;
        Ok(Self::Quic(QuicListener { endpoint, handshakes: Arc::default() }))
    }

    /// The next visitor.
    pub async fn accept(&self) -> io::Result<Visitor> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok(Visitor { from, kind: Kind::Tcp(stream) })
            }
            Self::Quic(listener) => listener.accept().await,
        }
    }
}

impl QuicListener {
    async fn accept(&self) -> io::Result<Visitor> {
        loop {
            let incoming = self.endpoint.accept().await.ok_or(ErrorKind::NotConnected)?;
            let under_way = self.handshakes.load(Ordering::Relaxed);
            if under_way >= HANDSHAKES_MAX {
                incoming.ignore();
            } else if under_way >= UNPROVEN_MAX && !incoming.remote_address_validated() {
                // Who cannot be asked again has been.
                let _turned_away = incoming.retry();
            } else {
                self.handshakes.fetch_add(1, Ordering::Relaxed);
                let handshake = Handshake(self.handshakes.clone());
                return Ok(Visitor {
                    from: incoming.remote_address(),
                    kind: Kind::Quic(Box::new(incoming), handshake),
                });
            }
        }
    }
}

impl Visitor {
    /// Where they say they come from.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Whether that is known to be true.
    #[cfg(test)]
    pub(crate) fn has_shown_its_address(&self) -> bool {
        match &self.kind {
            Kind::Tcp(_) => true,
            Kind::Quic(incoming, _) => incoming.remote_address_validated(),
        }
    }

    /// Lets them in. Over QUIC that takes until they have shaken hands and opened their stream, and is for a task of its
    /// own.
    pub async fn admit(self) -> io::Result<Stream> {
        match self.kind {
            Kind::Tcp(stream) => {
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Kind::Quic(incoming, handshake) => {
                let connecting = incoming.accept().map_err(lost)?;
                let connection = timeout(HANDSHAKE_LIMIT, connecting).await.map_err(|_| ErrorKind::TimedOut)?;
                let connection = connection.map_err(lost)?;
                drop(handshake);
                match timeout(profile::STREAM_WAIT, connection.accept_bi()).await {
                    Ok(stream) => Ok(Stream::Quic(quic::Stream::accepted(connection, stream.map_err(lost)?))),
                    Err(_) => {
                        connection.close(profile::END_CODE, profile::NO_STREAM);
                        Err(ErrorKind::TimedOut.into())
                    }
                }
            }
        }
    }
}
