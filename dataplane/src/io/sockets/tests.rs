use super::*;
use socket2::SockRef;

#[test]
fn sockets_send_at_once_and_are_kept_alive() {
    let dialled = stream_to((std::net::Ipv4Addr::LOCALHOST, 1).into(), SocketFlags::CLOEXEC).expect("a socket");
    let socket = SockRef::from(&dialled);
    assert!(socket.tcp_nodelay().expect("an option"));
    assert!(socket.keepalive().expect("an option"));
    assert_eq!(socket.tcp_keepalive_time().expect("an option"), KEEP_ALIVE);
}
