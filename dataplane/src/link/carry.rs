//! Bytes between a connection and its link.

use crate::io::{ConnId, Io, Received};
use crate::time::Instant;
use wire::Link;
use wire::link::{Due, End};

/// How far a handshake can go for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Waits for the connection.
    Waits,
    /// The next step costs a KEM operation, or a decision about the peer and then one.
    Due(Due),
    /// The link is established.
    Up,
    /// It has ended.
    Ended(End),
}

/// Hands over what the link has to send, if the connection has nothing under way.
pub fn hand_over(link: &mut Link, io: &mut impl Io, conn: ConnId, now: Instant) {
    if io.sending(conn).is_none()
        && let Some(buffer) = link.poll_output(now)
    {
        io.send(conn, buffer);
    }
}

/// Goes as far as possible without a KEM operation. Nothing beyond the handshake is received.
pub fn shake(link: &mut Link, io: &mut impl Io, conn: ConnId, now: Instant) -> Progress {
    loop {
        // What an event says is seen below.
        while link.poll_event().is_some() {}
        hand_over(link, io, conn, now);
        if let Some(end) = link.ended() {
            return Progress::Ended(end);
        }
        if link.is_up() {
            return Progress::Up;
        }
        if let Some(due) = link.due() {
            return Progress::Due(due);
        }
        match io.recv(conn, link.input_due()) {
            Received::Bytes { mut bytes, at } => drop(link.handle_input(at, &mut bytes)),
            Received::WouldBlock => return Progress::Waits,
            Received::Closed => link.handle_closed(false),
            Received::Failed => link.handle_closed(true),
        }
    }
}

/// Looks at the link's deadlines; the reason, if one of them has ended it.
pub fn time_out(
    link: &mut Link,
    io: &mut impl Io,
    conn: ConnId,
    now: Instant,
    random: &mut dyn crypto_simd::random::Random,
) -> Option<End> {
    if let Some(sending) = io.sending(conn) {
        link.handle_progress(sending.progress_at);
    }
    link.handle_timeout(now, random);
    hand_over(link, io, conn, now);
    link.ended()
}
