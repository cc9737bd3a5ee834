//! The fake mixes on both sides of the node: those before it dial and send, those behind it listen and receive.

use super::link::{Incoming, Presealed};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use testnet::network::{Network, Peer};
use testnet::session::Session;
use wire::{PeerCredentials, Role};

/// Between two tries to connect to the node.
const RETRY: Duration = Duration::from_millis(100);
/// Limit of one dial.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Links that the node has made, with the number of the node behind it that they lead to.
pub type Accepted = Receiver<(usize, Incoming)>;

/// All links to and from the node.
pub struct Links {
    /// By number of the node before.
    pub upstream: Vec<Presealed>,
    /// By number of the node behind.
    pub downstream: Vec<Option<Incoming>>,
    /// Newer links.
    pub accepted: Accepted,
}

/// Who the measured node is.
#[derive(Clone)]
pub struct NodeCredentials {
    /// Its id.
    pub id: [u8; 32],
    /// Its public link key.
    pub link_key: Vec<u8>,
}

impl NodeCredentials {
    /// Whether `peer` is the node.
    pub fn is(&self, peer: &PeerCredentials) -> bool {
        peer.additional_data == self.id && peer.public_key == self.link_key
    }
}

/// Listeners for the nodes behind, and their addresses.
pub fn listen(count: usize) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), String> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>();
    let listeners = listeners.map_err(|error| error.to_string())?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    Ok((listeners, addresses.map_err(|error| error.to_string())?))
}

/// Makes all links; the node must be willing before `limit` is over.
pub fn connect(
    network: &Arc<Network>,
    listeners: Vec<TcpListener>,
    node: &NodeCredentials,
    address: SocketAddr,
    limit: Duration,
) -> Result<Links, String> {
    let deadline = Instant::now() + limit;
    let accepted = accept(network, listeners, node);
    let upstream = network.upstream.iter().map(|peer| dial(network, peer, node, address, deadline));
    let upstream = upstream.collect::<Result<Vec<_>, _>>()?;
    let mut downstream: Vec<Option<Incoming>> = (0..network.downstream.len()).map(|_| None).collect();
    while downstream.iter().any(Option::is_none) {
        let rest = deadline.saturating_duration_since(Instant::now());
        let (number, link) = accepted
            .recv_timeout(rest)
            .map_err(|_| format!("the node has not dialled all nodes behind it in {limit:?}"))?;
        downstream[number] = Some(link);
    }
    Ok(Links { upstream, downstream, accepted })
}

/// Takes links from the node for as long as the process lives.
fn accept(network: &Arc<Network>, listeners: Vec<TcpListener>, node: &NodeCredentials) -> Accepted {
    let (sender, accepted) = channel();
    for (number, listener) in listeners.into_iter().enumerate() {
        let (network, node, sender): (_, _, Sender<_>) = (network.clone(), node.clone(), sender.clone());
        std::thread::spawn(move || {
            let config = network.mixnet_session(Role::Responder);
            let Some(own) = network.downstream.get(number) else { return };
            for stream in listener.incoming().flatten() {
                let session = Session::establish(stream, &config, &own.identity, |peer| node.is(peer));
                let link = session.and_then(|session| Incoming::new(session, config.command_set()));
                // A failed handshake is the node's to repeat.
                let Ok(link) = link else { continue };
                if sender.send((number, link)).is_err() {
                    return;
                }
            }
        });
    }
    accepted
}

fn dial(
    network: &Network,
    peer: &Peer,
    node: &NodeCredentials,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Presealed, String> {
    let config = network.mixnet_session(Role::Initiator);
    loop {
        let link = TcpStream::connect_timeout(&address, CONNECT_LIMIT)
            .map_err(|error| error.to_string())
            .and_then(|stream| Session::establish(stream, &config, &peer.identity, |answering| node.is(answering)))
            .and_then(Presealed::new);
        match link {
            Ok(link) => return Ok(link),
            Err(reason) if Instant::now() > deadline => {
                return Err(format!("{} cannot connect to the node: {reason}", peer.name));
            }
            Err(_) => std::thread::sleep(RETRY),
        }
    }
}
