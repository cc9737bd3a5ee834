//! A connection of a process with itself, in memory.

use super::{endpoint_config, server_name};
use bytes::BytesMut;
use quinn_proto::{ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, ServerConfig, Side};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Flights that a handshake takes, and some more.
const FLIGHTS_MAX: usize = 16;

struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    connection: Option<(ConnectionHandle, Connection)>,
}

/// As far as it goes: nothing depends on it.
pub fn connect(server: ServerConfig, client: ClientConfig) {
    let now = Instant::now();
    let end = |side, port, server: Option<ServerConfig>| End {
        endpoint: Endpoint::new(Arc::new(endpoint_config(side)), server.map(Arc::new), true, None),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        connection: None,
    };
    let (mut dialler, mut listener) = (end(Side::Client, 1, None), end(Side::Server, 2, Some(server)));
    let name = server_name(listener.address.ip());
    dialler.connection = dialler.endpoint.connect(now, client, listener.address, &name).ok();
    for _ in 0..FLIGHTS_MAX {
        let said = dialler.speak(&mut listener, now);
        if !listener.speak(&mut dialler, now) && !said {
            return;
        }
    }
}

impl End {
    /// Sends what there is to the other end; whether there was anything.
    fn speak(&mut self, to: &mut Self, now: Instant) -> bool {
        let Some((_, connection)) = &mut self.connection else { return false };
        let mut datagram = Vec::new();
        let mut said = false;
        while connection.poll_transmit(now, 1, &mut datagram).is_some() {
            said = true;
            to.hear(self.address, &datagram, now);
            datagram.clear();
        }
        said
    }

    fn hear(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.connection = self.endpoint.accept(incoming, now, &mut answer, None).ok();
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let Some((ours, connection)) = &mut self.connection else { return };
                if *ours == handle {
                    connection.handle_event(event);
                }
            }
            _ => {}
        }
    }
}
