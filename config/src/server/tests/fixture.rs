//! A configuration file as the reference's generator lays it out, with keys of our own making.

use crate::server::{Loaded, Sources, parse};
use crate::{Finding, Strictness};
use crypto_simd::pem;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, signature};

pub const GEOMETRY: &str = r#"[SphinxGeometry]
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

const SERVER: &str = r#"[Server]
  Identifier = "mix1"
  WireKEM = "xwing"
  PKISignatureScheme = "Ed25519"
  Addresses = ["tcp://192.0.2.1:30014"]
  BindAddresses = ["tcp://127.0.0.1:30014"]
  MetricsAddress = "127.0.0.1:30016"
  DataDir = "/var/lib/katzenpost/mix1"
  IsGatewayNode = false
  IsServiceNode = false
  AllowHostnameAddresses = false
  WaitForConsensusExitOnShutdown = false
  PersistMixKeysOnShutdown = false
  PersistMixKeysOnShutdownDir = ""

[Logging]
  Disable = false
  File = "katzenpost.log"
  Level = "NOTICE"

[PKI]
  [PKI.Voting]
"#;

const MANAGEMENT: &str = r#"
[Management]
  Enable = false
  Path = "/var/lib/katzenpost/mix1/management_sock"

"#;

const DEBUG: &str = "
[Debug]
  NumSphinxWorkers = 0
  NumServiceWorkers = 0
  NumGatewayWorkers = 0
  NumKaetzchenWorkers = 0
  SchedulerExternalMemoryQueue = false
  SchedulerQueueSize = 0
  SchedulerMaxBurst = 0
  UnwrapDelay = 250
  GatewayDelay = 500
  ServiceDelay = 500
  KaetzchenDelay = 750
  SchedulerSlack = 450
  SendSlack = 50
  DecoySlack = 15000
  ConnectTimeout = 60000
  HandshakeTimeout = 3000
  ReauthInterval = 30000
  SendDecoyTraffic = false
  DisableRateLimit = false
  GenerateOnly = false
";

/// The PEM texts of an authority's keys, escaped for a basic string.
pub fn authority_keys(seed: u8) -> (String, String) {
    let random = &mut SeededRandom::new(&[seed; 32]);
    let identity = signature::by_name("Ed25519").expect("built in");
    let link = kem::by_name("XWING").expect("built in");
    let identity = identity.load(&identity.generate(random)).expect("a fresh key");
    let link = link.load(&link.generate(random)).expect("a fresh key");
    let escaped =
        |block_type: String, key: &[u8]| pem::encode(&block_type, key).expect("not all zero").replace('\n', "\\n");
    (
        escaped(pem::public_key_type("Ed25519"), identity.public_key()),
        escaped(pem::public_key_type("XWING"), link.public_key()),
    )
}

fn authority(number: u8) -> String {
    let (identity, link) = authority_keys(number);
    format!(
        "\n    [[PKI.Voting.Authorities]]\n      Identifier = \"auth{number}\"\n      IdentityPublicKey = \"{identity}\"\n\
         \x20     PKISignatureScheme = \"Ed25519\"\n      LinkPublicKey = \"{link}\"\n      WireKEMScheme = \"xwing\"\n\
         \x20     Addresses = [\"tcp://192.0.2.10{number}:30001\"]\n"
    )
}

/// A mix's file.
pub fn main_file() -> String {
    let authorities: String = (1..=3).map(authority).collect();
    [SERVER, &authorities, MANAGEMENT, GEOMETRY, DEBUG].concat()
}

/// The text as a file on a host with a private and a public address.
pub fn sources(text: &str) -> Sources {
    let interfaces = ["127.0.0.1", "192.168.1.2", "203.0.113.9"];
    Sources {
        path: "/etc/katzenpost.toml".into(),
        text: text.into(),
        own: None,
        interfaces: interfaces.iter().map(|ip| ip.parse().expect("an IP literal")).collect(),
    }
}

/// What a normal start makes of the text.
pub fn load_text(text: &str) -> Result<Loaded, Vec<Finding>> {
    parse(&sources(text), Strictness::Lenient)
}
