//! A folder with the key files of a small network, and an authority's file as the reference's generator lays it out.

use crate::authority::{Loaded, Purpose, Sources, parse};
use crate::{Finding, Strictness};
use crypto_simd::pem;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, signature};
use std::fs;
use tempfile::TempDir;

const NODES: [&str; 6] = ["mix1", "mix2", "mix3", "gateway1", "servicenode1", "replica1"];

/// The folder and the text.
pub struct Site {
    pub folder: TempDir,
    pub text: String,
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for (seed, name) in NODES.into_iter().enumerate() {
            write_key(&folder, name, &identity(seed as u8));
        }
        write_key(&folder, "auth1", &identity(101));
        let data_dir = folder.path().join("auth1").display().to_string();
        let authorities: String = (1..=3).map(authority).collect();
        let text = [
            SERVER.replace("DATADIR", &data_dir),
            authorities,
            LOGGING.into(),
            members(),
            crate::server::tests::GEOMETRY.into(),
        ]
        .concat();
        Self { folder, text }
    }

    pub fn sources(&self, text: &str) -> Sources {
        let path = self.folder.path().join("authority.toml");
        Sources { path, text: text.into(), interfaces: vec!["203.0.113.9".parse().expect("an IP literal")] }
    }

    pub fn load(&self, text: &str) -> Result<Loaded, Vec<Finding>> {
        parse(&self.sources(text), Strictness::Lenient, Purpose::Run)
    }
}

const SERVER: &str = r#"[Server]
  Identifier = "auth1"
  WireKEMScheme = "xwing"
  PKISignatureScheme = "Ed25519"
  Addresses = ["tcp://127.0.0.1:30001"]
  DataDir = "DATADIR"
  DialTimeoutSec = 0
  HandshakeTimeoutSec = 0
  ResponseTimeoutSec = 0
  CloseDelaySec = 0
  PeerRetryMaxAttempts = 0
  PeerRetryBaseDelay = "0s"
  PeerRetryMaxDelay = "0s"
  PeerRetryJitter = 0.0
  DisableIPv4 = false
  DisableIPv6 = false
  MetricsAddress = "127.0.0.1:30002"
  AllowHostnameAddresses = false
"#;

const LOGGING: &str = r#"
[Logging]
  Disable = false
  File = "katzenpost.log"
  Level = "NOTICE"

[Parameters]
  Mu = 0.005
  LambdaP = 0.001
  LambdaL = 0.0005
  LambdaM = 0.2
  LambdaR = 0.0005

[Debug]
  Layers = 3
  MinNodesPerLayer = 1
  GenerateOnly = false
"#;

fn identity(seed: u8) -> String {
    let scheme = signature::by_name("Ed25519").expect("built in");
    let key = scheme.load(&scheme.generate(&mut SeededRandom::new(&[seed + 1; 32]))).expect("a fresh key");
    pem::encode(&pem::public_key_type("Ed25519"), key.public_key()).expect("not all zero")
}

fn write_key(folder: &TempDir, name: &str, pem: &str) {
    let dir = folder.path().join(name);
    fs::create_dir_all(&dir).expect("a folder can be made");
    fs::write(dir.join("identity.public.pem"), pem).expect("a file can be written");
}

fn authority(number: u8) -> String {
    let scheme = kem::by_name("XWING").expect("built in");
    let link = scheme.load(&scheme.generate(&mut SeededRandom::new(&[number; 32]))).expect("a fresh key");
    let link = pem::encode(&pem::public_key_type("XWING"), link.public_key()).expect("not all zero");
    let (identity, link) = (identity(100 + number).replace('\n', "\\n"), link.replace('\n', "\\n"));
    format!(
        "\n[[Authorities]]\n  Identifier = \"auth{number}\"\n  IdentityPublicKey = \"{identity}\"\n  \
         PKISignatureScheme = \"Ed25519\"\n  LinkPublicKey = \"{link}\"\n  WireKEMScheme = \"xwing\"\n  \
         Addresses = [\"tcp://127.0.0.1:3000{}\"]\n",
        2 * number - 1
    )
}

fn members() -> String {
    let listed = |table: &str, name: &str| {
        format!(
            "\n[[{table}]]\n  Identifier = \"{name}\"\n  IdentityPublicKeyPem = \"../{name}/identity.public.pem\"\n"
        )
    };
    let mut text: String = ["mix1", "mix2", "mix3"].map(|name| listed("Mixes", name)).concat();
    text += &listed("GatewayNodes", "gateway1");
    text += &listed("ServiceNodes", "servicenode1");
    text += &listed("StorageReplicas", "replica1");
    text += "  ReplicaID = 4\n\n[Topology]\n";
    for name in ["mix1", "mix2", "mix3"] {
        text += "  [[Topology.Layers]]\n";
        text += &listed("Topology.Layers.Nodes", name);
    }
    text + "\n"
}
