//! The mixes before and behind a node, and its clients, as far as links go: who dials and who is dialled.

use crate::network::{Network, Peer};
use crate::session::{Identity, Session};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use wire::{PeerCredentials, Role, SessionConfig};

/// Between two tries to connect to the node.
const RETRY: Duration = Duration::from_millis(50);
/// Limit of one dial.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Dials the node as `peer`, again and again until it lets the peer in: it may need a moment to know the peer.
pub fn dial(
    network: &Network,
    peer: &Peer,
    node: &PeerCredentials,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Session, String> {
    let config = network.mixnet_session(Role::Initiator);
    let dialled = dial_until(&config, &peer.identity, node, address, deadline);
    dialled.map_err(|reason| format!("{} cannot connect to the node: {reason}", peer.name))
}

/// Dials a gateway as a client, in the same way.
pub fn dial_as_client(
    network: &Network,
    own: &Identity,
    node: &PeerCredentials,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Session, String> {
    let dialled = dial_until(&network.client_session(), own, node, address, deadline);
    dialled.map_err(|reason| format!("a client cannot connect to the gateway: {reason}"))
}

fn dial_until(
    config: &SessionConfig,
    own: &Identity,
    node: &PeerCredentials,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Session, String> {
    loop {
        let link = TcpStream::connect_timeout(&address, CONNECT_LIMIT)
            .map_err(|error| error.to_string())
            .and_then(|stream| Session::establish(stream, config, own, |answering| answering == node));
        match link {
            Ok(link) => return Ok(link),
            Err(reason) if Instant::now() > deadline => return Err(reason),
            Err(_) => std::thread::sleep(RETRY),
        }
    }
}

/// Takes links that the node makes to `peer`, for as long as `take` wants more. A failed handshake is the node's to
/// repeat.
pub fn accept(
    network: &Network,
    peer: &Peer,
    node: &PeerCredentials,
    listener: &TcpListener,
    mut take: impl FnMut(Session) -> bool,
) {
    let config = network.mixnet_session(Role::Responder);
    for stream in listener.incoming().flatten() {
        let session = Session::establish(stream, &config, &peer.identity, |dialling| dialling == node);
        if session.is_ok_and(|session| !take(session)) {
            return;
        }
    }
}
