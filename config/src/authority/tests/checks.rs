//! One row for each finding: an edit of the good file, and what it must give.

use super::fixture::Site;
use crate::finding::{Finding, Severity};
use std::fs;

/// Replaces `from`, which must be there, and demands exactly one finding.
#[track_caller]
fn one_finding(site: &Site, from: &str, to: &str) -> Finding {
    assert!(site.text.contains(from), "the fixture has no {from:?}");
    let text = site.text.replacen(from, to, 1);
    let mut findings = match site.load(&text) {
        Ok(loaded) => loaded.findings,
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
            findings
        }
    };
    assert_eq!(findings.len(), 1, "{from:?} -> {to:?}: {findings:#?}");
    let finding = findings.remove(0);
    assert!(!finding.remedy.is_empty() && !finding.problem.is_empty(), "{finding}");
    finding
}

type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

#[track_caller]
fn check_all(severity: Severity, rows: &[Row<'_>]) {
    let site = Site::new();
    for (from, to, code, key, problem) in rows {
        let finding = one_finding(&site, from, to);
        assert_eq!((finding.severity, finding.code, finding.key.as_str()), (severity, *code, *key), "{finding}");
        assert!(finding.problem.contains(problem), "{finding}");
    }
}

#[test]
fn server_section() {
    check_all(
        Severity::Error,
        &[
            ("WireKEMScheme = \"xwing\"", "", "required", "Server.WireKEMScheme", "is not set"),
            ("WireKEMScheme = \"xwing\"", "WireKEMScheme = \"x\"", "unknown-scheme", "Server.WireKEMScheme", "'x'"),
            ("PKISignatureScheme = \"Ed25519\"", "", "required", "Server.PKISignatureScheme", "is not set"),
            ("DataDir = \"", "DataDir = \"relative", "not-absolute", "Server.DataDir", "not an absolute path"),
            ("tcp://127.0.0.1:30001", "tcp://auth1:30001", "address", "Server.Addresses[0]", "host name"),
            ("tcp://127.0.0.1:30001", "ftp://127.0.0.1:30001", "address", "Server.Addresses[0]", "ftp"),
            ("tcp://127.0.0.1:30001", "onion://a.onion:30001", "no-listener", "Server.Addresses", "Tor"),
            ("[\"tcp://127.0.0.1:30001\"]", "[]", "no-address", "Server.Addresses", "lists no address"),
            ("127.0.0.1:30002", "127.0.0.1", "metrics-address", "Server.MetricsAddress", "no port"),
            ("127.0.0.1:30002", "127.0.0.1:30001", "metrics-address", "Server.MetricsAddress", "has the port of"),
            (
                "DialTimeoutSec = 0",
                "DialTimeoutSec = -1",
                "out-of-range",
                "Server.DialTimeoutSec",
                "-1 is out of range",
            ),
            ("DialTimeoutSec = 0", "DialTimeoutSec = 1.5", "wrong-type", "Server.DialTimeoutSec", "float"),
            (
                "PeerRetryBaseDelay = \"0s\"",
                "PeerRetryBaseDelay = \"soon\"",
                "duration",
                "Server.PeerRetryBaseDelay",
                "soon",
            ),
            (
                "PeerRetryBaseDelay = \"0s\"",
                "PeerRetryBaseDelay = -1",
                "duration",
                "Server.PeerRetryBaseDelay",
                "negative",
            ),
            ("PeerRetryJitter = 0.0", "PeerRetryJitter = 1.5", "retry-jitter", "Server.PeerRetryJitter", "1.5"),
            ("PeerRetryJitter = 0.0", "PeerRetryJitter = \"x\"", "wrong-type", "Server.PeerRetryJitter", "string"),
        ],
    );
    check_all(
        Severity::Warning,
        &[
            (
                "\"Ed25519\"\n  Addresses",
                "\"ed25519\"\n  Addresses",
                "scheme-spelling",
                "Server.PKISignatureScheme",
                "'Ed25519'",
            ),
            ("30001\"]", "30001\", \"onion://a.onion:30001\"]", "not-listened-on", "Server.Addresses[1]", "onion"),
            (
                "DisableIPv4 = false\n  DisableIPv6 = false",
                "DisableIPv4 = true\n  DisableIPv6 = true",
                "no-family",
                "Server.DisableIPv6",
                "both",
            ),
        ],
    );
}

#[test]
fn numbers() {
    check_all(
        Severity::Error,
        &[
            ("Mu = 0.005", "Mu = -1", "rate", "Parameters.Mu", "-1 is not a rate"),
            ("Mu = 0.005", "Mu = nan", "rate", "Parameters.Mu", "NaN"),
            ("LambdaP = 0.001", "LambdaP = inf", "rate", "Parameters.LambdaP", "inf"),
            (
                "LambdaP = 0.001",
                "LambdaP = 9007199254740993",
                "integer-range",
                "Parameters.LambdaP",
                "9007199254740993",
            ),
            ("Mu = 0.005", "Mu = \"0.005\"", "wrong-type", "Parameters.Mu", "string"),
            (
                "MinNodesPerLayer = 1",
                "MinNodesPerLayer = 2",
                "too-few-mixes",
                "Mixes",
                "lists 3 mixes; 3 layers of at least 2 need 6",
            ),
            ("Layers = 3", "Layers = 65", "out-of-range", "Debug.Layers", "65"),
            ("NrHops = 5", "NrHops = 6", "geometry-mismatch", "SphinxGeometry.NrHops", "NrHops"),
        ],
    );
    check_all(
        Severity::Warning,
        &[("Mu = 0.005", "Mu = 0.25", "mu-slots", "Parameters.Mu", "delays of 4.0 ms on average")],
    );
    // Mu x slot is 0.05 there: as much as may be.
    let site = Site::new();
    let at_the_limit = site.load(&site.text.replacen("Mu = 0.005", "Mu = 0.2", 1)).expect("a good file");
    assert!(at_the_limit.findings.is_empty(), "{:?}", at_the_limit.findings);
}

#[test]
fn members() {
    const GATEWAY: &str = "[[GatewayNodes]]\n  Identifier = \"gateway1\"\n  IdentityPublicKeyPem = \
                           \"../gateway1/identity.public.pem\"\n";
    const PEM: &str = "IdentityPublicKeyPem = \"../mix1/identity.public.pem\"";
    check_all(
        Severity::Error,
        &[
            ("Identifier = \"mix1\"", "Identifier = \"mix_1\"", "identifier", "Mixes[0].Identifier", "mix_1"),
            ("Identifier = \"mix1\"", "", "required", "Mixes[0].Identifier", "is not set"),
            (
                "Identifier = \"mix1\"",
                "Identifier = \"mix2\"",
                "member-doubled",
                "Mixes[1]",
                "the name 'mix2' of Mixes[0]",
            ),
            ("Identifier = \"gateway1\"", "Identifier = \"mix1\"", "member-doubled", "GatewayNodes[0]", "Mixes[0]"),
            (GATEWAY, "", "no-member", "GatewayNodes", "no gateway"),
            ("ReplicaID = 4", "ReplicaID = 256", "replica-id", "StorageReplicas[0].ReplicaID", "256"),
            (
                PEM,
                "IdentityPublicKeyPem = \"../nobody/identity.public.pem\"",
                "node-key",
                "Mixes[0].IdentityPublicKeyPem",
                "cannot read",
            ),
        ],
    );
    check_all(
        Severity::Warning,
        &[("Identifier = \"mix1\"", "Identifier = \"Mix1\"", "identifier-mapped", "Mixes[0].Identifier", "'mix1'")],
    );
}

#[test]
fn topology() {
    let site = Site::new();
    let layers = site.text.find("[Topology]").expect("there");
    let (before, layers) = site.text.split_at(layers);
    let with = |from: &str, to: &str| {
        let text = format!("{before}{}", layers.replacen(from, to, 1));
        let findings = site.load(&text).map(|loaded| loaded.findings).unwrap_or_else(|findings| findings);
        findings.into_iter().map(|finding| (finding.severity, finding.code)).collect::<Vec<_>>()
    };
    let (error, warning) = (Severity::Error, Severity::Warning);
    assert_eq!(with("mix1/", "mix2/"), [(warning, "not-placed"), (error, "placed-twice")]);
    assert_eq!(with("mix1/", "gateway1/"), [(warning, "not-placed"), (warning, "not-a-mix")]);
    assert_eq!(with("mix1/", "nowhere/"), [(warning, "not-placed"), (error, "node-key")]);
    let more = "[[Topology.Layers]]\n[[Topology.Layers]]\n";
    assert_eq!(
        with("[SphinxGeometry]", &format!("{more}[SphinxGeometry]")),
        [(error, "empty-layer"), (error, "empty-layer")]
    );
}

#[test]
fn own_key() {
    let site = Site::new();
    let path = site.folder.path().join("auth1/identity.public.pem");
    fs::copy(site.folder.path().join("mix1/identity.public.pem"), &path).expect("it can be copied");
    let findings = site.load(&site.text).expect_err("it is another's key");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].code == "own-key" && findings[0].problem.contains("not that of any"), "{}", findings[0]);
    fs::remove_file(&path).expect("it is there");
    let findings = site.load(&site.text).expect_err("there is none");
    assert!(findings[0].code == "own-key" && findings[0].remedy.contains("--generate-only"), "{}", findings[0]);
    fs::write(&path, "nonsense").expect("it can be written");
    let findings = site.load(&site.text).expect_err("it is no key");
    assert!(findings[0].code == "own-key" && findings[0].problem.contains("identity.public.pem"), "{}", findings[0]);
}

#[test]
fn authorities_and_logging() {
    check_all(
        Severity::Error,
        &[
            (
                "Identifier = \"auth2\"",
                "identifier = \"auth2\"",
                "unknown-key",
                "Authorities[1].identifier",
                "is missing",
            ),
            ("File = \"katzenpost.log\"", "File = \"authority.redb\"", "own-file", "Logging.File", "store"),
            (
                "File = \"katzenpost.log\"",
                "File = \"link.private.pem\"",
                "own-file",
                "Logging.File",
                "link.private.pem",
            ),
            ("Level = \"NOTICE\"", "Level = \"LOUD\"", "log-level", "Logging.Level", "LOUD"),
        ],
    );
    let site = Site::new();
    let from = site.text.find("[[Authorities]]").expect("there");
    let to = site.text.find("[Logging]").expect("there");
    let findings = site.load(&[&site.text[..from], &site.text[to..]].concat()).expect_err("nobody is listed");
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["no-authority"]);
}
