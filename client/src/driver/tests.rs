//! The way that ships: a run of pings over a connection of the system, against the simulated network behind a listener.

use crate::ping::{self, Plan, Progress};
use crate::settings::{Gateway, Settings};
use crate::tests::Network;
use crate::tests::gateway::GatewayEnd;
use pki::EpochClock;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wire::Instant;

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// A network in the middle of its first epoch now, with delays and pauses of a few milliseconds.
fn network() -> Network {
    let since_genesis = unix_now() - EpochClock::GENESIS;
    let period = since_genesis * 2 / (2 * Network::FIRST_EPOCH.0 as u32 + 1);
    let clock = EpochClock::with_period(period).expect("a period");
    let mut network = Network::new(31);
    (network.clock, network.mu, network.lambda_p, network.lambda_l) = (clock, 1.0, 0.1, 0.05);
    network
}

/// Plays the gateway on one connection until the client leaves; gives what it counted.
fn serve(mut stream: TcpStream, mut network: Network) -> (Network, GatewayEnd) {
    let start = std::time::Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
    let mut gateway = GatewayEnd::new(&network, 0, Instant::default());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return (network, gateway),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(_) => return (network, gateway),
        };
        let now = Instant::default() + start.elapsed();
        let output = gateway.drive(&mut network, &mut buffer[..count], now, unix_now());
        if stream.write_all(&output).is_err() || gateway.is_over() {
            return (network, gateway);
        }
    }
}

/// The same over QUIC.
fn serve_quic(socket: UdpSocket, mut network: Network) -> (Network, GatewayEnd) {
    socket.set_nonblocking(true).expect("a socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = streams::Listener::new(OwnedFd::from(socket)).expect("a listener");
        let mut stream = listener.accept().await.expect("a client").admit().await.expect("its stream");
        let start = std::time::Instant::now();
        let mut gateway = GatewayEnd::new(&network, 0, Instant::default());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match timeout(Duration::from_millis(1), stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return (network, gateway),
                Ok(Ok(count)) => count,
                Err(_) => 0,
            };
            let now = Instant::default() + start.elapsed();
            let output = gateway.drive(&mut network, &mut buffer[..count], now, unix_now());
            if stream.write_all(&output).await.is_err() || gateway.is_over() {
                return (network, gateway);
            }
        }
    })
}

fn settings(network: &Network, listener: &TcpListener) -> Settings {
    settings_at(network, vec![format!("tcp://{}", listener.local_addr().expect("an address"))])
}

fn settings_at(network: &Network, addresses: Vec<String>) -> Settings {
    Settings { gateways: vec![Gateway { addresses, ..network.gateway(0) }], ..network.settings() }
}

fn run(
    settings: Settings,
    plan: Plan,
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<ping::Report, ping::PingError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(ping::run(settings, plan, tell))
}

#[test]
fn pings_go_out_and_come_back_over_a_connection_of_the_system() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let network = network();
    let settings = settings(&network, &listener);
    let server = std::thread::spawn(move || serve(listener.accept().expect("a client").0, network));
    let mut told = Vec::new();
    let mut tell = |progress: Progress<'_>| told.push(format!("{progress:?}"));
    let report = run(settings, Plan { count: 40, concurrency: 5, ..Plan::default() }, &mut tell).expect("a run");
    let (network, gateway) = server.join().expect("no panic");
    assert_eq!((report.sent(), report.received()), (40, 40));
    for ping in &report.pings {
        assert!(ping.rtt().is_some_and(|rtt| rtt >= ping.delay()), "{ping:?}");
    }
    assert_eq!(network.echoed.len(), 40, "none was sent twice");
    assert_eq!((gateway.refused, gateway.failures), (0, vec![]));
    let count = |what: &str| told.iter().filter(|text| text.starts_with(what)).count();
    assert_eq!(
        (count("Connected"), count("Document"), count("Begins"), count("Sent"), count("Done")),
        (1, 1, 1, 40, 40)
    );
}

#[test]
fn a_gateway_that_hangs_up_is_told_of_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let network = network();
    let settings = settings(&network, &listener);
    let server = std::thread::spawn(move || {
        drop(listener.accept().expect("a client"));
        serve(listener.accept().expect("the client again").0, network)
    });
    let mut told = Vec::new();
    let mut tell = |progress: Progress<'_>| {
        if let Progress::Disconnected { reason } = progress {
            told.push(reason.to_owned());
        }
    };
    let report = run(settings, Plan { count: 3, ..Plan::default() }, &mut tell).expect("a run");
    assert_eq!(report.received(), 3);
    assert!(told.first().is_some_and(|reason| reason.contains("gateway1")), "{told:?}");
    server.join().expect("no panic");
}

/// Over QUIC where that is the first choice, though there is an address for TCP at which nobody answers as a gateway; and
/// where it is not, once TCP has failed.
#[test]
fn pings_go_out_and_come_back_over_quic() {
    for (transports, is_first) in [(["quic", "tcp"], true), (["tcp", "quic"], false)] {
        let nobody: SocketAddr = TcpListener::bind("127.0.0.1:0").and_then(|other| other.local_addr()).expect("a port");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let network = network();
        let quic = format!("quic://{}", socket.local_addr().expect("an address"));
        let settings = Settings {
            transports: transports.map(String::from).into(),
            ..settings_at(&network, vec![format!("tcp://{nobody}"), quic])
        };
        let server = std::thread::spawn(move || serve_quic(socket, network));
        let mut told = Vec::new();
        let mut tell = |progress: Progress<'_>| told.push(format!("{progress:?}"));
        let report = run(settings, Plan { count: 20, concurrency: 5, ..Plan::default() }, &mut tell).expect("a run");
        let (network, gateway) = server.join().expect("no panic");
        assert_eq!((report.sent(), report.received()), (20, 20), "{is_first}: {told:?}");
        assert_eq!(network.echoed.len(), 20, "none was sent twice");
        assert_eq!((gateway.refused, gateway.failures), (0, vec![]));
        assert!(!told.iter().any(|text| text.starts_with("Disconnected")), "{told:?}");
    }
}
