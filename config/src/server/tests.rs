mod checks;
pub(crate) mod fixture;
mod handbook;
mod leniency;
mod one_mistake;
mod roles;
mod text;

use super::*;
use crate::address::{Host, HostNames, Transport};
use crate::finding::Severity;
use crate::reader::Section;
pub(crate) use fixture::GEOMETRY;
use fixture::{load_text, main_file, sources};
use std::time::Duration;

#[test]
fn a_generated_file_gives_no_finding() {
    let loaded = load_text(&main_file()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
    let config = loaded.config;
    assert_eq!(config.identifier, "mix1");
    assert_eq!(config.role, Role::Mix);
    assert_eq!((config.wire_kem.info().name, config.pki_signature_scheme.info().name), ("XWING", "Ed25519"));
    assert_eq!((config.geometry.packet_length, config.geometry.nike_name.as_str()), (3082, "x25519"));
    assert_eq!(config.data_dir, Path::new("/var/lib/katzenpost/mix1"));
    assert_eq!(config.shutdown, Shutdown::Immediate);
    let log = LogDestination::File("/var/lib/katzenpost/mix1/katzenpost.log".into());
    assert_eq!(config.logging, Logging { level: LogLevel::Notice, destination: log });
    let path = PathBuf::from("/var/lib/katzenpost/mix1/management_sock");
    assert_eq!(config.management, Management { enabled: false, path });
    assert_eq!(config.network.advertised.iter().map(|a| a.url()).collect::<Vec<_>>(), ["tcp://192.0.2.1:30014"]);
    assert_eq!(config.network.listen.iter().map(|a| a.url()).collect::<Vec<_>>(), ["tcp://127.0.0.1:30014"]);
    assert_eq!(config.network.metrics, Some((Some(Host::Ip("127.0.0.1".parse().expect("IP"))), 30016)));
    assert_eq!(config.authorities.len(), 3);
    let authority = &config.authorities[1];
    assert_eq!(authority.identifier, "auth2");
    assert_eq!((authority.identity_public_key.len(), authority.link_public_key.len()), (32, 1216));
    assert_eq!(authority.addresses[0].transport, Transport::Tcp);
    assert_eq!(config.own, OwnConfig::default());
}

#[test]
fn strict_and_lenient_agree_on_a_clean_file() {
    let loaded = parse(&sources(&main_file()), Strictness::Strict).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
}

/// The smallest file, and the defaults of everything else (server.md 2.4 to 2.11).
#[test]
fn defaults() {
    let text = main_file();
    let authority = text.find("[PKI]").map(|at| &text[at..]).and_then(|rest| rest.split("[Management]").next());
    let text = format!(
        "[Server]\nIdentifier = \"mix1\"\nWireKEM = \"xwing\"\nPKISignatureScheme = \"ed25519\"\nDataDir = \"/d\"\n\
         {}\n{GEOMETRY}",
        authority.expect("the fixture has authorities")
    );
    let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["address-guessed"]);
    let config = loaded.config;
    assert_eq!(config.network.advertised[0].url(), "tcp://203.0.113.9:3219");
    assert_eq!(config.network.listen, config.network.advertised);
    assert_eq!((config.network.metrics, config.network.host_names), (None, HostNames::Refused));
    assert_eq!(config.logging, Logging::default());
    assert_eq!(config.management, Management { enabled: false, path: "/d/management_sock".into() });
    let ms = Duration::from_millis;
    assert_eq!(
        config.debug,
        Debug {
            num_sphinx_workers: None,
            scheduler_queue_size: None,
            unwrap_delay: ms(250),
            gateway_delay: ms(500),
            service_delay: ms(500),
            kaetzchen_delay: ms(750),
            scheduler_slack: ms(450),
            send_slack: ms(50),
            decoy_slack: ms(15_000),
            connect_timeout: ms(60_000),
            handshake_timeout: ms(3_000),
            reauth_interval: ms(30_000),
            send_decoy_traffic: false,
            disable_rate_limit: false,
            generate_only: false,
        }
    );
}

/// The manual's page shows the declared defaults, the code fills in its own.
#[test]
fn declared_times_are_those_that_are_filled_in() {
    let debug = debug::check(raw::Debug::default(), &mut crate::finding::Findings::new(Path::new("katzenpost.toml")));
    let times = [
        ("UnwrapDelay", debug.unwrap_delay),
        ("GatewayDelay", debug.gateway_delay),
        ("ServiceDelay", debug.service_delay),
        ("KaetzchenDelay", debug.kaetzchen_delay),
        ("SchedulerSlack", debug.scheduler_slack),
        ("SendSlack", debug.send_slack),
        ("DecoySlack", debug.decoy_slack),
        ("ConnectTimeout", debug.connect_timeout),
        ("HandshakeTimeout", debug.handshake_timeout),
        ("ReauthInterval", debug.reauth_interval),
    ];
    let declared = raw::Debug::KEYS.iter().filter(|key| key.default.ends_with(" ms"));
    let declared: Vec<_> = declared.map(|key| (key.name, key.default.to_string())).collect();
    assert_eq!(declared, times.map(|(name, time)| (name, format!("{} ms", time.as_millis()))));
}

#[test]
fn numbers_in_debug() {
    let text = main_file()
        .replace("NumSphinxWorkers = 0", "NumSphinxWorkers = 3")
        .replace("UnwrapDelay = 250", "UnwrapDelay = -1")
        .replace("SendSlack = 50", "SendSlack = 49")
        .replace("SchedulerSlack = 450", "SchedulerSlack = 600")
        .replace("DecoySlack = 15000", "DecoySlack = 9223372036854775807")
        .replace("SchedulerQueueSize = 0", "SchedulerQueueSize = -7");
    let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let debug = loaded.config.debug;
    assert_eq!((debug.num_sphinx_workers, debug.scheduler_queue_size), (NonZeroUsize::new(3), None));
    assert_eq!(debug.unwrap_delay, Duration::from_millis(250));
    assert_eq!((debug.send_slack, debug.scheduler_slack), (Duration::from_millis(50), Duration::from_millis(600)));
    assert_eq!(debug.decoy_slack, Duration::from_secs(86_400));
    let codes: Vec<_> = loaded.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["raised", "too-long"]);
}

/// server.md 13, point 1: an old file with lower-case tables and removed keys loads.
#[test]
fn an_old_file_loads() {
    let text = main_file()
        .replace("[Server]", "[server]\nIsProvider = false")
        .replace("[Management]", "[Provider]\nBinaryRecipients = true\n[management]")
        .replace("NrHops = 5", "nrhops = 5\nSURBIDLength = 16\nRecipientIDLength = 32\nNodeIDLength = 32");
    let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let keys: Vec<_> = loaded.findings.iter().map(|finding| (finding.code, finding.key.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("removed-key", "Server.IsProvider"),
            ("removed-key", "Provider"),
            ("removed-key", "SphinxGeometry.SURBIDLength"),
            ("removed-key", "SphinxGeometry.RecipientIDLength"),
            ("removed-key", "SphinxGeometry.NodeIDLength"),
        ]
    );
    assert!(loaded.findings.iter().all(|finding| finding.severity == Severity::Warning));
    let strict = parse(&sources(&text), Strictness::Strict).expect_err("strict refuses them");
    assert!(strict.iter().all(|finding| finding.severity == Severity::Error) && strict.len() == 5);
}

#[test]
fn our_own_file_beside_it() {
    let with_own = |main: &str, own: &str| {
        let own = Some(("/etc/katzensprung.toml".into(), own.to_string()));
        parse(&Sources { own, ..sources(main) }, Strictness::Lenient)
    };
    let loaded = with_own(&main_file(), "[controlplane]\nshutdown_withdraw = true\n[dataplane]\nshards = 2\n");
    let config = loaded.unwrap_or_else(|findings| panic!("{findings:#?}")).config;
    assert_eq!(config.shutdown, Shutdown::WithdrawFirst);
    assert_eq!(config.own.dataplane.shards, NonZeroUsize::new(2));
    let withdraws =
        main_file().replace("WaitForConsensusExitOnShutdown = false", "WaitForConsensusExitOnShutdown = true");
    let config = with_own(&withdraws, "[controlplane]\nshutdown_withdraw = false").expect("good").config;
    assert_eq!(config.shutdown, Shutdown::Immediate);
    let persists = main_file().replace("PersistMixKeysOnShutdown = false", "PersistMixKeysOnShutdown = true");
    let findings = with_own(&persists, "[controlplane]\nshutdown_withdraw = true").expect_err("exclusive");
    assert_eq!((findings[0].code, findings[0].file.as_path()), ("exclusive", Path::new("/etc/katzensprung.toml")));
    // Keys that nothing keeps would be sealed by nothing, and an operator who relies on it would not know.
    let is_warned = |main: &str| {
        let findings = with_own(main, "[keys]\nseal = \"systemd\"").expect("good").findings;
        findings.iter().any(|finding| (finding.code, finding.key.as_str()) == ("without-effect", "keys.seal"))
    };
    assert!(is_warned(&main_file()) && !is_warned(&persists));
    let findings = with_own("[Server]\n", "[dataplane]\nshard = 2").expect_err("both are bad");
    assert!(findings.iter().any(|finding| finding.file == Path::new("/etc/katzensprung.toml")));
    assert!(findings.iter().any(|finding| finding.file == Path::new("/etc/katzenpost.toml")));
}

#[test]
fn files_from_the_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("katzenpost.toml");
    let code = |findings: Vec<Finding>| (findings[0].code, findings[0].line, findings.len());
    assert_eq!(code(ServerConfig::load(&path, Strictness::Lenient).expect_err("missing")), ("unreadable", None, 1));
    assert_eq!(
        code(ServerConfig::load(folder.path(), Strictness::Lenient).expect_err("a folder")),
        ("unreadable", None, 1)
    );
    std::fs::write(&path, b"[Server]\n# \xff\n").expect("written");
    assert_eq!(code(ServerConfig::load(&path, Strictness::Lenient).expect_err("bytes")), ("not-utf8", Some(2), 1));
    std::fs::write(&path, main_file()).expect("written");
    assert_eq!(ServerConfig::load(&path, Strictness::Strict).expect("good").findings, []);
    std::fs::write(folder.path().join("katzensprung.toml"), "[dataplane]\nbatch_max = 8\n").expect("written");
    let config = ServerConfig::load(&path, Strictness::Lenient).expect("good").config;
    assert_eq!(config.own.dataplane.batch_max, 8);
}

#[test]
fn shards() {
    let number = |n| NonZeroUsize::new(n).expect("not zero");
    let config = |workers: &str, own: &str| {
        let text = main_file().replace("NumSphinxWorkers = 0", &format!("NumSphinxWorkers = {workers}"));
        let own = Some(("/etc/katzensprung.toml".into(), own.to_string()));
        parse(&Sources { own, ..sources(&text) }, Strictness::Lenient).expect("good").config
    };
    assert_eq!(config("0", "").shards(number(4)), number(4));
    assert_eq!(config("3", "").shards(number(4)), number(3));
    assert_eq!(config("9", "").shards(number(4)), number(4));
    assert_eq!(config("3", "[dataplane]\nshards = 8").shards(number(4)), number(8));
    assert_eq!(config("3", "[dataplane]\npin_cpus = [2, 3]").shards(number(4)), number(2));
}
