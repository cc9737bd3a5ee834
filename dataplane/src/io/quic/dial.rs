//! Dials over QUIC.

use super::{QuicIo, name};
use crate::io::{ConnId, Io};
use datagram::Datagrams;
use quic::NeedsPort;
use std::net::SocketAddr;

impl<B: Io + Datagrams> QuicIo<B> {
    /// Begins to connect, from a socket that is opened if none can be used.
    pub(super) fn dial(&mut self, to: SocketAddr) -> ConnId {
        let now = self.backend.now();
        let Some(quic) = &mut self.quic else {
            // An odd index, as other connections over QUIC have it, and a name of its own.
            self.refusals = self.refusals.wrapping_add(1);
            let conn = ConnId { index: 1, generation: self.refusals };
            self.refused.push_back(conn);
            return conn;
        };
        let dialled = match quic.endpoint.connect(to, now) {
            Err(NeedsPort { is_ipv6 }) => match self.backend.open(is_ipv6) {
                Ok(socket) => {
                    quic.add(socket, false, is_ipv6);
                    quic.endpoint.connect(to, now)
                }
                Err(_) => Ok(quic.endpoint.failed_dial()),
            },
            dialled => dialled,
        };
        name(dialled.unwrap_or_else(|_| quic.endpoint.failed_dial()))
    }
}
