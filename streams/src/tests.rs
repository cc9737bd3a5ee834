//! Both transports over the loopback, as those who use them see it.

use crate::{Listener, Stream, connect};
use pki::address::{Carrier, Target};
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// Longer than anything here takes on a busy host.
const LONG: Duration = Duration::from_secs(60);

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async { timeout(LONG, test).await.expect("it ends") })
}

fn listener(carrier: Carrier, ip: IpAddr) -> (Listener, Target) {
    let (kind, protocol) = match carrier {
        Carrier::Tcp => (Type::STREAM, Protocol::TCP),
        Carrier::Quic => (Type::DGRAM, Protocol::UDP),
    };
    let domain = if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind.nonblocking(), Some(protocol)).expect("a socket");
    socket.bind(&SocketAddr::new(ip, 0).into()).expect("a free port");
    if carrier == Carrier::Tcp {
        socket.listen(16).expect("it listens");
    }
    let port = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address").port();
    let listener = Listener::new(OwnedFd::from(socket)).expect("a listener");
    (listener, Target { carrier, host: ip.to_string(), port })
}

fn loopback(carrier: Carrier) -> (Arc<Listener>, Target) {
    let (listener, target) = listener(carrier, Ipv4Addr::LOCALHOST.into());
    (Arc::new(listener), target)
}

/// The next stream of a listener, its handshake in a task of its own.
async fn admit(listener: &Listener) -> Stream {
    listener.accept().await.expect("a visitor").admit().await.expect("a stream")
}

#[test]
fn bytes_go_both_ways_and_an_end_is_an_end() {
    let mut loopbacks: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        loopbacks.push(Ipv6Addr::LOCALHOST.into());
    }
    for (carrier, ip) in loopbacks.iter().flat_map(|ip| [(Carrier::Tcp, *ip), (Carrier::Quic, *ip)]) {
        run(async {
            let (listener, target) = listener(carrier, ip);
            let served = tokio::task::spawn_local(async move {
                let mut stream = admit(&listener).await;
                let mut asked = vec![0; 1 << 20];
                stream.read_exact(&mut asked).await.expect("the whole question");
                stream.write_all(b"an answer").await.expect("it is taken");
                stream.shutdown().await.expect("it ends");
                asked
            });
            let mut stream = connect(&target).await.expect("a connection");
            let question: Vec<u8> = (0..1 << 20).map(|n| (n % 251) as u8).collect();
            stream.write_all(&question).await.expect("it is taken");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("an end, not a loss");
            assert_eq!(answer, b"an answer", "{target}");
            assert!(served.await.expect("no panic") == question, "{target}");
        });
    }
}

/// The reference ends its connections without finishing the stream, and nearly at once.
#[test]
fn what_came_before_the_end_of_the_connection_is_read_first() {
    run(async {
        let (listener, target) = loopback(Carrier::Quic);
        let served = tokio::task::spawn_local(async move { admit(&listener).await });
        let mut stream = connect(&target).await.expect("a connection");
        stream.write_all(b"hello").await.expect("it is taken");
        let mut theirs = served.await.expect("no panic");
        theirs.write_all(b"answer").await.expect("it is taken");
        let mut first = [0];
        stream.read_exact(&mut first).await.expect("its beginning has come");
        drop(theirs);
        // Only now that the end is here, too.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("an end");
        assert_eq!(rest, b"nswer");
        let error = stream.write_all(b"more").await.expect_err("it is over");
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// Whoever is told of the end has had the time to read what came before it.
#[test]
fn the_end_follows_after_a_moment() {
    run(async {
        let (listener, target) = loopback(Carrier::Quic);
        let served = tokio::task::spawn_local(async move { admit(&listener).await });
        let mut stream = connect(&target).await.expect("a connection");
        stream.write_all(b"hello").await.expect("it is taken");
        let mut theirs = served.await.expect("no panic");
        theirs.write_all(b"answer").await.expect("it is taken");
        let began = Instant::now();
        let closing = tokio::task::spawn_local(async move { theirs.shutdown().await });
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.expect("it comes");
        closing.await.expect("no panic").expect("it ends");
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
        // A peer that ends it itself is not waited for.
        let (listener, target) = loopback(Carrier::Quic);
        let served = tokio::task::spawn_local(async move { admit(&listener).await });
        let mut stream = connect(&target).await.expect("a connection");
        stream.write_all(b"hello").await.expect("it is taken");
        let mut theirs = served.await.expect("no panic");
        drop(stream);
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.expect("an end");
        theirs.shutdown().await.expect("it has ended");
    });
}

/// At the reference one that opens no stream keeps the next one waiting for half a minute.
#[test]
fn a_silent_connection_delays_nobody() {
    run(async {
        let (listener, target) = loopback(Carrier::Quic);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let accepting = listener.clone();
        tokio::task::spawn_local(async move {
            while let Ok(visitor) = accepting.accept().await {
                let tell = tell.clone();
                tokio::task::spawn_local(async move {
                    let mut first = [0];
                    let mut stream = visitor.admit().await.expect("a stream");
                    stream.read_exact(&mut first).await.expect("a byte");
                    tell.send(first[0]).expect("somebody hears");
                });
            }
        });
        // Nothing is seen of a stream before its first byte.
        let _silent = connect(&target).await.expect("a connection");
        let _silent_too = connect(&target).await.expect("a connection");
        let began = Instant::now();
        let mut stream = connect(&target).await.expect("a connection");
        stream.write_all(b"x").await.expect("it is taken");
        assert_eq!(told.recv().await, Some(b'x'));
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    });
}

/// With many handshakes under way, who comes has to show first that they are where they say: honest ones do.
#[test]
fn under_load_visitors_prove_their_address_and_get_in() {
    run(async {
        let (listener, target) = loopback(Carrier::Quic);
        // So many have come, and their handshakes are not finished.
        let mut waiting = Vec::new();
        let mut dialling = Vec::new();
        for _ in 0..crate::accept::UNPROVEN_MAX {
            let target = target.clone();
            dialling.push(tokio::task::spawn_local(async move { connect(&target).await.map(drop) }));
            waiting.push(listener.accept().await.expect("a visitor"));
        }
        assert!(waiting.iter().all(|visitor| !visitor.has_shown_its_address()));
        let accepting = listener.clone();
        let served = tokio::task::spawn_local(async move {
            let visitor = accepting.accept().await.expect("a visitor");
            let has_shown = visitor.has_shown_its_address();
            (has_shown, visitor.admit().await.expect("a stream"))
        });
        let mut stream = connect(&target).await.expect("a connection all the same");
        stream.write_all(b"hello").await.expect("it is taken");
        let (has_shown, mut theirs) = served.await.expect("no panic");
        assert!(has_shown);
        let mut heard = [0; 5];
        theirs.read_exact(&mut heard).await.expect("what was said");
        drop((waiting, dialling));
    });
}

#[test]
fn nobody_there_is_an_error_within_seconds() {
    run(async {
        let nobody = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = nobody.local_addr().expect("an address").port();
        let target = Target { carrier: Carrier::Quic, host: "127.0.0.1".into(), port };
        let began = Instant::now();
        let error = connect(&target).await.map(drop).expect_err("nobody answers");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    });
}
