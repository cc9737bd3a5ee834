use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn number(socket: &OwnedFd, level: i32, name: i32) -> bool {
    calls::is_known(socket.as_fd(), level, name)
}

#[test]
fn sockets_have_what_they_need_on_both_families() {
    for address in [(Ipv4Addr::LOCALHOST, 0).into(), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
        let Ok(socket) = bind(address, true) else {
            testhost::lacks("IPv6", "no socket at ::1");
            continue;
        };
        let granted = prepare(&socket).expect("a socket");
        assert!(is_datagram(&socket) && granted.receive_bytes > 0 && granted.send_bytes > 0, "{granted:?}");
        assert!(granted.receive_bytes <= BUFFER_BYTES);
        assert_eq!(granted.segments_max > 1, number(&socket, libc::SOL_UDP, libc::UDP_SEGMENT));
        // Shared: a second one at the same address.
        let local = local_address(&socket).expect("a bound socket");
        bind(local, true).expect("two of one group");
        assert_eq!(drops(&socket), 0);
    }
    let stream = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    assert!(!is_datagram(&stream));
    assert!(prepare(std::os::unix::net::UnixDatagram::unbound().expect("a socket")).is_err());
}
