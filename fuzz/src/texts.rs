//! Texts that operators write, and those inside descriptors.

use crate::{Target, Verdict};
use config::address::{Address, HostNames, advertised, parse_host_port};
use config::authority::{self, Purpose};
use config::server::{Sources, parse};
use config::{ClientConfig, Severity, Strictness, names};
use crypto_simd::pem;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, nike, signature};
use pki::EpochClock;
use pki::epoch::parse_go_duration;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The reference's configuration file of a server.
pub const CONFIG_SERVER: Target = Target {
    name: "config_server",
    run: |data| load(&String::from_utf8_lossy(data), None),
    seeds: || vec![server_file("", ""), server_file(GATEWAY, "true"), server_file(SERVICE_NODE, "")],
};
/// The reference's configuration file of a directory authority, without the key files that it names.
pub const CONFIG_AUTHORITY: Target =
    Target { name: "config_authority", run: load_authority, seeds: || vec![authority_file()] };
/// Our own file beside a good one.
pub const CONFIG_OWN: Target = Target {
    name: "config_own",
    run: |data| {
        let main = String::from_utf8(server_file("", "")).expect("ASCII");
        load(&main, Some(&String::from_utf8_lossy(data)))
    },
    seeds: || vec![OWN.into()],
};
/// The reference's configuration file of a client.
pub const CONFIG_CLIENT: Target = Target { name: "config_client", run: load_client, seeds: || vec![client_file()] };
/// A key in PEM, loaded if it is one.
pub const PEM: Target = Target { name: "pem", run: pem, seeds: pems };
/// A URL of a descriptor or configuration file.
pub const URL: Target = Target { name: "url", run: url, seeds: urls };
/// A node's identifier, or a service's endpoint.
pub const NAME: Target =
    Target { name: "name", run: name, seeds: || vec!["mix1".into(), "+echo".into(), "münchen".into()] };
/// A duration as Go writes it.
pub const DURATION: Target =
    Target { name: "duration", run: duration, seeds: || vec!["1h2m3.5s".into(), "20m".into(), "1500ms10us7ns".into()] };

const GEOMETRY: &str = r#"[SphinxGeometry]
  PacketLength = 3082
  NrHops = 5
  HeaderLength = 476
  RoutingInfoLength = 410
  PerHopRoutingInfoLength = 82
  SURBLength = 572
  SphinxPlaintextHeaderLength = 2
  PayloadTagLength = 32
  ForwardPayloadLength = 2574
  UserForwardPayloadLength = 2000
  NextNodeHopLength = 65
  SPRPKeyMaterialLength = 64
  NIKEName = "x25519"
  KEMName = ""
"#;

const GATEWAY: &str = r#"[Gateway]
  [Gateway.UserDB]
    Backend = "bolt"
  [Gateway.SpoolDB]
    Backend = "bolt"
"#;

const SERVICE_NODE: &str = r#"[ServiceNode]
  [[ServiceNode.Kaetzchen]]
    Capability = "echo"
    Endpoint = "+echo"
    Disable = false
  [[ServiceNode.CBORPluginKaetzchen]]
    Capability = "spool"
    Endpoint = "+spool"
    Command = "/usr/bin/spool"
    MaxConcurrency = 1
    Disable = false
    [ServiceNode.CBORPluginKaetzchen.Config]
      data_store = "/var/lib/spool"
"#;

const OWN: &str = "[dataplane]\n  shards = 2\n  pin_cpus = [2, 3]\n  line_rate_packets_per_second = 20000\n  \
                   batch_max = 16\n  batch_wait_us = 20\n  slots = 4096\n  run_as_two_units = true\n  \
                   [controlplane]\n  shutdown_withdraw = true\n";

/// A server's file with one more table, of a service node unless the table says otherwise.
fn server_file(table: &str, gateway: &str) -> Vec<u8> {
    let flag = |on: bool| if on { "true" } else { "false" };
    let (gateway, service) = (flag(!gateway.is_empty()), flag(gateway.is_empty() && !table.is_empty()));
    let key = |block_type: String, bytes: &[u8]| pem::encode(&block_type, bytes).expect("not all zero");
    let random = &mut SeededRandom::new(&[31; 32]);
    let identity = signature::by_name("Ed25519").expect("built in");
    let identity = identity.load(&identity.generate(random)).expect("a fresh key");
    let link = kem::by_name("XWING").expect("built in");
    let link = link.load(&link.generate(random)).expect("a fresh key");
    format!(
        "[Server]\n  Identifier = \"mix1\"\n  WireKEM = \"xwing\"\n  PKISignatureScheme = \"Ed25519\"\n  \
         Addresses = [\"tcp://192.0.2.1:30014\", \"quic://[2001:db8::1]:30014\"]\n  \
         BindAddresses = [\"tcp://127.0.0.1:30014\"]\n  MetricsAddress = \"127.0.0.1:30016\"\n  \
         DataDir = \"/var/lib/katzenpost/mix1\"\n  IsGatewayNode = {gateway}\n  IsServiceNode = {service}\n\n\
         [Logging]\n  Disable = false\n  File = \"katzenpost.log\"\n  Level = \"NOTICE\"\n\n\
         [PKI]\n  [PKI.Voting]\n    [[PKI.Voting.Authorities]]\n      Identifier = \"auth1\"\n      \
         IdentityPublicKey = \"\"\"\n{}\"\"\"\n      PKISignatureScheme = \"Ed25519\"\n      \
         LinkPublicKey = \"\"\"\n{}\"\"\"\n      WireKEMScheme = \"xwing\"\n      \
         Addresses = [\"tcp://192.0.2.101:30001\"]\n\n\
         [Management]\n  Enable = false\n  Path = \"/var/lib/katzenpost/mix1/management_sock\"\n\n\
         {GEOMETRY}\n[Debug]\n  NumSphinxWorkers = 4\n  SchedulerQueueSize = 0\n  UnwrapDelay = 250\n  \
         SendDecoyTraffic = false\n\n{table}",
        key(pem::public_key_type("Ed25519"), identity.public_key()),
        key(pem::public_key_type("XWING"), link.public_key()),
    )
    .into_bytes()
}

fn load(text: &str, own: Option<&str>) -> Verdict {
    let sources = Sources {
        path: "/etc/katzenpost.toml".into(),
        text: text.into(),
        own: own.map(|own| ("/etc/katzensprung.toml".into(), own.into())),
        interfaces: vec![IpAddr::from([203, 0, 113, 9])],
    };
    let lenient = parse(&sources, Strictness::Lenient);
    let strict = parse(&sources, Strictness::Strict);
    assert!(lenient.is_ok() || strict.is_err(), "the strict check accepts more");
    match &lenient {
        Ok(loaded) => {
            assert!(loaded.findings.iter().all(|finding| finding.severity != Severity::Error), "an error was passed");
            assert_eq!(loaded.config.geometry.validate(), Ok(()));
            let four = std::num::NonZeroUsize::new(4).expect("not zero");
            assert!(loaded.config.shards(four).get() >= 1);
        }
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "refused without an error");
            assert!(findings.iter().all(|finding| !finding.to_string().is_empty()), "a finding without a text");
        }
    }
    Verdict::of(lenient.is_ok())
}

/// An authority's file as its generator lays it out.
fn authority_file() -> Vec<u8> {
    let server = String::from_utf8(server_file("", "")).expect("ASCII");
    let from = server.find("[[PKI.Voting.Authorities]]").expect("there is one");
    let to = server.find("[Management]").expect("there is one");
    let authorities = server[from..to].replace("PKI.Voting.Authorities", "Authorities");
    let member = "  Identifier = \"mix1\"\n  IdentityPublicKeyPem = \"../mix1/identity.public.pem\"\n";
    format!(
        "[Server]\n  Identifier = \"auth1\"\n  WireKEMScheme = \"xwing\"\n  PKISignatureScheme = \"Ed25519\"\n  \
         Addresses = [\"tcp://192.0.2.101:30001\"]\n  DataDir = \"/var/lib/katzenpost/auth1\"\n  \
         HandshakeTimeoutSec = 3\n  PeerRetryBaseDelay = \"10ms\"\n  PeerRetryMaxDelay = 3000000000\n  \
         PeerRetryJitter = 0.2\n  MetricsAddress = \"127.0.0.1:30002\"\n\n{authorities}\n[Logging]\n  \
         File = \"katzenpost.log\"\n\n[Parameters]\n  Mu = 0.005\n  LambdaP = 1\n\n[Debug]\n  Layers = 3\n  \
         MinNodesPerLayer = 1\n\n[[Mixes]]\n{member}[[GatewayNodes]]\n{member}[[ServiceNodes]]\n{member}\
         [[StorageReplicas]]\n{member}  ReplicaID = 0\n[Topology]\n[[Topology.Layers]]\n\
         [[Topology.Layers.Nodes]]\n{member}{GEOMETRY}"
    )
    .into_bytes()
}

fn load_authority(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data).into_owned();
    let sources = authority::Sources { path: "/etc/authority.toml".into(), text, interfaces: Vec::new() };
    let load = |strictness, purpose| authority::parse(&sources, strictness, purpose);
    let (lenient, strict) =
        (load(Strictness::Lenient, Purpose::GenerateOnly), load(Strictness::Strict, Purpose::GenerateOnly));
    assert!(lenient.is_ok() || strict.is_err(), "the strict check accepts more");
    assert!(load(Strictness::Lenient, Purpose::Run).is_err(), "there are no key files");
    match &lenient {
        Ok(loaded) => {
            assert!(loaded.findings.iter().all(|finding| finding.severity != Severity::Error), "an error was passed");
            assert_eq!(loaded.config.geometry.validate(), Ok(()));
            assert!(!loaded.config.authorities.is_empty() && !loaded.config.network.listen.is_empty());
        }
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "refused without an error");
            assert!(findings.iter().all(|finding| !finding.to_string().is_empty()), "a finding without a text");
        }
    }
    Verdict::of(lenient.is_ok())
}

/// A client's file with one gateway and one authority.
fn client_file() -> Vec<u8> {
    let key = |block_type: String, bytes: &[u8]| pem::encode(&block_type, bytes).expect("not all zero");
    let random = &mut SeededRandom::new(&[33; 32]);
    let identity = signature::by_name("Ed25519").expect("built in");
    let identity = identity.load(&identity.generate(random)).expect("a fresh key");
    let link = kem::by_name("XWING").expect("built in");
    let link = link.load(&link.generate(random)).expect("a fresh key");
    let identity = key(pem::public_key_type("Ed25519"), identity.public_key());
    let link = key(pem::public_key_type("XWING"), link.public_key());
    format!(
        "PKISignatureScheme = \"Ed25519\"\nWireKEMScheme = \"xwing\"\nSessionGracePeriod = \"10m\"\n\
         PreferedTransports = [\"tcp\", \"quic\"]\n\n[Listen]\n  [Listen.Unix]\n    Address = \"@katzenpost\"\n\n\
         {GEOMETRY}\n[UpstreamProxy]\n  Type = \"none\"\n\n[Debug]\n  DisableDecoyTraffic = false\n\n\
         [PinnedGateways]\n  [[PinnedGateways.Gateways]]\n    Name = \"gateway1\"\n    WireKEMScheme = \"xwing\"\n    \
         PKISignatureScheme = \"Ed25519\"\n    IdentityKey = \"\"\"\n{identity}\"\"\"\n    LinkKey = \"\"\"\n{link}\"\"\"\n    \
         Addresses = [\"tcp://192.0.2.1:30007\"]\n\n[VotingAuthority]\n  [[VotingAuthority.Peers]]\n    \
         Identifier = \"auth1\"\n    PKISignatureScheme = \"Ed25519\"\n    WireKEMScheme = \"xwing\"\n    \
         IdentityPublicKey = \"\"\"\n{identity}\"\"\"\n    LinkPublicKey = \"\"\"\n{link}\"\"\"\n    \
         Addresses = [\"tcp://192.0.2.101:30001\"]\n"
    )
    .into_bytes()
}

fn load_client(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let load = |strictness| ClientConfig::parse(Path::new("/etc/client.toml"), &text, strictness);
    let (lenient, strict) = (load(Strictness::Lenient), load(Strictness::Strict));
    assert!(lenient.is_ok() || strict.is_err(), "the strict check accepts more");
    match &lenient {
        Ok(loaded) => {
            assert!(loaded.findings.iter().all(|finding| finding.severity != Severity::Error), "an error was passed");
            assert_eq!(loaded.config.geometry.validate(), Ok(()));
            assert!(!loaded.config.gateways.is_empty() && !loaded.config.authorities.is_empty());
        }
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "refused without an error");
            assert!(findings.iter().all(|finding| !finding.to_string().is_empty()), "a finding without a text");
        }
    }
    Verdict::of(lenient.is_ok())
}

fn pems() -> Vec<Vec<u8>> {
    let random = &mut SeededRandom::new(&[32; 32]);
    let text = |block_type: String, bytes: &[u8]| pem::encode(&block_type, bytes).expect("not all zero").into_bytes();
    let identity = signature::by_name("Ed25519").expect("built in").generate(random);
    let link = kem::by_name("XWING").expect("built in").generate(random);
    let mix = nike::by_name("x25519").expect("built in").generate(random);
    vec![
        text(pem::private_key_type("Ed25519"), &identity),
        text(pem::private_key_type("XWING"), &link),
        text(pem::private_key_type("x25519"), &mix),
    ]
}

fn pem(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let decode = |name: &str| {
        let block_type = pem::private_key_type(name);
        let bytes = pem::decode(&text, &block_type).ok()?;
        if let Ok(again) = pem::encode(&block_type, &bytes) {
            assert_eq!(pem::decode(&again, &block_type).as_deref(), Ok(bytes.as_slice()));
        }
        Some(bytes)
    };
    let identity =
        decode("Ed25519").is_some_and(|key| signature::by_name("Ed25519").expect("built in").load(&key).is_ok());
    let link = decode("XWING").is_some_and(|key| kem::by_name("XWING").expect("built in").load(&key).is_ok());
    let mix = decode("x25519").is_some_and(|key| nike::by_name("x25519").expect("built in").load(&key).is_ok());
    Verdict::of(identity || link || mix)
}

fn urls() -> Vec<Vec<u8>> {
    let urls = [
        "tcp://192.0.2.1:3219",
        "tcp4://192.0.2.1:3219",
        "tcp6://[2001:db8::1%25eth0]:3219",
        "quic://user@node.example:443/path?query#fragment",
        "onion://abcdefghijklmnop.onion:80",
        "ws://node.example:80",
        "127.0.0.1:30016",
        ":30016",
    ];
    urls.map(Vec::from).into()
}

fn url(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let descriptor = [true, false].map(|onion| pki::address::check(&text, onion).is_ok());
    assert!(descriptor[0] || !descriptor[1], "onions make no other URL worse");
    let names = [HostNames::Allowed, HostNames::Refused];
    let configured = names.map(|names| Address::parse(&text, names));
    assert!(configured[0].is_ok() || configured[1].is_err(), "names make no other address worse");
    if let Ok(address) = &configured[0] {
        let resolved =
            advertised::<Infallible>(std::slice::from_ref(address), |_| Ok(vec![IpAddr::from([192, 0, 2, 1])]));
        let Ok(map) = resolved;
        for url in map.values().flatten() {
            assert!(Address::parse(url, HostNames::Allowed).is_ok(), "not an address: {url}");
            assert_eq!(pki::address::check(url, true), Ok(()), "no descriptor may have what we advertise");
        }
    }
    let endpoint = names.map(|names| parse_host_port(&text, names).is_ok());
    Verdict::of(descriptor[0] || configured[0].is_ok() || endpoint[0])
}

fn name(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let normal = names::normalise_identifier(&text);
    if let Some(normal) = &normal {
        assert!(normal.is_ascii(), "not a host name: {normal}");
        assert_eq!(pki::name::normalise(&text).as_ref(), Ok(normal), "two normal forms of one name");
        // Longer ones fit no descriptor.
        if normal.len() <= names::NAME_BYTES_MAX {
            assert_eq!(names::normalise_identifier(normal).as_ref(), Some(normal), "the normal form is not normal");
        }
    }
    let endpoint = names::check_endpoint(&text);
    assert!(endpoint.is_err() || text.len() <= names::NAME_BYTES_MAX);
    Verdict::of(normal.is_some() || endpoint.is_ok())
}

fn duration(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let parsed = parse_go_duration(&text);
    if let Ok(parsed) = &parsed {
        assert!(parsed.as_nanos() <= i64::MAX as u128, "longer than Go's");
    }
    if let Ok(clock) = EpochClock::from_variable(Some(&text)) {
        // Far beyond any clock.
        for seconds in [0, EpochClock::GENESIS.as_secs(), 1 << 40] {
            let Ok(now) = clock.now(Duration::from_secs(seconds)) else { continue };
            assert!(now.elapsed < now.period && !now.till.is_zero(), "outside its epoch");
            assert!(pki::policy::next_change(&now) > now.unix);
        }
    }
    Verdict::of(parsed.is_ok())
}
