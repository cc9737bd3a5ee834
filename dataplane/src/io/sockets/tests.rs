use super::*;
use socket2::SockRef;

#[test]
fn sockets_send_at_once_and_are_kept_alive() {
    let to = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 1));
    let dialled = stream_to(Target::tcp(to), SocketFlags::CLOEXEC).expect("a socket");
    let socket = SockRef::from(&dialled);
    assert!(socket.tcp_nodelay().expect("an option"));
    assert!(socket.keepalive().expect("an option"));
    assert_eq!(socket.tcp_keepalive_time().expect("an option"), KEEP_ALIVE);
    assert!(stream_to(Target::quic(to), SocketFlags::CLOEXEC).is_err(), "no stream of the kernel's");
}
