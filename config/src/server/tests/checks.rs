//! One row for each finding: an edit of the good file, and what it must give.

use super::fixture::{GEOMETRY, authority_keys, load_text, main_file, sources};
use crate::finding::{Finding, Severity};
use crate::server::{Sources, parse};
use crate::{Strictness, server};

/// Replaces `from`, which must be there, and demands exactly one finding.
#[track_caller]
pub fn one_finding(from: &str, to: &str) -> Finding {
    let text = main_file();
    assert!(text.contains(from), "the fixture has no {from:?}");
    let text = text.replacen(from, to, 1);
    let mut findings = match load_text(&text) {
        Ok(loaded) => loaded.findings,
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
            findings
        }
    };
    assert_eq!(findings.len(), 1, "{from:?} -> {to:?}: {findings:#?}");
    let finding = findings.remove(0);
    assert!(!finding.remedy.is_empty() && !finding.problem.is_empty(), "{finding}");
    if let Some(line) = finding.line {
        assert!(line <= text.lines().count());
    }
    finding
}

#[track_caller]
fn check_all(severity: Severity, rows: &[(&str, &str, &str, &str, &str)]) {
    for (from, to, code, key, problem) in rows {
        let finding = one_finding(from, to);
        assert_eq!((finding.severity, finding.code, finding.key.as_str()), (severity, *code, *key), "{finding}");
        assert!(finding.problem.contains(problem), "{finding}");
    }
}

#[test]
fn server_section() {
    check_all(
        Severity::Error,
        &[
            ("\"mix1\"", "\"\"", "required", "Server.Identifier", "config: Server: Identifier is not set"),
            ("Identifier = \"mix1\"", "", "required", "Server.Identifier", "config: Server: Identifier is not set"),
            ("\"mix1\"", "\"mix_1\"", "identifier", "Server.Identifier", "config: Failed to normalize Identifier"),
            ("\"mix1\"", "\"a123456789012345678901234567890123\"", "identifier", "Server.Identifier", "34 bytes"),
            ("WireKEM = \"xwing\"", "", "required", "Server.WireKEM", "config: Server: WireKEM is not set"),
            ("WireKEM = \"xwing\"", "WireKEM = \"Kyber768\"", "unknown-scheme", "Server.WireKEM", "'Kyber768'"),
            ("WireKEM = \"xwing\"", "WireKEM = \"HQC-128\"", "scheme-not-built-in", "Server.WireKEM", "'HQC-128'"),
            (
                "PKISignatureScheme = \"Ed25519\"",
                "",
                "required",
                "Server.PKISignatureScheme",
                "config: Server: PKISignatureScheme is not set",
            ),
            (
                "PKISignatureScheme = \"Ed25519\"",
                "PKISignatureScheme = \"eddilithium2\"",
                "unknown-scheme",
                "Server.PKISignatureScheme",
                "'eddilithium2'",
            ),
            (
                "\"/var/lib/katzenpost/mix1\"",
                "\"mix1\"",
                "not-absolute",
                "Server.DataDir",
                "config: Server: DataDir 'mix1' is not an absolute path",
            ),
            ("DataDir = \"/var/lib/katzenpost/mix1\"", "", "not-absolute", "Server.DataDir", "DataDir '' is not"),
            (
                "PersistMixKeysOnShutdownDir = \"\"",
                "PersistMixKeysOnShutdownDir = \"/x\"",
                "persist-dir-unused",
                "Server.PersistMixKeysOnShutdownDir",
                "config: Server: PersistMixKeysOnShutdownDir is set but PersistMixKeysOnShutdown is not enabled",
            ),
            (
                "PersistMixKeysOnShutdown = false\n  PersistMixKeysOnShutdownDir = \"\"",
                "PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = \"x\"",
                "not-absolute",
                "Server.PersistMixKeysOnShutdownDir",
                "config: Server: PersistMixKeysOnShutdownDir 'x' is not an absolute path",
            ),
            (
                "WaitForConsensusExitOnShutdown = false\n  PersistMixKeysOnShutdown = false",
                "WaitForConsensusExitOnShutdown = true\n  PersistMixKeysOnShutdown = true",
                "exclusive",
                "Server.PersistMixKeysOnShutdown",
                "config: Server: WaitForConsensusExitOnShutdown and PersistMixKeysOnShutdown are mutually exclusive",
            ),
            ("IsGatewayNode = false", "IsGatewayNode = \"no\"", "wrong-type", "Server.IsGatewayNode", "string"),
        ],
    );
    check_all(
        Severity::Warning,
        &[
            ("\"mix1\"", "\"MIX1\"", "identifier-mapped", "Server.Identifier", "is used as 'mix1'"),
            ("IsGatewayNode", "IsGatewayNod", "unknown-key", "Server.IsGatewayNod", "unrecognised"),
        ],
    );
}

#[test]
fn addresses() {
    let advertised = "[\"tcp://192.0.2.1:30014\"]";
    let bind = "BindAddresses = [\"tcp://127.0.0.1:30014\"]";
    check_all(
        Severity::Error,
        &[
            (advertised, "[\"192.0.2.1:30014\"]", "address", "Server.Addresses[0]", "is not a URL"),
            (advertised, "[\"tcp://192.0.2.1\"]", "address", "Server.Addresses[0]", "has no port"),
            (advertised, "[\"tcp://mix1:1\"]", "address", "Server.Addresses[0]", "host name"),
            (advertised, "[\"http://192.0.2.1:1\"]", "address", "Server.Addresses[0]", "unsupported scheme 'http'"),
            (advertised, "[]", "no-address", "Server.Addresses", "Descriptor address map is zero size."),
            (
                advertised,
                "[\"tcp://192.0.2.1:1\", \"onion://a.onion:1\"]",
                "onion-not-gateway",
                "Server.Addresses[1]",
                "only gateways",
            ),
            (bind, "BindAddresses = [\"tcp://mix1:1\"]", "address", "Server.BindAddresses[0]", "host name"),
            (bind, "BindAddresses = [\"onion://a.onion:1\"]", "listen-onion", "Server.BindAddresses[0]", "onion"),
            (
                bind,
                "BindAddresses = [\"tcp://127.0.0.1:1\", \"tcp://127.0.0.1:1\"]",
                "address-twice",
                "Server.BindAddresses[1]",
                "listed twice",
            ),
            ("\"127.0.0.1:30016\"", "\"127.0.0.1\"", "metrics-address", "Server.MetricsAddress", "has no port"),
            ("\"127.0.0.1:30016\"", "\"mix1:1\"", "metrics-address", "Server.MetricsAddress", "host name"),
            (
                "\"127.0.0.1:30016\"",
                "\":9100\"",
                "metrics-address",
                "Server.MetricsAddress",
                "':9100' is invalid: it has no host",
            ),
            (
                "\"127.0.0.1:30016\"",
                "\"http://127.0.0.1:9100/metrics\"",
                "metrics-address",
                "Server.MetricsAddress",
                "it is not of the form host:port",
            ),
        ],
    );
    check_all(
        Severity::Warning,
        &[
            (
                advertised,
                "[\"tcp://192.0.2.1:1\", \"tcp://192.0.2.1:1\"]",
                "address-twice",
                "Server.Addresses[1]",
                "listed twice",
            ),
            (advertised, "[\"tcp://192.0.2.1:0\"]", "port-zero", "Server.Addresses[0]", "port 0"),
            (advertised, "[\"tcp://0.0.0.0:1\"]", "address-unspecified", "Server.Addresses[0]", "nobody can reach"),
            (advertised, "[\"quic://224.0.0.1:1\"]", "advertised-group", "Server.Addresses[0]", "no host's address"),
            (
                advertised,
                "[\"tcp://255.255.255.255:1\"]",
                "advertised-group",
                "Server.Addresses[0]",
                "no host's address",
            ),
            ("Addresses = [\"tcp://192.0.2.1:30014\"]", "", "address-guessed", "Server.Addresses", "203.0.113.9:3219"),
        ],
    );
}

/// Sockets that the system would not give together, and addresses at which nobody can listen.
#[test]
fn what_cannot_be_listened_on() {
    let bind = "BindAddresses = [\"tcp://127.0.0.1:30014\"]";
    let metrics = "\"127.0.0.1:30016\"";
    let both = |other: &str| format!("BindAddresses = [\"tcp://127.0.0.1:1\", \"{other}:1\"]");
    for other in ["tcp://0.0.0.0", "tcp://[::]", "tcp4://0.0.0.0", "tcp://[::ffff:0.0.0.0]"] {
        let finding = one_finding(bind, &both(other));
        assert_eq!((finding.code, finding.key.as_str()), ("address-twice", "Server.BindAddresses[1]"), "{finding}");
        assert!(finding.problem.contains("cannot both be listened on"), "{finding}");
    }
    // The node listens once for these, or at different sockets.
    for other in ["tcp4://127.0.0.1", "tcp://[::ffff:127.0.0.1]", "tcp6://[::]", "tcp://[::1]"] {
        let text = main_file().replacen(bind, &both(other), 1);
        assert_eq!(load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}")).findings, []);
    }
    // UDP and TCP have ports of their own.
    let quic = "BindAddresses = [\"tcp://127.0.0.1:30014\", \"quic://127.0.0.1:30014\", \"quic://127.0.0.1:30016\"]";
    assert_eq!(load_text(&main_file().replacen(bind, quic, 1)).expect("it can be used").findings, []);
    let both_quic = "BindAddresses = [\"quic://127.0.0.1:1\", \"quic://[::]:1\"]";
    let finding = one_finding(bind, both_quic);
    assert_eq!((finding.code, finding.key.as_str()), ("address-twice", "Server.BindAddresses[1]"), "{finding}");
    for address in ["127.0.0.1:30014", "0.0.0.0:30014", "[::]:30014", "[::ffff:127.0.0.1]:30014"] {
        let finding = one_finding(metrics, &format!("{address:?}"));
        assert_eq!((finding.code, finding.key.as_str()), ("metrics-address", "Server.MetricsAddress"), "{finding}");
        assert!(finding.problem.contains("on which the node listens"), "{finding}");
    }
    for address in ["[::1]:30014", "127.0.0.2:30014"] {
        assert!(load_text(&main_file().replacen(metrics, &format!("{address:?}"), 1)).is_ok(), "{address}");
    }
    assert_eq!(one_finding(bind, "BindAddresses = [\"tcp://[fe80::1]:1\"]").code, "link-local");
    assert_eq!(one_finding(metrics, "\"[fe80::1]:1\"").code, "link-local");
}

#[test]
fn paths_that_are_none_of_a_file() {
    let on = |path: &str| format!("Enable = true\n  Path = \"{path}\"\n  #");
    for (from, to, key) in [
        ("\"katzenpost.log\"", "\".\"".to_string(), "Logging.File"),
        ("\"katzenpost.log\"", "\"log/\"".into(), "Logging.File"),
        ("\"katzenpost.log\"", "\"a\\u0000b\"".into(), "Logging.File"),
        ("\"/var/lib/katzenpost/mix1\"", "\"/a\\u0000b\"".into(), "Server.DataDir"),
        ("Enable = false\n  Path =", on("/"), "Management.Path"),
        ("Enable = false\n  Path =", on("/var/lib/katzenpost/mix1"), "Management.Path"),
        ("Enable = false\n  Path =", on("/var/lib/sock/"), "Management.Path"),
        ("Enable = false\n  Path =", on("/var/lib/a\\u0000b"), "Management.Path"),
    ] {
        let finding = one_finding(from, &to);
        assert_eq!((finding.severity, finding.code, finding.key.as_str()), (Severity::Error, "path", key), "{finding}");
    }
    let own = one_finding("\"katzenpost.log\"", "\"/etc/../etc/katzenpost.toml\"");
    assert_eq!((own.code, own.key.as_str()), ("own-file", "Logging.File"));
}

#[test]
fn metrics_are_no_url() {
    for (text, remedy) in [
        (":9100", "0.0.0.0:6543 for all, or set AllowHostnameAddresses = true"),
        ("localhost:9100", "write the IP address, or set AllowHostnameAddresses = true"),
        ("http://127.0.0.1:9100", "without scheme and path"),
        ("127.0.0.1", "add a port"),
        ("127.0.0.1:99999", "from 1 to 65535"),
    ] {
        let finding = one_finding("\"127.0.0.1:30016\"", &format!("{text:?}"));
        assert!(finding.problem.contains(text) && finding.remedy.contains(remedy), "{finding}");
        assert!(!finding.to_string().contains("URL") && !finding.remedy.contains("tcp://"), "{finding}");
    }
}

#[test]
fn no_address_to_guess() {
    let text = main_file().replacen("Addresses = [\"tcp://192.0.2.1:30014\"]", "", 1);
    let sources = Sources { interfaces: vec!["10.0.0.1".parse().expect("IP")], ..sources(&text) };
    let findings = parse(&sources, Strictness::Lenient).expect_err("nothing to advertise");
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["no-address"]);
    assert!(findings[0].problem.contains("no globally routable IPv4 addresses found"));
}

#[test]
fn host_names_when_allowed() {
    let text = main_file()
        .replace("AllowHostnameAddresses = false", "AllowHostnameAddresses = true")
        .replace("tcp://192.0.2.1:30014", "tcp://mix1:30014")
        .replace("127.0.0.1:30016", ":30016")
        .replace("tcp://192.0.2.101:30001", "tcp://auth1:30001");
    let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.config.network.metrics, Some((None, 30016)));
}

#[test]
fn logging_and_management() {
    check_all(
        Severity::Error,
        &[("\"NOTICE\"", "\"CHATTY\"", "log-level", "Logging.Level", "config: Logging: Level 'CHATTY' is invalid")],
    );
    check_all(
        Severity::Warning,
        &[
            ("\"NOTICE\"", "\"debug\"", "log-level-debug", "Logging.Level", "Unsafe Debug logging"),
            (
                "Path = \"/var/lib/katzenpost/mix1/management_sock\"",
                "Path = \"sock\"",
                "management-path",
                "Management.Path",
                "relative",
            ),
            ("Enable = false", "Disable = true", "removed-key", "Management.Disable", "no longer"),
        ],
    );
    // A name that no socket can have matters only where there is to be a socket.
    let path = "Path = \"/var/lib/katzenpost/mix1/management_sock\"";
    let long = |name: usize| format!("Path = \"/{}/{}\"", "folder".repeat(30), "a".repeat(name));
    for (enable, name, is_good) in [("true", 81, false), ("true", 80, true), ("false", 81, true)] {
        let text = main_file().replace(path, &format!("#\n  {}", long(name)));
        let text = text.replace("[Management]\n  Enable = false", &format!("[Management]\n  Enable = {enable}"));
        assert!(text.contains(&format!("[Management]\n  Enable = {enable}")));
        match load_text(&text) {
            Ok(_) => assert!(is_good, "{enable} {name}"),
            Err(findings) => {
                assert!(!is_good && findings[0].key == "Management.Path", "{findings:?}");
                assert!(findings[0].problem.contains("81 bytes"), "{findings:?}");
            }
        }
    }
    let with = |from: &str, to: &str| load_text(&main_file().replace(from, to)).expect("good").config.logging;
    assert_eq!(with("\"NOTICE\"", "\"\"").level, server::LogLevel::Notice);
    assert_eq!(with("\"NOTICE\"", "\"error\"").level, server::LogLevel::Error);
    assert_eq!(with("Disable = false", "Disable = true").destination, server::LogDestination::Silent);
    assert_eq!(with("\"katzenpost.log\"", "\"\"").destination, server::LogDestination::Stdout);
    let absolute = with("\"katzenpost.log\"", "\"/var/log/mix1\"").destination;
    assert_eq!(absolute, server::LogDestination::File("/var/log/mix1".into()));
}

#[test]
fn debug_section() {
    check_all(
        Severity::Warning,
        &[
            ("SendSlack = 50", "SendSlack = 10", "raised", "Debug.SendSlack", "raised to 50 ms"),
            ("SchedulerSlack = 450", "SchedulerSlack = 150", "raised", "Debug.SchedulerSlack", "raised to 450 ms"),
            ("ConnectTimeout = 60000", "ConnectTimeout = 86400001", "too-long", "Debug.ConnectTimeout", "a day"),
            (
                "SchedulerExternalMemoryQueue = false",
                "SchedulerExternalMemoryQueue = true",
                "without-effect",
                "Debug.SchedulerExternalMemoryQueue",
                "no effect",
            ),
            (
                "DisableRateLimit = false",
                "DisableRateLimit = true",
                "rate-limit-disabled",
                "Debug.DisableRateLimit",
                "without limit",
            ),
            ("NumSphinxWorkers = 0", "NumProviderWorkers = 0", "removed-key", "Debug.NumProviderWorkers", "no longer"),
        ],
    );
    check_all(
        Severity::Error,
        &[("UnwrapDelay = 250", "UnwrapDelay = 2.5", "wrong-type", "Debug.UnwrapDelay", "float")],
    );
}

#[test]
fn geometry() {
    check_all(
        Severity::Error,
        &[
            (
                "PacketLength = 3082",
                "PacketLength = 0",
                "geometry-zero",
                "SphinxGeometry.PacketLength",
                "PacketLength of 0",
            ),
            ("NrHops = 5", "", "geometry-zero", "SphinxGeometry.NrHops", "NrHops of 0"),
            (
                "PacketLength = 3082",
                "PacketLength = -1",
                "geometry-negative",
                "SphinxGeometry.PacketLength",
                "negative",
            ),
            ("PacketLength = 3082", "PacketLength = 3083", "geometry-mismatch", "SphinxGeometry.PacketLength", "3082"),
            (
                "UserForwardPayloadLength = 2000",
                "UserForwardPayloadLength = 9999999999",
                "geometry-too-large",
                "SphinxGeometry.UserForwardPayloadLength",
                "9999999999",
            ),
            ("NIKEName = \"x25519\"", "NIKEName = \"\"", "geometry-scheme", "SphinxGeometry", "must be set"),
            ("KEMName = \"\"", "KEMName = \"xwing\"", "geometry-scheme", "SphinxGeometry", "must not both be set"),
            ("NIKEName = \"x25519\"", "NIKEName = \"foo\"", "unknown-scheme", "SphinxGeometry.NIKEName", "foo"),
            (GEOMETRY, "", "missing-block", "SphinxGeometry", "config: No SphinxGeometry block was present"),
        ],
    );
    check_all(
        Severity::Warning,
        &[("NIKEName = \"x25519\"", "NIKEName = \"X25519\"", "geometry-spelling", "SphinxGeometry.NIKEName", "hash")],
    );
}

#[test]
fn authorities() {
    let first = "PKI.Voting.Authorities[0]";
    let at = |name: &str| format!("{first}.{name}");
    let (identity, link) = authority_keys(1);
    let other = authority_keys(2).0;
    check_all(
        Severity::Error,
        &[
            ("\"auth1\"", "\"\"", "required", &at("Identifier"), "empty"),
            ("Identifier = \"auth1\"", "", "required", &at("Identifier"), "missing"),
            (&identity, &link, "public-key", &at("IdentityPublicKey"), "XWING PUBLIC KEY"),
            (
                &link,
                "-----BEGIN XWING PUBLIC KEY-----\\nAAAA\\n-----END XWING PUBLIC KEY-----\\n",
                "public-key",
                &at("LinkPublicKey"),
                "not a XWING public key",
            ),
            (&link, "", "public-key", &at("LinkPublicKey"), "no PEM block"),
            ("WireKEMScheme = \"xwing\"", "WireKEMScheme = \"none\"", "unknown-scheme", &at("WireKEMScheme"), "'none'"),
            ("[\"tcp://192.0.2.101:30001\"]", "[\"tcp://auth:1\"]", "address", &at("Addresses[0]"), "host name"),
            (&identity, &other, "authority-doubled", "PKI.Voting.Authorities[1]", "identity key of authority 'auth1'"),
        ],
    );
    check_all(
        Severity::Warning,
        &[
            ("\"auth2\"", "\"auth1\"", "authority-name-doubled", "PKI.Voting.Authorities[1]", "'auth1'"),
            (
                "[\"tcp://192.0.2.101:30001\"]",
                "[\"tcp4://192.0.2.1:1\"]",
                "address-family-scheme",
                &at("Addresses[0]"),
                "tcp4",
            ),
            ("\"auth1\"", "\"auth1\"\nBindAddresses = []", "removed-key", &at("BindAddresses"), "no longer"),
        ],
    );
    // The reference goes on without an address that nobody can dial; a check does not.
    for address in ["tcp://192.0.2.1:0", "tcp://192.0.2.1", "192.0.2.1:1", "http://192.0.2.1:1", "tcp://::1:1"] {
        let good = "tcp://192.0.2.101:30001";
        let text = main_file().replace(&format!("[\"{good}\"]"), &format!("[\"{address}\", \"{good}\"]"));
        let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
        let [finding] = &loaded.findings[..] else { panic!("{:#?}", loaded.findings) };
        assert_eq!((finding.severity, finding.code), (Severity::Warning, "address"), "{finding}");
        let left: Vec<_> = loaded.config.authorities[0].addresses.iter().map(|address| address.url()).collect();
        assert_eq!(left, [good]);
        let findings = parse(&sources(&text), Strictness::Strict).expect_err("a check refuses it");
        assert_eq!((findings.len(), findings[0].severity, findings[0].code), (1, Severity::Error, "address"));
    }
    let without_addresses = main_file().replace("[\"tcp://192.0.2.101:30001\"]", "[]");
    assert_eq!(load_text(&without_addresses).expect("may be empty").findings, []);
    // Exact letter case: the key is unknown under another one, and so the one that is meant is missing.
    let finding = one_finding("WireKEMScheme", "wirekemscheme");
    assert_eq!((finding.severity, finding.code), (Severity::Error, "unknown-key"));
    assert!(finding.problem.contains("WireKEMScheme: is missing"), "{finding}");
    assert_eq!(finding.remedy, "did you mean WireKEMScheme?");
}

#[test]
fn missing_blocks() {
    let text = main_file();
    let section = |from: &str, to: &str| {
        let (start, end) = (text.find(from).expect("there"), text.find(to).expect("there"));
        text[start..end].to_string()
    };
    let pki = section("[PKI]", "[Management]");
    let entries = section("    [[PKI.Voting.Authorities]]", "[Management]");
    check_all(
        Severity::Error,
        &[
            (&pki, "", "missing-block", "PKI", "config: No PKI block was present"),
            (&pki, "[PKI]\n", "missing-block", "PKI.Voting", "Voting is nil"),
            (&entries, "", "no-authority", "PKI.Voting.Authorities", "lists no authority"),
            (&section("[Server]", "[Logging]"), "", "missing-block", "Server", "config: No Server block was present"),
        ],
    );
    let findings = load_text("").expect_err("nothing is there");
    let keys: Vec<_> = findings.iter().map(|finding| finding.key.as_str()).collect();
    assert_eq!(keys, ["SphinxGeometry", "PKI", "Server"]);
}

#[test]
fn all_findings_at_once_in_the_order_of_the_file() {
    let text = main_file()
        .replace("WireKEM = \"xwing\"", "WireKEM = \"none\"")
        .replace("\"/var/lib/katzenpost/mix1\"", "\"x\"")
        .replace("\"NOTICE\"", "\"x\"")
        .replace("PacketLength = 3082", "PacketLength = 1")
        .replace("SendSlack = 50", "SendSlack = 1");
    let findings = load_text(&text).expect_err("much is wrong");
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["unknown-scheme", "not-absolute", "log-level", "geometry-mismatch", "raised"]);
    let line = findings[1].line.expect("a line");
    assert!(text.lines().nth(line - 1).expect("that line").contains("DataDir"));
}

#[test]
fn files_of_other_programs() {
    for (text, expected) in [
        ("[Server]\nIdentifier = \"auth1\"\n[[Authorities]]\n[[Mixes]]\n", "a directory authority's"),
        ("WireKEMScheme = \"xwing\"\n[Listen]\n[VotingAuthority]\n", "a client daemon's"),
        ("[Dial.Tcp]\n", "a thin client's"),
        ("ReplicaID = 0\nReplicaNIKEScheme = \"x\"\n[PKI]\n", "a storage replica's"),
        ("EnvelopeScheme = \"x\"\n[PKI]\n", "a courier's"),
        ("[dataplane]\nshards = 1\n", "Katzensprung's own"),
    ] {
        let findings = load_text(text).expect_err("not a server's file");
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["other-program"], "{text}");
        assert!(findings[0].problem.contains(expected), "{}", findings[0]);
    }
}
