use super::*;
use crate::process::listen::bind_all;
use std::net::{Ipv4Addr, SocketAddr};

/// Sockets as they are bound, under their names.
fn kept(transport: Transport, count: usize) -> Vec<(String, OwnedFd)> {
    let listener = Listener { address: (Ipv4Addr::LOCALHOST, 0).into(), transport };
    let bound = bind_all(&vec![listener; count], Vec::new()).expect("free ports");
    let bound = bound.into_iter().enumerate().map(|(number, (_, fd))| {
        let address = SockRef::from(&fd).local_addr().expect("a bound socket").as_socket().expect("an address");
        (listener_name(&Listener { address, transport }, number), fd)
    });
    bound.collect()
}

fn address_in(name: &str) -> SocketAddr {
    name.rsplit('-').next().expect("an address").replace(';', ":").parse().expect("an address")
}

#[test]
fn listening_sockets_come_back_by_their_names() {
    let (tcp, quic) = (kept(Transport::Tcp, 1), kept(Transport::Quic, 3));
    let (tcp_at, quic_at) = (address_in(&tcp[0].0), address_in(&quic[0].0));
    let mut all: Vec<_> = tcp.into_iter().chain(quic).collect();
    let names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
    assert!(names.iter().all(|name| is_listener(name) && !name.contains(':') && parse(name).is_none()), "{names:?}");
    assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)), "{names:?}");
    let taken = take_listeners(&mut all);
    assert!(all.is_empty());
    let found: Vec<_> = taken.iter().map(|(_, listener, _)| *listener).collect();
    let of_quic = Listener { address: quic_at, transport: Transport::Quic };
    assert_eq!(found, [Listener { address: tcp_at, transport: Transport::Tcp }, of_quic, of_quic, of_quic]);
    let v6 = Listener { address: "[2001:db8::1]:7".parse().expect("an address"), transport: Transport::Quic };
    assert_eq!(listener_name(&v6, 2), "listener-quic-2-[2001;db8;;1];7");
}

#[test]
fn a_socket_that_is_not_what_its_name_says_is_not_used() {
    let mut all = kept(Transport::Quic, 1);
    let (name, fd) = all.remove(0);
    let at = address_in(&name).port();
    let other_port = name.replace(&at.to_string(), &(at ^ 1).to_string());
    let as_tcp = format!("listener-127.0.0.1;{at}");
    let copy = |fd: &OwnedFd| fd.try_clone().expect("a copy");
    let mut wrong = vec![
        (other_port, copy(&fd)),
        (as_tcp, copy(&fd)),
        ("listener-quic-".into(), copy(&fd)),
        ("listener-quic-0-nonsense".into(), copy(&fd)),
    ];
    let (tcp_name, tcp) = kept(Transport::Tcp, 1).remove(0);
    wrong.push((tcp_name.replace("listener-", "listener-quic-0-"), tcp));
    assert_eq!(take_listeners(&mut wrong).len(), 0);
    assert_eq!(take_listeners(&mut vec![(name, fd)]).len(), 1);
}
