//! Connections over TCP and QUIC for whoever is no shard: the control plane, authorities, clients and tools. What comes of
//! either is a [`Stream`] of bytes, on which a link speaks (wire.md 8).
//!
//! | module | its job |
//! |---|---|
//! | `dial` | to a peer |
//! | `accept` | from peers, those over QUIC in their own time: one that says nothing delays nobody |
//! | `quic` | one stream of one QUIC connection, and how it ends |
#![forbid(unsafe_code)]

mod accept;
mod dial;
mod quic;
#[cfg(test)]
mod tests;

pub use accept::{Listener, Visitor};
pub use dial::{connect, warm_up};

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection. [`AsyncWrite::poll_shutdown`] says that nothing more comes, and waits until what was said before has
/// arrived, for a second at most; dropping it ends it at once.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over QUIC.
    Quic(quic::Stream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Quic(stream) => stream.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Quic(stream) => stream.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Quic(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Quic(stream) => stream.poll_shutdown(cx),
        }
    }
}
