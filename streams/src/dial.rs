//! To a peer.

use crate::Stream;
use crate::quic;
use ::quic::profile;
use pki::address::{Carrier, Target};
use quinn::{ClientConfig, Endpoint, Side, TokioRuntime};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a peer may take for the handshake of QUIC: what the reference's library gives it.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// Connects. Of several addresses behind a name the first that answers is taken.
pub async fn connect(target: &Target) -> io::Result<Stream> {
    match target.carrier {
        Carrier::Tcp => {
            let stream = TcpStream::connect(target.host_port()).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Carrier::Quic => {
            let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
            for address in lookup_host(target.host_port()).await? {
                match connect_quic(address, server_name(target, address)).await {
                    Ok(stream) => return Ok(Stream::Quic(stream)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// An address stands for itself: then nothing of it is sent. A name is sent as the reference sends it.
fn server_name(target: &Target, address: SocketAddr) -> String {
    match target.host.parse::<IpAddr>() {
        Ok(_) => profile::server_name(address.ip()),
        Err(_) => target.host.clone(),
    }
}

async fn connect_quic(address: SocketAddr, name: String) -> io::Result<quic::Stream> {
    let endpoint = endpoint(address)?;
    let connecting = endpoint.connect_with(client_config()?, address, &name);
    let connecting = connecting.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let connection = timeout(HANDSHAKE_LIMIT, connecting).await.map_err(|_| ErrorKind::TimedOut)?;
    let connection = connection.map_err(quic::lost)?;
    // The peer sees it with the first bytes that go over it.
    let stream = connection.open_bi().await.map_err(quic::lost)?;
    Ok(quic::Stream::dialled(connection, stream, endpoint))
}

/// A socket for one connection, as the reference has it: nothing ties two connections together.
fn endpoint(to: SocketAddr) -> io::Result<Endpoint> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    Endpoint::new(profile::endpoint_config(Side::Client), None, socket, Arc::new(TokioRuntime))
}

/// What all dials of the process say. Nothing is remembered in it.
fn client_config() -> io::Result<ClientConfig> {
    static MADE: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made.clone());
    }
    let made = profile::client_config().map_err(io::Error::other)?;
    Ok(MADE.get_or_init(|| made).clone())
}

/// Does what the first connection of a process over QUIC would wait for, tens of milliseconds of it, on a thread of its own.
pub fn warm_up() {
    // What does not go now goes, or does not, when it is needed.
    drop(std::thread::Builder::new().name("quic warm-up".into()).spawn(profile::warm_up));
}
