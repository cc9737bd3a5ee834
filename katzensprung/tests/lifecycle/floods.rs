//! Who gets in while somebody holds as many connections open as a host can.

use super::LONG;
use crate::hosts::{metric, with_metrics};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use testnet::session::Session;
use wire::Role;

/// Connections that say nothing, from so many addresses.
const IDLE: usize = 512;
const ADDRESSES: usize = 16;
/// Handshakes of the listed neighbour.
const HANDSHAKES: usize = 100;

/// A connection from another address than the neighbours'; none if the node has no room for it.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((source, 0)).into()).ok()?;
    socket.connect_timeout(&to.into(), Duration::from_secs(2)).ok()?;
    Some(socket.into())
}

/// Holds a share of the idle connections open until told to stop, and makes each again as soon as it is closed; counts
/// those that were made.
fn hold_open(source: Ipv4Addr, to: SocketAddr, stop: &AtomicBool, made: &AtomicUsize) {
    let mut held: Vec<Option<TcpStream>> = (0..IDLE / ADDRESSES).map(|_| None).collect();
    while !stop.load(Ordering::Relaxed) {
        for place in &mut held {
            let is_open = place.as_ref().is_some_and(|stream| {
                stream.set_nonblocking(true).is_ok()
                    && matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            });
            if !is_open {
                *place = connect_from(source, to);
                made.fetch_add(usize::from(place.is_some()), Ordering::Relaxed);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// 512 idle connections from 16 addresses, reopened when they are closed, keep a listed neighbour out of nothing.
#[test]
fn idle_connections_do_not_keep_neighbours_out() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    let _authority = site.start_authority();
    let node = site.start_node();
    // Once there is a document and the links are up.
    let traffic = site.link();
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = site.folder.address;
    let floods: Vec<_> = (0..ADDRESSES)
        .map(|host| {
            let (stop, made, source) = (stop.clone(), made.clone(), Ipv4Addr::new(127, 0, 1, 2 + host as u8));
            std::thread::spawn(move || hold_open(source, address, &stop, &made))
        })
        .collect();
    // All are there, and the node has had to turn some of them away.
    let refused = "katzensprung_incoming_refused_total{reason=\"handshake_limit\"}";
    let turned_away = || metric(metrics, refused).unwrap_or_default();
    wait_for("the flood", SOON, || (made.load(Ordering::Relaxed) >= IDLE && turned_away() >= 1.0).then_some(()));
    let (made_before, turned_away_before) = (made.load(Ordering::Relaxed), turned_away());
    let (network, identity) = (&site.network, &site.network.upstream[0].identity);
    let config = network.mixnet_session(Role::Initiator);
    let mut failures = Vec::new();
    for _ in 0..HANDSHAKES {
        let outcome = TcpStream::connect(address)
            .map_err(|error| error.to_string())
            .and_then(|stream| Session::establish(stream, &config, identity, |peer| *peer == site.credentials));
        failures.extend(outcome.err());
    }
    // It went on all the time.
    wait_for("more of the flood", SOON, || {
        (made.load(Ordering::Relaxed) > made_before && turned_away() > turned_away_before).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().expect("it ends"));
    println!("{} of {HANDSHAKES} handshakes succeeded", HANDSHAKES - failures.len());
    assert!(failures.len() * 100 <= HANDSHAKES, "{} failed, first: {:?}", failures.len(), failures.first());
    drop((traffic, node));
}
