//! The mixes before and behind a node, as far as links go: who dials and who is dialled.

use crate::network::{Network, Peer};
use crate::session::Session;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use wire::{PeerCredentials, Role};

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
    loop {
        let link = TcpStream::connect_timeout(&address, CONNECT_LIMIT)
            .map_err(|error| error.to_string())
            .and_then(|stream| Session::establish(stream, &config, &peer.identity, |answering| answering == node));
        match link {
            Ok(link) => return Ok(link),
            Err(reason) if Instant::now() > deadline => {
                return Err(format!("{} cannot connect to the node: {reason}", peer.name));
            }
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
