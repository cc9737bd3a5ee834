use super::*;
use config::address::HostNames;

fn resolved(urls: &[&str], families: Families) -> Vec<String> {
    let addresses: Vec<_> = urls.iter().map(|url| Address::parse(url, HostNames::Refused).unwrap()).collect();
    resolve(&addresses, families).unwrap().iter().map(ToString::to_string).collect()
}

const BOTH: Families = Families { v4: true, v6: true };
const V4: Families = Families { v4: true, v6: false };

#[test]
fn unspecified_addresses_mean_both_families_unless_the_scheme_says_one() {
    for url in ["tcp://[::]:1", "tcp://0.0.0.0:1"] {
        assert_eq!(resolved(&[url], BOTH), ["0.0.0.0:1", "[::]:1"]);
        assert_eq!(resolved(&[url], V4), ["0.0.0.0:1"], "a host without IPv6");
    }
    assert_eq!(resolved(&["tcp6://[::]:1"], BOTH), ["[::]:1"]);
    assert_eq!(resolved(&["tcp4://0.0.0.0:1"], BOTH), ["0.0.0.0:1"]);
    assert_eq!(resolved(&["tcp://0.0.0.0:1", "tcp://[::]:1", "tcp4://0.0.0.0:1"], BOTH), ["0.0.0.0:1", "[::]:1"]);
    assert_eq!(resolved(&["tcp://192.0.2.1:1", "tcp://[2001:db8::1]:1"], BOTH), ["192.0.2.1:1", "[2001:db8::1]:1"]);
}

#[test]
fn an_address_in_the_other_notation_is_the_same_address() {
    assert_eq!(resolved(&["tcp://[::ffff:127.0.0.1]:1", "tcp://127.0.0.1:1"], BOTH), ["127.0.0.1:1"]);
    assert_eq!(resolved(&["tcp://[::ffff:0.0.0.0]:1"], V4), ["0.0.0.0:1"]);
}

#[test]
fn quic_means_both_families_too_and_has_ports_of_its_own() {
    assert_eq!(resolved(&["quic://[::]:1"], BOTH), ["quic://0.0.0.0:1", "quic://[::]:1"]);
    assert_eq!(resolved(&["quic://0.0.0.0:1", "quic://[::]:1"], V4), ["quic://0.0.0.0:1"]);
    let both = ["tcp://192.0.2.1:1", "quic://192.0.2.1:1", "quic://192.0.2.1:1"];
    assert_eq!(resolved(&both, BOTH), ["192.0.2.1:1", "quic://192.0.2.1:1"]);
}

fn loopback(transport: Carrier, port: u16) -> Listener {
    Listener { address: (Ipv4Addr::LOCALHOST, port).into(), transport }
}

fn port_of(fd: &OwnedFd) -> u16 {
    SockRef::from(fd).local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket").port()
}

fn number_of(fd: &OwnedFd) -> u64 {
    rustix::fs::fstat(fd).expect("an open descriptor").st_ino
}

#[test]
fn over_quic_each_shard_has_a_socket_of_its_own_at_one_port() {
    let wanted = for_shards(&[loopback(Carrier::Tcp, 0), loopback(Carrier::Quic, 0)], 3).unwrap();
    let transports: Vec<_> = wanted.iter().map(|listener| listener.transport).collect();
    assert_eq!(transports, [Carrier::Tcp, Carrier::Quic, Carrier::Quic, Carrier::Quic]);
    let bound = bind_all(&wanted, Vec::new()).unwrap();
    let port = port_of(&bound[1].1);
    assert!(port != 0 && bound[1..].iter().all(|(_, fd)| port_of(fd) == port));
    // Datagrams of many senders come to all of them.
    for _ in 0..300 {
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"x", ("127.0.0.1", port)).unwrap();
    }
    for (_, fd) in &bound[1..] {
        let socket = std::net::UdpSocket::from(fd.try_clone().unwrap());
        assert!(socket.recv(&mut [0; 8]).is_ok(), "one of three gets nothing of 300");
    }
    assert!(matches!(for_shards(&[loopback(Carrier::Quic, 1)], SOCKETS_MAX + 1), Err(ListenError::TooMany { .. })));
}

#[test]
fn a_port_is_shared_with_nobody_else() {
    let theirs = bind_all(&[loopback(Carrier::Quic, 0); 2], Vec::new()).unwrap();
    let listener = loopback(Carrier::Quic, port_of(&theirs[0].1));
    let error = bind_all(&[listener; 2], Vec::new()).map(drop).expect_err("somebody has it");
    let text = error.to_string();
    assert!(text.contains(&format!("cannot listen on {listener}: ")) && text.contains("another node"), "{text}");
    // TCP has ports of its own.
    bind_all(&[loopback(Carrier::Tcp, listener.address.port())], Vec::new()).unwrap();
}

#[test]
fn what_was_inherited_is_used_and_what_is_missing_is_added() {
    let old = bind_all(&[loopback(Carrier::Quic, 0); 2], Vec::new()).unwrap();
    let listener = loopback(Carrier::Quic, port_of(&old[0].1));
    let elsewhere = bind_all(&[loopback(Carrier::Quic, 0)], Vec::new()).unwrap();
    let numbers: Vec<_> = old.iter().map(|(_, fd)| number_of(fd)).collect();
    let inherited = elsewhere.into_iter().chain(old).map(|(was, fd)| match port_of(&fd) {
        port if port == listener.address.port() => (listener, fd),
        _ => (was, fd),
    });
    let now = bind_all(&[listener; 4], inherited.collect()).unwrap();
    assert_eq!(now.iter().map(|(_, fd)| number_of(fd)).take(2).collect::<Vec<_>>(), numbers);
    assert!(now.iter().all(|(_, fd)| port_of(fd) == listener.address.port()));
    // With fewer shards the rest is closed.
    let now = bind_all(&[listener], now).unwrap();
    assert_eq!(now.iter().map(|(_, fd)| number_of(fd)).collect::<Vec<_>>(), numbers[..1]);
}

#[test]
fn buffers_are_as_large_as_the_kernel_allows() {
    let bound = bind_all(&[loopback(Carrier::Quic, 0)], Vec::new()).unwrap();
    let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse::<usize>().unwrap();
    let (wanted, bytes) = (most.min(BUFFER_BYTES), sockopt::socket_recv_buffer_size(&bound[0].1).unwrap() / 2);
    assert!(bytes >= wanted, "{bytes} of {wanted}");
    assert_eq!(small_buffer(&bound[0].1), (bytes < BUFFER_BYTES).then_some(bytes));
    let tcp = bind_all(&[loopback(Carrier::Tcp, 0)], Vec::new()).unwrap();
    assert_eq!(small_buffer(&tcp[0].1), None);
}

#[test]
fn both_wildcards_are_listened_at_together() {
    let port = std::net::TcpListener::bind("[::]:0").and_then(|listener| listener.local_addr());
    let Ok(port) = port.map(|address| address.port()) else {
        testhost::lacks("ipv6", "no address can be bound");
        return;
    };
    let url = format!("tcp://[::]:{port}");
    let addresses = resolve(&[Address::parse(&url, HostNames::Refused).unwrap()], Families::of_host()).unwrap();
    let listeners = bind_all(&addresses, Vec::new()).unwrap();
    assert_eq!(listeners.len(), addresses.len());
    for host in ["127.0.0.1", "[::1]"] {
        std::net::TcpStream::connect(format!("{host}:{port}")).unwrap();
    }
}
