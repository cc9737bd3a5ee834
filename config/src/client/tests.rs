use super::*;
use crypto_simd::pem;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, signature};

/// The PEM texts of an identity key and a link key, escaped for a basic string.
fn keys(seed: u8) -> (String, String) {
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

/// A file as the reference's generator writes it.
fn file() -> String {
    let peer = |number: u8| {
        let (identity, link) = keys(number);
        format!(
            "\n  [[VotingAuthority.Peers]]\n    Identifier = \"auth{number}\"\n    IdentityPublicKey = \"{identity}\"\n\
             \x20   PKISignatureScheme = \"Ed25519\"\n    LinkPublicKey = \"{link}\"\n    WireKEMScheme = \"xwing\"\n\
             \x20   Addresses = [\"tcp://127.0.0.1:3000{number}\"]\n"
        )
    };
    let (identity, link) = keys(9);
    let geometry = sphinx::Geometry::nike("x25519", 2000, 5, true).expect("a geometry").to_toml();
    let peers: String = (1..=3).map(peer).collect();
    format!(
        "PKISignatureScheme = \"Ed25519\"\nWireKEMScheme = \"xwing\"\nMetricsAddress = \"\"\n\
         AllowHostnameAddresses = false\nSessionGracePeriod = \"0s\"\n\n[Listen]\n  [Listen.Tcp]\n    \
         Address = \"127.0.0.1:64331\"\n    Network = \"tcp\"\n\n{geometry}\n[Logging]\n  Disable = false\n  \
         File = \"\"\n  Level = \"NOTICE\"\n\n[UpstreamProxy]\n  Type = \"none\"\n  Network = \"\"\n  Address = \"\"\n  \
         User = \"\"\n  Password = \"\"\n\n[Debug]\n  DisableDecoyTraffic = false\n  SessionDialTimeout = 0\n  \
         InitialMaxPKIRetrievalDelay = 0\n  PollingInterval = 0\n  EnableTimeSync = false\n\n[PinnedGateways]\n\n  \
         [[PinnedGateways.Gateways]]\n    WireKEMScheme = \"xwing\"\n    Name = \"gateway1\"\n    \
         IdentityKey = \"{identity}\"\n    LinkKey = \"{link}\"\n    PKISignatureScheme = \"Ed25519\"\n    \
         Addresses = [\"tcp://127.0.0.1:30007\"]\n\n[VotingAuthority]\n{peers}"
    )
}

fn load(text: &str, strictness: Strictness) -> Result<LoadedClient, Vec<Finding>> {
    ClientConfig::parse(Path::new("/etc/client.toml"), text, strictness)
}

/// The findings of a file with one edit.
#[track_caller]
fn edited(from: &str, to: &str) -> Vec<Finding> {
    let text = file();
    assert!(text.contains(from), "{from}");
    match load(&text.replacen(from, to, 1), Strictness::Lenient) {
        Ok(loaded) => loaded.findings,
        Err(findings) => findings,
    }
}

/// One edit gives one error, with this code and at this key.
#[track_caller]
fn refused(from: &str, to: &str, code: &str, key: &str) {
    let findings = edited(from, to);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.severity, finding.code, finding.key.as_str()), (Severity::Error, code, key), "{finding}");
    assert!(!finding.remedy.is_empty(), "{finding}");
}

#[test]
fn the_generators_file_is_read_as_it_is() {
    let loaded = load(&file(), Strictness::Strict).expect("a good file");
    assert_eq!(loaded.findings, []);
    let config = loaded.config;
    assert_eq!(config.wire_kem.info().name, "XWING");
    assert_eq!(config.transports, ["tcp", "tcp4", "tcp6", "quic"]);
    assert!(!config.is_decoy_traffic_disabled);
    assert_eq!(config.geometry.packet_length, 3_082);
    let [gateway] = config.gateways.as_slice() else { panic!("one gateway") };
    assert_eq!((gateway.name.as_str(), gateway.addresses[0].url()), ("gateway1", "tcp://127.0.0.1:30007"));
    assert_eq!(gateway.identity_public_key.len(), 32);
    let names: Vec<_> = config.authorities.iter().map(|authority| authority.identifier.as_str()).collect();
    assert_eq!(names, ["auth1", "auth2", "auth3"]);
}

#[test]
fn one_mistake_is_one_finding() {
    refused("WireKEMScheme = \"xwing\"\nMetrics", "Metrics", "required", "WireKEMScheme");
    refused(
        "WireKEMScheme = \"xwing\"\nMetrics",
        "WireKEMScheme = \"Kyber1\"\nMetrics",
        "unknown-scheme",
        "WireKEMScheme",
    );
    refused("SessionGracePeriod = \"0s\"", "SessionGracePeriod = \"soon\"", "duration", "SessionGracePeriod");
    refused("Type = \"none\"", "Type = \"socks5\"", "not-in-this-version", "UpstreamProxy.Type");
    refused(
        "[Listen]",
        "[PigeonholeGeometry]\n  MaxPlaintextPayloadLength = 1\n\n[Listen]",
        "pigeonhole-geometry",
        "PigeonholeGeometry",
    );
    refused(
        "    LinkKey = \"-----BEGIN",
        "    LinkKey = \"-----END",
        "public-key",
        "PinnedGateways.Gateways[0].LinkKey",
    );
    refused("    Name = \"gateway1\"\n", "", "required", "PinnedGateways.Gateways[0].Name");
    refused("tcp://127.0.0.1:30007", "udp://127.0.0.1:30007", "address", "PinnedGateways.Gateways[0].Addresses[0]");
    refused("tcp://127.0.0.1:30007", "tcp://gateway1:30007", "address", "PinnedGateways.Gateways[0].Addresses[0]");
    refused("[\"tcp://127.0.0.1:30007\"]", "[]", "no-address", "PinnedGateways.Gateways[0].Addresses");
    refused("    Identifier = \"auth2\"\n", "", "required", "VotingAuthority.Peers[1].Identifier");
    refused("PacketLength = 3082", "PacketLength = 3083", "geometry-mismatch", "SphinxGeometry.PacketLength");
}

#[test]
fn a_block_that_is_missing_is_named() {
    for block in ["SphinxGeometry", "PinnedGateways", "VotingAuthority"] {
        let mut is_in = false;
        let keep = |line: &&str| {
            if line.starts_with('[') {
                is_in = line.starts_with(&format!("[{block}]"));
            } else if line.trim_start().starts_with("[[") {
                is_in = line.contains(&format!("[[{block}."));
            }
            !is_in
        };
        let text: Vec<&str> = file().leak().lines().filter(keep).collect();
        let findings = load(&text.join("\n"), Strictness::Lenient).expect_err("a block is missing");
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((finding.code, finding.key.as_str()), ("missing-block", block));
    }
}

#[test]
fn unknown_keys_are_warnings_and_errors_under_the_strict_check() {
    let text = file().replace("[Debug]\n", "[Debug]\n  DisableDecoyTrafic = true\n");
    let findings = load(&text, Strictness::Lenient).expect("it can be used").findings;
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.severity, finding.key.as_str()), (Severity::Warning, "Debug.DisableDecoyTrafic"));
    assert_eq!(finding.remedy, "did you mean DisableDecoyTraffic?");
    assert!(load(&text, Strictness::Strict).is_err());
    let findings = edited("MetricsAddress", "RatchetNIKEScheme = \"x25519\"\nMetricsAddress");
    assert_eq!((findings[0].code, findings[0].severity), ("removed-key", Severity::Warning));
}

#[test]
fn names_of_hosts_need_their_switch() {
    let text = file().replace("127.0.0.1:30007", "gateway1:30007");
    assert!(load(&text, Strictness::Lenient).is_err());
    let text = text.replace("AllowHostnameAddresses = false", "AllowHostnameAddresses = true");
    assert!(load(&text, Strictness::Lenient).is_ok());
}

#[test]
fn transports_are_tried_in_the_order_of_the_file() {
    let text = format!("PreferedTransports = [\"onion\", \"TCP6\", \"tcp\"]\n{}", file());
    let loaded = load(&text, Strictness::Lenient).expect("it can be used");
    assert_eq!(loaded.config.transports, ["tcp6", "tcp"]);
    assert_eq!(loaded.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["not-in-this-version"]);
    let loaded = load(&text.replace("\"TCP6\"", "\"QUIC\""), Strictness::Lenient).expect("it can be used");
    assert_eq!(loaded.config.transports, ["quic", "tcp"]);
    let loaded = load(&file(), Strictness::Lenient).expect("it can be used");
    assert_eq!(loaded.config.transports, ["tcp", "tcp4", "tcp6", "quic"]);
    let findings = load(&text.replace("\"TCP6\", \"tcp\"", "\"ws\""), Strictness::Lenient).expect_err("none is left");
    assert!(findings.iter().any(|finding| finding.code == "transport" && finding.key == "PreferedTransports"));
}

#[test]
fn the_file_of_another_program_is_told_by_its_kind() {
    let thin = "[Dial]\n  [Dial.Tcp]\n    Address = \"127.0.0.1:64331\"\n";
    let findings = load(thin, Strictness::Lenient).expect_err("a thin client's");
    assert!(findings.len() == 1 && findings[0].problem.contains("thinclient.toml"), "{findings:?}");
}

#[test]
fn a_geometry_without_reply_blocks_is_of_no_use() {
    let with = sphinx::Geometry::nike("x25519", 2000, 5, true).expect("a geometry").to_toml();
    let without = sphinx::Geometry::nike("x25519", 2000, 5, false).expect("a geometry").to_toml();
    refused(&with, &without, "no-surb", "SphinxGeometry");
}

/// Only the reference's daemon needs them: a client of ours goes on, and a check of the file does not.
#[test]
fn what_the_daemon_does_not_start_without_is_told() {
    let listen = "[Listen]\n  [Listen.Tcp]\n    Address = \"127.0.0.1:64331\"\n    Network = \"tcp\"\n";
    let proxy =
        "[UpstreamProxy]\n  Type = \"none\"\n  Network = \"\"\n  Address = \"\"\n  User = \"\"\n  Password = \"\"\n";
    for (table, code, key) in [(listen, "no-listen", "Listen"), (proxy, "no-proxy-table", "UpstreamProxy")] {
        let text = file().replace(table, "");
        assert_ne!(text, file());
        let findings = load(&text, Strictness::Lenient).expect("it can be used").findings;
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.code, finding.key.as_str()), (Severity::Warning, code, key));
        let findings = load(&text, Strictness::Strict).expect_err("a check refuses it");
        assert_eq!((findings.len(), findings[0].severity, findings[0].code), (1, Severity::Error, code));
    }
    refused("Level = \"NOTICE\"", "Level = \"NOTIC\"", "log-level", "Logging.Level");
}

#[test]
fn what_the_reference_takes_is_taken() {
    for (from, to) in [
        ("SessionGracePeriod = \"0s\"", "SessionGracePeriod = 600000000000"),
        ("Type = \"none\"", "Type = \"NONE\""),
        ("Level = \"NOTICE\"", "Level = \"notice\""),
    ] {
        assert_eq!(edited(from, to), [], "{to}");
    }
    // Names of keys with their letter case, as of authorities: the reference crashes at others.
    let findings = edited("    Name = \"gateway1\"", "    name = \"gateway1\"");
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.severity, finding.code), (Severity::Error, "unknown-key"), "{finding}");
    assert!(finding.problem.contains("Name: is not set"), "{finding}");
}
