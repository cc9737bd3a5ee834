//! What hostile peers may not do to an authority: keep others out, or fill its memory, its log or its disk.

use super::network::Network;
use super::peers::{LIMIT, PERIOD, ask, log, metrics, start};
use crate::support::launcher::limited;
use crate::support::program::Outcome;
use crate::support::wait_for;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, SchemeError, SharedSecret, kem, signature};
use pki::EpochClock;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use testnet::network::{SIGNATURE_SCHEME, WIRE_KEM};
use testnet::session::{Identity, Session};
use wire::command::Certified;
use wire::{Command, CommandId, CommandSizes, Role, SessionConfig};

/// No request ends by itself while a test runs.
const PATIENCE: &str = "ResponseTimeoutSec = 3600";

/// Nothing at all does.
fn be_patient(network: &Network) {
    network.set(0, PATIENCE);
    network.set(0, "HandshakeTimeoutSec = 3600");
}

/// Somebody else's public key, without the private one.
struct Borrowed {
    public_key: Vec<u8>,
    own: Arc<dyn KemDecapsulationKey>,
}

impl KemDecapsulationKey for Borrowed {
    fn scheme(&self) -> &'static dyn Kem {
        self.own.scheme()
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn decapsulate_batch(
        &self,
        ciphertexts: &[&[u8]],
        secrets: &mut [SharedSecret],
        results: &mut [Result<(), SchemeError>],
    ) {
        self.own.decapsulate_batch(ciphertexts, secrets, results);
    }
}

/// A connection that takes no more than so many bytes, without a word.
struct Choked {
    stream: TcpStream,
    left: usize,
}

impl Read for Choked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Choked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.left);
        self.stream.write_all(&bytes[..taken])?;
        self.left -= taken;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn link_kem() -> &'static dyn Kem {
    kem::by_name(WIRE_KEM).expect("built in")
}

/// A connection to authority 1 from an address of this host.
fn connect(network: &Network, from: [u8; 4]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::from(from), 0)).into()).expect("this host's");
    socket.connect(&network.authorities[0].address.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

fn shake_hands<S: Read + Write>(stream: S, own: &Identity) -> Result<Session<S>, String> {
    let public_key_bytes = signature::by_name(SIGNATURE_SCHEME).expect("built in").info().public_key_bytes;
    let config = SessionConfig::pki(Role::Initiator, link_kem(), CommandSizes::pki(public_key_bytes));
    Session::over(stream, &config, own, |_| true)
}

/// A session of somebody who says that it is node `number`.
fn claimed(network: &Network, number: usize, from: [u8; 4]) -> Session<Choked> {
    let id = pki::hash(&network.nodes[number % network.nodes.len()].own.identity_key);
    let own = Identity::generate(id, link_kem()).expect("a fresh key");
    shake_hands(Choked { stream: connect(network, from), left: usize::MAX }, &own).expect("nobody checks the key")
}

fn is_closed(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

fn gauge(network: &Network, name: &str) -> usize {
    let metrics = metrics(network);
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("a metric");
    line.trim().parse().expect("a number")
}

/// More than one would keep a place that others wait for (pki.md 8.1).
#[test]
fn a_connection_carries_one_request() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let ask = Command::GetConsensus { epoch: network.now().epoch.0, padded: false };
    let mut session = claimed(&network, 0, [127, 0, 0, 1]);
    session.send(&ask).expect("it listens");
    session.receive().expect("an answer");
    let _it_may_be_closed_already = session.send(&ask);
    session.receive().expect_err("a second answer");
    assert!(is_closed(&mut session.stream.stream));
}

/// Sixteen connections are what an authority may have. Who has only its public key gets none of them.
#[test]
fn whoever_has_only_the_public_key_of_an_authority_takes_none_of_its_places() {
    let network = Network::new(PERIOD);
    network.set(0, PATIENCE);
    let _running = start(&network);
    let authority = network.authority(1);
    let own = Identity::generate(*authority.identity.id(), link_kem()).expect("a fresh key").link_key;
    let link_key = Arc::new(Borrowed { public_key: authority.link_key.clone(), own });
    let pretender = Identity { id: *authority.identity.id(), link_key };
    let strangers = (0..20).map(|_| {
        let stream = connect(&network, [127, 0, 0, 1]);
        let outcome = shake_hands(stream.try_clone().expect("a descriptor"), &pretender);
        assert!(outcome.is_err(), "message 4 is for who has the private key");
        stream
    });
    let mut strangers: Vec<_> = strangers.collect();
    let now = network.now().epoch;
    let consensus = Command::GetConsensus { epoch: now.0, padded: false };
    assert_eq!(ask(&network, &network.caller(1), &consensus), Some((CommandId::Consensus, 2)));
    assert!(strangers.iter_mut().all(is_closed), "they are let go long before the limit of a request");
}

/// With all places taken by who says it is a node, newcomers do not turn each other out.
#[test]
fn whoever_claims_to_be_many_nodes_keeps_nobody_out() {
    let network = Network::new(PERIOD);
    be_patient(&network);
    let running = network.command_of(0, limited(&["-n 80"])).spawn().map(super::network::Running);
    let _running = running.expect("the program starts");
    wait_for("its start", LIMIT, || log(&network).contains("Started.").then_some(()));
    let attack = |count: usize| -> Vec<_> {
        (0..count).map(|number| claimed(&network, number, [127, 0, 1, (number % 4) as u8])).collect()
    };
    let _first = attack(40);
    let mut honest = claimed(&network, 0, [127, 0, 2, 1]);
    let _more = attack(60);
    let epoch = network.now().epoch.0;
    honest.send(&Command::GetConsensus { epoch, padded: false }).expect("it is there");
    assert!(honest.receive().is_ok(), "it is answered");
    assert!(metrics(&network).contains("katzensprung_dirauth_connections_refused_total{limit=\"total\"}"));
}

/// Refused up to twice the limit with a reason, and above that unread, with a line in the log.
#[test]
fn uploads_that_are_too_large_are_refused() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let (node, next) = (&network.nodes[0], network.now().epoch.after(1));
    let post = |bytes: usize| {
        let upload = node.upload_of(next, &format!("tcp://{}:1", "x".repeat(bytes)), 32);
        ask(&network, &node.caller, &Command::PostDescriptor { epoch: next.0, payload: &upload }).map(|(_, code)| code)
    };
    assert_eq!(post(200_000), Some(0), "far more than any node needs");
    assert_eq!(post(300_000), Some(1));
    wait_for("the reason", LIMIT, || log(&network).contains("refused (malformed): the upload has 3").then_some(()));
    assert_eq!(post(1_000_000), None);
    wait_for("the reason", LIMIT, || log(&network).contains("mix1: 100").then_some(()));
    assert!(log(&network).contains(" bytes in one message, "), "{}", log(&network));
}

/// Many uploads that do not end are worth no more than a bounded memory, and others get through.
#[test]
fn uploads_under_way_are_bounded() {
    let network = Network::new(PERIOD);
    be_patient(&network);
    let _running = start(&network);
    let epoch = network.now().epoch.0 + 1;
    let payload = vec![0; 500_000];
    let unended: Vec<_> = (0..250_usize)
        .map(|number| {
            let from = [127, 0, 1, (number / 50) as u8];
            let mut session = claimed(&network, number, from);
            session.stream.left = payload.len() - 1000;
            // The authority may have enough of it before all is sent.
            let _sent = session.send(&Command::PostDescriptor { epoch, payload: &payload });
            session
        })
        .collect();
    let under_way = wait_for("the budget", LIMIT, || {
        let there = gauge(&network, "katzensprung_dirauth_connections ");
        (there <= (64 << 20) / payload.len()).then_some(there)
    });
    assert!(under_way > 20, "{under_way}: what fits is not turned out");
    let node = &network.nodes[0];
    let upload = node.upload_of(pki::Epoch(epoch), &format!("tcp://{}:1", "x".repeat(200_000)), 32);
    let post = Command::PostDescriptor { epoch, payload: &upload };
    assert_eq!(ask(&network, &node.caller, &post).map(|(_, code)| code), Some(0));
    drop(unended);
}

/// Of an authority two large messages may be under way; small ones come through beside them.
#[test]
fn large_messages_of_one_authority_are_two_at_a_time() {
    let network = Network::new(PERIOD);
    be_patient(&network);
    let _running = start(&network);
    let caller = network.caller(1);
    let own = Identity { id: *network.authority(1).identity.id(), link_key: caller.link_key.clone() };
    let (authority, epoch) = (network.authority(1), network.now().epoch.0);
    let payload = vec![0; 2 << 20];
    let vote = Command::Vote(Certified { epoch, public_key: authority.identity.bytes(), payload: &payload });
    let mut sessions: Vec<_> = (0..2)
        .map(|_| {
            let stream = Choked { stream: connect(&network, [127, 0, 0, 1]), left: usize::MAX };
            let mut session = shake_hands(stream, &own).expect("it has the key");
            session.stream.left = 1 << 20;
            session.send(&vote).expect("it is read");
            session
        })
        .collect();
    // They are under way when they count.
    wait_for("both", LIMIT, || ask(&network, &caller, &vote).is_none().then_some(()));
    assert!(metrics(&network).contains("katzensprung_dirauth_connections_refused_total{limit=\"bytes\"}"));
    let small = Command::Vote(Certified { epoch, public_key: authority.identity.bytes(), payload: b"no vote" });
    assert!(ask(&network, &caller, &small).is_some());
    sessions.pop();
    wait_for("room", LIMIT, || ask(&network, &caller, &vote));
}

/// What is refused is quoted in the log, and a member must not fill the disk by it.
#[test]
fn a_refusal_is_a_short_line() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let (node, next) = (&network.nodes[0], network.now().epoch.after(1));
    let upload = node.upload_at(next, &format!("tcp://{}", "x".repeat(200_000)));
    let post = Command::PostDescriptor { epoch: next.0, payload: &upload };
    assert_eq!(ask(&network, &node.caller, &post).map(|(_, code)| code), Some(1));
    let log = wait_for("the reason", LIMIT, || Some(log(&network)).filter(|log| log.contains("refused (malformed)")));
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 600 && log.contains("… (cut)"), "{longest} bytes");
}

/// What no file takes at all: as a disk that is full, only that a test can make room again.
fn file_limit(child: &Child, limit: Rlimit) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    prlimit(Some(pid), Resource::Fsize, limit).expect("a child");
}

/// The authority goes on with what it has in memory, says so, and writes it when there is room.
#[test]
fn a_full_disk_ends_no_authority() {
    let network = Network::new(PERIOD);
    let running = start(&network);
    let (node, next) = (&network.nodes[0], network.now().epoch.after(1));
    let usual = getrlimit(Resource::Fsize);
    file_limit(&running.0, Rlimit { current: Some(0), ..usual });
    let post = |url: &str| {
        let upload = node.upload_of(next, url, 32);
        ask(&network, &node.caller, &Command::PostDescriptor { epoch: next.0, payload: &upload }).map(|(_, code)| code)
    };
    assert_eq!(post("tcp://127.0.0.1:1"), Some(0), "it is held");
    assert_eq!(gauge(&network, "katzensprung_dirauth_unsaved "), 1);
    assert!(gauge(&network, "katzensprung_dirauth_store_failures_total ") > 0);
    assert_eq!(post("tcp://127.0.0.1:2"), Some(2), "and remembered");
    file_limit(&running.0, usual);
    wait_for("room", LIMIT, || (gauge(&network, "katzensprung_dirauth_unsaved ") == 0).then_some(()));
    wait_for("the line", LIMIT, || {
        log(&network).contains("could not be written to the store is written").then_some(())
    });
    drop(running);
    fs::remove_file(network.authorities[0].data_dir.join("katzenpost.log")).expect("a log");
    let running = start(&network);
    assert_eq!(post("tcp://127.0.0.1:2"), Some(2), "it outlives the process");
    drop(running);
    // Its output must not go to a file here.
    let restart = network.command_of(0, limited(&["-f 0"])).stdin(Stdio::null()).output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let restart = Outcome { status: restart.status, stdout: text(restart.stdout), stderr: text(restart.stderr) };
    restart.refused(&["authority.redb", "File too large", "LimitFSIZE="]);
}

/// A clock that shows another epoch for a while is no reason to forget what is stored. Another period of epochs is such
/// a clock.
#[test]
fn a_clock_that_jumps_deletes_nothing() {
    let mut network = Network::new(PERIOD);
    let running = start(&network);
    let (node, next) = (&network.nodes[0], network.now().epoch.after(1));
    let upload = node.upload(next);
    let post = Command::PostDescriptor { epoch: next.0, payload: &upload };
    assert_eq!(ask(&network, &node.caller, &post).map(|(_, code)| code), Some(0));
    drop(running);
    let restart = |network: &Network| {
        fs::remove_file(network.authorities[0].data_dir.join("katzenpost.log")).expect("a log");
        start(network)
    };
    let clock = std::mem::replace(&mut network.clock, EpochClock::with_period(PERIOD / 2).expect("a period"));
    let running = restart(&network);
    // Once it has looked at the clock it is healthy.
    let consensus = Command::GetConsensus { epoch: network.now().epoch.0, padded: false };
    assert!(ask(&network, &network.caller(1), &consensus).is_some());
    wait_for("a look", LIMIT, || (!metrics(&network).contains("katzenpost_dirauth_voting_phase -1")).then_some(()));
    drop(running);
    network.clock = clock;
    let _running = restart(&network);
    let other = network.nodes[0].upload_of(next, "tcp://127.0.0.1:2", 32);
    let post = Command::PostDescriptor { epoch: next.0, payload: &other };
    assert_eq!(ask(&network, &network.nodes[0].caller, &post).map(|(_, code)| code), Some(2), "it is remembered");
}
