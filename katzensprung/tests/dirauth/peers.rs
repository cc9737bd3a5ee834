//! What an authority says to whom (pki.md 8): one request and one answer, refusals with their reason in the log, nothing
//! to what has no place there.

use super::network::{Network, Running, dialler};
use crate::support::wait_for;
use controlplane::directory::session::Caller;
use crypto_simd::schemes::kem;
use pki::Epoch;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testnet::network::WIRE_KEM;
use wire::command::Certified;
use wire::{Command, CommandId};

/// Long enough for no vote to be made while a test runs.
pub const PERIOD: Duration = Duration::from_secs(7200);

pub const LIMIT: Duration = Duration::from_secs(60);

pub fn log(network: &Network) -> String {
    fs::read_to_string(network.authorities[0].data_dir.join("katzenpost.log")).unwrap_or_default()
}

pub fn metrics(network: &Network) -> String {
    let mut stream = TcpStream::connect(network.authorities[0].metrics).expect("it serves");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The id and code of what authority 1 answers; none where it closes the connection or refuses the peer.
pub fn ask(network: &Network, caller: &Caller, command: &Command<'_>) -> Option<(CommandId, u8)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let take = |answer: &Command<'_>| match answer {
        Command::Consensus { error_code, .. }
        | Command::PostDescriptorStatus { error_code }
        | Command::VoteStatus { error_code } => Some((answer.id(), *error_code)),
        _ => None,
    };
    runtime.block_on(dialler().exchange(&network.authority(0), caller, command, take)).ok()
}

pub fn anonymous() -> Caller {
    Caller::anonymous(kem::by_name(WIRE_KEM).expect("built in")).expect("a fresh key")
}

fn with_id(caller: &Caller, additional_data: &[u8]) -> Caller {
    Caller { additional_data: additional_data.to_vec(), ..caller.clone() }
}

pub fn start(network: &Network) -> Running {
    let running = network.start(0);
    wait_for("its start", LIMIT, || log(network).contains("Started.").then_some(()));
    running
}

#[test]
fn uploads_get_their_code_and_the_log_has_the_reason() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let next = network.now().epoch.after(1);
    let [mix, other, ..] = network.nodes.as_slice() else { panic!("there are nodes") };
    let post = |caller: &Caller, epoch: Epoch, payload: &[u8]| {
        ask(&network, caller, &Command::PostDescriptor { epoch: epoch.0, payload }).map(|(_, code)| code)
    };
    let upload = mix.upload(next);
    assert_eq!(post(&mix.caller, next, b"no upload"), Some(1));
    assert_eq!(post(&mix.caller, next.after(5), &mix.upload(next.after(5))), Some(1), "a foreign epoch");
    assert_eq!(post(&mix.caller, next, &mix.upload_of(next, "tcp://127.0.0.1:1", 56)), Some(1), "another geometry");
    assert_eq!(post(&other.caller, next, &upload), Some(3), "another's descriptor");
    let mut forged = upload.clone();
    let place = forged.windows(4).position(|window| window == b"mix1").expect("its name");
    forged[place + 3] = b'2';
    assert_eq!(post(&mix.caller, next, &forged), Some(3), "it is not what was signed");
    assert_eq!(post(&mix.caller, next, &upload), Some(0));
    assert_eq!(post(&mix.caller, next, &upload), Some(0), "the same once more");
    assert_eq!(post(&mix.caller, next, &mix.upload_of(next, "tcp://127.0.0.1:2", 32)), Some(2));
    let reasons =
        ["invalid_epoch", "deserialize_failed", "malformed", "identity_mismatch", "signature_invalid", "conflict"];
    for reason in reasons {
        wait_for(reason, LIMIT, || log(&network).contains(&format!("refused ({reason}): ")).then_some(()));
        let counted = format!("katzenpost_dirauth_descriptors_rejected_total{{kind=\"mix\",reason=\"{reason}\"}} 1");
        assert!(metrics(&network).contains(&counted), "{counted}");
    }
    assert!(log(&network).contains("it is configured with another [SphinxGeometry]"), "{}", log(&network));
    assert!(metrics(&network).contains("katzenpost_dirauth_descriptors_accepted_total{kind=\"mix\"} 2"));
}

/// An upload that was accepted outlives a crash of the authority (pki.md 11).
#[test]
fn accepted_uploads_outlive_a_crash() {
    let network = Network::new(PERIOD);
    let running = start(&network);
    let (node, next) = (&network.nodes[0], network.now().epoch.after(1));
    let upload = node.upload(next);
    let post = Command::PostDescriptor { epoch: next.0, payload: &upload };
    assert_eq!(ask(&network, &node.caller, &post).map(|(_, code)| code), Some(0));
    drop(running);
    fs::remove_file(network.authorities[0].data_dir.join("katzenpost.log")).expect("a log");
    let _running = start(&network);
    let other = node.upload_of(next, "tcp://127.0.0.1:2", 32);
    let post = Command::PostDescriptor { epoch: next.0, payload: &other };
    assert_eq!(ask(&network, &node.caller, &post).map(|(_, code)| code), Some(2), "it is remembered");
}

#[test]
fn each_peer_gets_answers_to_what_it_may_send_and_strangers_none() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let (node, now) = (&network.nodes[0], network.now().epoch);
    let consensus = |epoch: Epoch| Command::GetConsensus { epoch: epoch.0, padded: false };
    let id = CommandId::Consensus;
    // Towards the end of an epoch nobody can vote on the next one any more.
    let next = if network.now().elapsed > PERIOD * 7 / 8 { 2 } else { 1 };
    for (epoch, code) in [(now, 2), (now.after(1), next), (now.before(1), 2), (now.after(2), 1)] {
        assert_eq!(ask(&network, &anonymous(), &consensus(epoch)), Some((id, code)));
    }
    assert_eq!(ask(&network, &node.caller, &consensus(now)), Some((id, 2)));
    let upload = node.upload(now.after(1));
    let post = Command::PostDescriptor { epoch: now.0 + 1, payload: &upload };
    let own = network.authority(0);
    let vote = Command::Vote(Certified { epoch: now.0, public_key: own.identity.bytes(), payload: b"no vote" });
    for (caller, command) in [(anonymous(), &post), (anonymous(), &vote), (node.caller.clone(), &vote)] {
        assert_eq!(ask(&network, &caller, command), None, "{:?}", command.id());
    }
    // The link key of an authority is proven, an id is not.
    let liar = with_id(&anonymous(), network.authority(1).identity.id());
    let stranger = with_id(&anonymous(), &[9; 32]);
    let short = with_id(&anonymous(), &[9; 5]);
    for caller in [liar, stranger, short] {
        assert_eq!(ask(&network, &caller, &consensus(now)), None);
    }
    let get = Command::GetVote { epoch: now.0, public_key: own.identity.bytes() };
    assert_eq!(ask(&network, &anonymous(), &get), None);
    // More than a question for a document may have is refused at its header.
    let long = vec![0; 4096];
    assert_eq!(ask(&network, &anonymous(), &Command::PostDescriptor { epoch: 0, payload: &long }), None);
    assert_eq!(ask(&network, &anonymous(), &consensus(now)), Some((id, 2)), "it is none the worse for it");
}

/// Whoever connects and says nothing is let go, and does not keep others out.
#[test]
fn silent_connections_end_and_keep_nobody_out() {
    let network = Network::new(PERIOD);
    let _running = start(&network);
    let address = network.authorities[0].address;
    let mut silent: Vec<_> = (0..1100).filter_map(|_| TcpStream::connect(address).ok()).collect();
    let now = network.now().epoch;
    let consensus = Command::GetConsensus { epoch: now.0, padded: false };
    wait_for("an answer", LIMIT, || ask(&network, &anonymous(), &consensus));
    let last = silent.last_mut().expect("some were let in");
    last.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let began = Instant::now();
    assert_eq!(last.read(&mut [0; 16]).expect("it is closed"), 0);
    assert!(began.elapsed() < LIMIT);
}
