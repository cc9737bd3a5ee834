//! One stream of one QUIC connection.

use ::quic::profile::END_CODE;
use quinn::{ConnectionError, Endpoint, ReadError, RecvStream, SendStream, WriteError};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::timeout;

/// How long what was said may take to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(1);

/// The end of the connection takes away what the peer's program has not read yet, so that it is told of the end no earlier
/// than this after everything has arrived (wire.md 8.3; pki.md 8.1).
const LINGER: Duration = Duration::from_millis(100);

/// How long the last datagram may take to leave.
const DEPARTURE_LIMIT: Duration = Duration::from_millis(200);

/// The stream, the connection that it is all of, and the socket of one that was dialled.
pub struct Stream {
    send: SendStream,
    receive: RecvStream,
    connection: quinn::Connection,
    dialled: Option<Endpoint>,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Stream {
    /// Of a connection that a peer made.
    pub fn accepted(connection: quinn::Connection, (send, receive): (SendStream, RecvStream)) -> Self {
        Self { send, receive, connection, dialled: None, closing: None }
    }

    /// Of a connection over a socket of its own.
    pub fn dialled(
        connection: quinn::Connection,
        (send, receive): (SendStream, RecvStream),
        endpoint: Endpoint,
    ) -> Self {
        Self { send, receive, connection, dialled: Some(endpoint), closing: None }
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.receive.poll_read_buf(cx, buffer).map(|read| match read {
            // The end of the connection is how a peer ends its stream; what came before it is read first.
            Err(ReadError::ConnectionLost(error)) if is_good_end(&error) => Ok(()),
            Err(ReadError::ConnectionLost(error)) => Err(lost(error)),
            read => Ok(read?),
        })
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, bytes).map_err(|error| match error {
            WriteError::ConnectionLost(error) if is_good_end(&error) => ErrorKind::BrokenPipe.into(),
            WriteError::ConnectionLost(error) => lost(error),
            error => error.into(),
        })
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            // One that has ended before has nothing left to send.
            let _ended = self.send.finish();
            self.closing = Some(Box::pin(close(self.send.stopped(), self.connection.clone(), self.dialled.clone())));
        }
        match &mut self.closing {
            Some(closing) => closing.as_mut().poll(cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// Ends a connection when the peer has what was sent, or has ended it itself.
async fn close<T>(arrived: impl Future<Output = T>, connection: quinn::Connection, dialled: Option<Endpoint>) {
    let lingering = async {
        let _in_time_or_not = timeout(ARRIVAL_LIMIT, arrived).await;
        // Who has dialled has had its answer.
        if dialled.is_none() {
            tokio::time::sleep(LINGER).await;
        }
    };
    tokio::select! {
        _ = connection.closed() => {}
        () = lingering => {}
    }
    connection.close(END_CODE, b"");
    if let Some(endpoint) = dialled {
        // The process may end now: the last datagram goes first.
        let _gone_or_not = timeout(DEPARTURE_LIMIT, endpoint.wait_idle()).await;
    }
}

fn is_good_end(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == END_CODE)
}

/// The loss of a connection as the operating system would tell of one over TCP.
pub fn lost(error: ConnectionError) -> io::Error {
    let kind = match &error {
        ConnectionError::TimedOut => ErrorKind::TimedOut,
        ConnectionError::Reset => ErrorKind::ConnectionReset,
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed => ErrorKind::ConnectionAborted,
        ConnectionError::ConnectionClosed(_) => ErrorKind::ConnectionRefused,
        ConnectionError::VersionMismatch | ConnectionError::TransportError(_) => ErrorKind::InvalidData,
        ConnectionError::CidsExhausted => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
