//! The fake mixes on both sides of the node: those before it dial and send, those behind it listen and receive. Clients
//! of a gateway take the place of one side.

use super::frame::PacketSealer;
use super::link::{Incoming, Presealed};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use testnet::neighbours;
use testnet::network::Network;
use testnet::session::{Identity, Session};
use wire::{Command, PeerCredentials, Role};

/// Links that the node has made, with the number of the node behind it that they lead to.
pub type Accepted = Receiver<(usize, Incoming)>;

/// All links to and from the node.
pub struct Links {
    /// By number of the node before, or of the client.
    pub upstream: Vec<Presealed>,
    /// What seals the frames for these.
    pub sealers: Vec<PacketSealer>,
    /// By number of the node behind, or of the client.
    pub downstream: Vec<Option<Incoming>>,
    /// Newer links.
    pub accepted: Accepted,
    /// Links to nodes behind that no packet takes: it goes to clients.
    _unused: Option<Accepted>,
}

/// Who is at the ends of a packet's way.
#[derive(Clone, Copy)]
pub enum Ends<'a> {
    /// Mixes.
    Mixes,
    /// These clients send.
    ClientsBefore(&'a [Identity]),
    /// These clients receive.
    ClientsBehind(&'a [Identity]),
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
    node: &PeerCredentials,
    address: SocketAddr,
    ends: Ends<'_>,
    limit: Duration,
) -> Result<Links, String> {
    let deadline = Instant::now() + limit;
    let accepted = accept(network, listeners, node);
    let dial_as_client = |own: &Identity| neighbours::dial_as_client(network, own, node, address, deadline);
    let upstream: Vec<(Presealed, PacketSealer)> = match ends {
        Ends::ClientsBefore(clients) => {
            clients.iter().map(|own| Presealed::of_client(dial_as_client(own)?)).collect::<Result<_, String>>()?
        }
        Ends::Mixes | Ends::ClientsBehind(_) => {
            let dial = |peer| neighbours::dial(network, peer, node, address, deadline);
            network.upstream.iter().map(|peer| Presealed::new(dial(peer)?)).collect::<Result<_, String>>()?
        }
    };
    let (upstream, sealers) = upstream.into_iter().unzip();
    let mut behind: Vec<Option<Incoming>> = (0..network.downstream.len()).map(|_| None).collect();
    while behind.iter().any(Option::is_none) {
        let rest = deadline.saturating_duration_since(Instant::now());
        let (number, link) = accepted
            .recv_timeout(rest)
            .map_err(|_| format!("the node has not dialled all nodes behind it in {limit:?}"))?;
        behind[number] = Some(link);
    }
    let Ends::ClientsBehind(clients) = ends else {
        return Ok(Links { upstream, sealers, downstream: behind, accepted, _unused: None });
    };
    let set = network.client_session().command_set();
    let receiving = |mut session: Session| {
        // Only by saying something a client shows who it is, where the gateway wants to know that.
        session.send(&Command::NoOp)?;
        Incoming::of_client(session, set)
    };
    let clients = clients.iter().map(|own| receiving(dial_as_client(own)?).map(Some));
    let downstream = clients.collect::<Result<_, String>>()?;
    let (_nobody, no_newer) = channel();
    Ok(Links { upstream, sealers, downstream, accepted: no_newer, _unused: Some(accepted) })
}

/// Takes links from the node for as long as somebody wants them.
pub fn accept(network: &Arc<Network>, listeners: Vec<TcpListener>, node: &PeerCredentials) -> Accepted {
    let (sender, accepted) = channel();
    for (number, listener) in listeners.into_iter().enumerate() {
        let (network, node, sender): (_, _, Sender<_>) = (network.clone(), node.clone(), sender.clone());
        std::thread::spawn(move || {
            let set = network.mixnet_session(Role::Responder).command_set();
            let Some(own) = network.downstream.get(number) else { return };
            neighbours::accept(&network, own, &node, &listener, |session| {
                Incoming::new(session, set).map_or(true, |link| sender.send((number, link)).is_ok())
            });
        });
    }
    accepted
}
