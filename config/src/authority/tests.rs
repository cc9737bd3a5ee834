mod checks;
mod fixture;

use super::*;
use crate::address::HostNames;
use fixture::Site;
use std::time::Duration;

#[test]
fn a_file_of_the_generators_shape_loads() {
    let site = Site::new();
    let loaded = site.load(&site.text).expect("it is good");
    assert_eq!(loaded.findings, []);
    let config = loaded.config;
    assert_eq!(config.identifier, "auth1");
    assert_eq!((config.wire_kem.info().name, config.pki_signature_scheme.info().name), ("XWING", "Ed25519"));
    assert_eq!(config.authorities.len(), 3);
    assert_eq!(config.timeouts.dial, Duration::from_secs(30));
    assert_eq!(config.timeouts.handshake, Duration::from_secs(3));
    let retry =
        PeerRetry { attempts_max: 20, base: Duration::from_millis(10), max: Duration::from_secs(3), jitter: 0.2 };
    assert_eq!(config.peer_retry, retry);
    assert_eq!((config.parameters.mu, config.parameters.lambda_m), (0.005, 0.2));
    let members = &config.members;
    let names = |list: &[ListedNode]| list.iter().map(|node| node.identifier.clone()).collect::<Vec<_>>();
    assert_eq!(names(&members.mixes), ["mix1", "mix2", "mix3"]);
    assert_eq!(
        (names(&members.gateways), names(&members.service_nodes)),
        (vec!["gateway1".into()], vec!["servicenode1".into()])
    );
    assert_eq!((members.replicas.len(), members.replicas[0].id), (1, 4));
    let layers = members.topology.as_ref().expect("there is one");
    let expected: Vec<_> = members.mixes.iter().map(|mix| vec![mix.identity_key.clone()]).collect();
    assert_eq!(layers, &expected);
    assert_eq!(config.network.host_names, HostNames::Refused);
    assert!(config.network.dials_v4 && config.network.dials_v6 && !config.generate_only);
}

#[test]
fn absent_and_zero_numbers_mean_the_defaults() {
    let site = Site::new();
    let text = site
        .text
        .replace("Mu = 0.005", "Mu = 0")
        .replace("  LambdaM = 0.2\n", "")
        .replace("DialTimeoutSec = 0", "DialTimeoutSec = 7")
        .replace("PeerRetryBaseDelay = \"0s\"", "PeerRetryBaseDelay = 250000000")
        .replace("PeerRetryMaxDelay = \"0s\"", "PeerRetryMaxDelay = \"1m30s\"")
        .replace("PeerRetryJitter = 0.0", "PeerRetryJitter = 1");
    let config = site.load(&text).expect("it is good").config;
    assert_eq!((config.parameters.mu, config.parameters.lambda_m), (0.00025, 0.00025));
    assert_eq!(config.timeouts.dial, Duration::from_secs(7));
    let retry = config.peer_retry;
    assert_eq!((retry.base, retry.max, retry.jitter), (Duration::from_millis(250), Duration::from_secs(90), 1.0));
}

/// What others have yet to give is not asked for while keys are made.
#[test]
fn keys_are_made_without_those_of_others() {
    let site = Site::new();
    let text = site.text.replace("../", "../nowhere/");
    assert!(site.load(&text).is_err());
    let config = parse(&site.sources(&text), Strictness::Lenient, Purpose::GenerateOnly).expect("it will do").config;
    assert!(config.generate_only && config.members == Members::default());
}

#[test]
fn absolute_paths_and_topologies_of_five_layers_are_taken() {
    let site = Site::new();
    let absolute = site.folder.path().join("mix1").join("identity.public.pem");
    let text = site.text.replacen("../mix1/identity.public.pem", &absolute.display().to_string(), 1);
    assert_eq!(site.load(&text).expect("it is good").findings, []);
    let without = &site.text[..site.text.find("[Topology]").expect("there")];
    let geometry = &site.text[site.text.find("[SphinxGeometry]").expect("there")..];
    let config = site.load(&format!("{without}{geometry}")).expect("layers are drawn").config;
    assert_eq!((config.members.topology, config.layout.layers), (None, 3));
}

#[test]
fn other_programs_files_are_told_apart() {
    let site = Site::new();
    for (text, kind) in [
        ("[Server]\n[PKI]\n", "a server's (katzenpost.toml)"),
        ("PinnedGateways = 1\n", "a client daemon's (client.toml)"),
        ("[dataplane]\n", "Katzensprung's own (katzensprung.toml)"),
    ] {
        let findings = site.load(text).expect_err("it is for another program");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].code == "other-program" && findings[0].problem.contains(kind), "{}", findings[0]);
    }
}

#[test]
fn unknown_keys_are_errors_only_under_the_strict_check() {
    let site = Site::new();
    let text = site.text.replace("  DialTimeoutSec", "  Nonsense = 1\n  DialTimeoutSec");
    let findings = site.load(&text).expect("it runs").findings;
    assert_eq!(findings.iter().map(|finding| finding.key.as_str()).collect::<Vec<_>>(), ["Server.Nonsense"]);
    let findings = parse(&site.sources(&text), Strictness::Strict, Purpose::Run).expect_err("it is strict");
    assert_eq!(findings.len(), 1);
    // As the reference's own check: not inside [[Authorities]].
    let text = site.text.replacen(
        "WireKEMScheme = \"xwing\"\n  Addresses = [\"tcp://127.0.0.1:30003",
        "BindAddresses = []\n  WireKEMScheme = \"xwing\"\n  Addresses = [\"tcp://127.0.0.1:30003",
        1,
    );
    assert_ne!(text, site.text);
    let findings =
        parse(&site.sources(&text), Strictness::Strict, Purpose::Run).expect("it is only a warning").findings;
    assert_eq!(findings[0].code, "removed-key");
}
