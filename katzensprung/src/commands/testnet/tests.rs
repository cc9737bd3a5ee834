use super::folder::{Folder, State};
use super::network::Network;
use super::peers::{PeerRoles, Peers};
use super::ping::{Pings, Trip, success_rate};
use super::report::{Readings, Report};
use super::scrape::Metrics;
use super::*;
use clap::Parser;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use testnet::layout::Layout;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn options(words: &[&str]) -> Result<NetworkOptions, String> {
    let line = Line::try_parse_from(["testnet"].iter().chain(words)).map_err(|error| error.to_string())?;
    Ok(line.arguments.once.network)
}

/// A network of which nothing runs.
fn network(folder: &Path) -> Network {
    let options = options(&["--mixes", "2"]).unwrap();
    let layout = options.layout().unwrap();
    let folder = Folder::take(folder).unwrap();
    folder.save(&State::new(&layout, Duration::from_secs(30), None, |_| None)).unwrap();
    Network::open(folder.path()).unwrap()
}

fn readings(network: &Network, unwraps: impl Fn(&str) -> u64) -> Readings {
    let reading = |more: bool| {
        let nodes = network.layout.members.iter().map(|member| {
            let count = 7 + if more { unwraps(&member.name) } else { 0 };
            let drops = 3 + u64::from(more);
            let text = format!(
                "# HELP katzenpost_sphinx_unwraps_total x\nkatzenpost_sphinx_unwraps_total {count}\n\
                 katzenpost_dropped_reason_total{{reason=\"replay\"}} {drops}\n"
            );
            (member.name.clone(), Metrics::parse(&text))
        });
        nodes.collect::<BTreeMap<_, _>>()
    };
    Readings { before: reading(false), after: reading(true) }
}

fn pings(count: u64) -> Pings {
    let trip = Trip { took: Duration::from_millis(900), asked_for: Duration::from_millis(700) };
    let mixes = ["mix1", "mix2", "mix3"].map(|name| (name.to_owned(), 2 * count));
    let ends = [("gateway1".to_owned(), 2 * count), ("servicenode1".to_owned(), count)];
    Pings {
        sent: count,
        received: count,
        trips: vec![trip; count as usize],
        passed: Some(mixes.into_iter().chain(ends).collect()),
        problems: Vec::new(),
    }
}

fn enough(name: &str) -> u64 {
    match name {
        "mix4" | "mix5" | "mix6" => 0,
        "servicenode1" => 10,
        _ => 20,
    }
}

#[test]
fn an_honest_run_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(&folder.path().join("network"));
    let report = Report::new(&network, Some(31.0), &pings(10), &readings(&network, enough));
    assert!(report.is_good(), "{:?}", report.problems);
    assert_eq!(report.unwraps_by_layer["layer2"], 20);
    assert_eq!(report.unwraps_by_layer["gateway"], 20);
    assert_eq!(report.drops_by_reason["replay"], 8);
    assert_eq!((report.rtt_ms_median, report.rtt_ms_p99), (Some(900.0), Some(900.0)));
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    for key in [
        "pings_sent",
        "pings_received",
        "rtt_ms_median",
        "rtt_ms_p99",
        "seconds_to_consensus",
        "unwraps_by_layer",
        "drops_by_reason",
    ] {
        assert!(json.get(key).is_some_and(|value| !value.is_null()), "{key}");
    }
}

#[test]
fn what_cannot_be_true_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(&folder.path().join("network"));
    let told = |pings: &Pings, readings: &Readings, part: &str| {
        let report = Report::new(&network, None, pings, readings);
        assert!(
            !report.is_good() && report.problems.iter().any(|problem| problem.contains(part)),
            "{:?}",
            report.problems
        );
    };
    // A mix that passed packets on without an unwrap.
    let lazy = readings(&network, |name| enough(name) - u64::from(name == "mix2"));
    told(&pings(10), &lazy, "mix2: answered pings passed it 20 times, and it unwrapped 19");
    // The same where nobody says which ways were chosen.
    told(&Pings { passed: None, ..pings(10) }, &lazy, "layer2: 19 unwraps for 10 answered pings, 20 at least");
    // An answer that came too early.
    let trip = Trip { took: Duration::from_millis(699), asked_for: Duration::from_millis(700) };
    told(&Pings { trips: vec![trip], ..pings(10) }, &readings(&network, enough), "shorter than its delays");
    // A node that says nothing, one that leaves the counter out, and one that has begun to count anew.
    let mut silent = readings(&network, enough);
    silent.after.remove("mix6");
    told(&pings(10), &silent, "mix6 does not answer for its metrics");
    let mut mute = readings(&network, enough);
    mute.after.insert("mix6".into(), Metrics::parse("HTTP/1.1 200 OK\r\n"));
    told(&pings(10), &mute, "mix6 has no katzenpost_sphinx_unwraps_total");
    let Readings { before, after } = readings(&network, enough);
    let anew = Readings { before: after, after: before };
    told(&pings(10), &anew, "mix2 has begun to count anew");
    let lost = Pings { received: 9, ..pings(10) };
    assert!(!Report::new(&network, None, &lost, &readings(&network, enough)).is_good());
}

#[test]
fn metrics_are_summed_by_name_and_label() {
    let metrics = Metrics::parse(
        "HTTP/1.1 200 OK\r\n# TYPE x counter\nx{a=\"1\",b=\"2\"} 3\nx{a=\"1\",b=\"3\"} 4\nx{a=\"2\"} 5\nx_total 9\ny 1e3\nz\n",
    );
    assert_eq!(metrics.sum("x"), Some(12.0));
    assert_eq!(metrics.sum("y"), Some(1000.0));
    assert_eq!(metrics.sum("x_tot"), None);
    assert_eq!(metrics.by_label("x", "a"), BTreeMap::from([("1".into(), 7.0), ("2".into(), 5.0)]));
}

#[test]
fn the_last_success_rate_of_an_output_counts() {
    assert_eq!(success_rate("!!~\n\nSuccess rate is 66 percent (2/3)\n"), Some((2, 3)));
    assert_eq!(success_rate("no such line (5/5)"), None);
}

#[test]
fn peers_are_the_first_of_their_role() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["dirauth", "server", "ping"] {
        let path = folder.path().join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let shape = options(&["--mixes", "2"]).unwrap().shape();
    let layout = Layout::new(&shape, testnet::layout::Ports::After(30_000), str::to_owned).unwrap();
    let roles: PeerRoles = "authority=1,mix=2,client=1".parse().unwrap();
    let peers = Peers::new(folder.path(), &roles, &shape).unwrap();
    let played: Vec<_> = layout
        .members
        .iter()
        .filter_map(|member| peers.program_of(&layout, &member.name).map(|_| member.name.as_str()))
        .collect();
    assert_eq!(played, ["auth1", "mix1", "mix2"]);
    assert_eq!(peers.ping(), Some(folder.path().join("ping")));
    let error = Peers::new(folder.path(), &"mix=7".parse().unwrap(), &shape).unwrap_err();
    assert!(error.contains("mix=7") && error.contains("only 6"), "{error}");
    fs::set_permissions(folder.path().join("server"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Peers::new(folder.path(), &roles, &shape).unwrap_err().contains("no executable"));
    for wrong in ["mix", "mix=many", "nobody=1"] {
        assert!(wrong.parse::<PeerRoles>().unwrap_err().contains("authority=1"), "{wrong}");
    }
}

#[test]
fn warnings_of_both_implementations_are_told_from_other_lines() {
    use super::soak::{Held, is_warning};
    assert!(is_warning("19:40:01.123 WARN mix1/pki: no document"));
    assert!(is_warning("19:40:01.123 ERRO dataplane: gone"));
    assert!(!is_warning("19:40:01.123 NOTI pki: the authorities said WARN") && !is_warning(""));
    let own = Held::by(std::process::id() as i32).unwrap().to_string();
    assert!(own.contains(" MiB, ") && own.ends_with(" descriptors"), "{own}");
    assert_eq!(Held::by(-1), None);
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "years of work").unwrap();
    for refused in [Folder::take(&other), Folder::open(&other), Folder::take(&other.join("thesis.txt"))] {
        refused.map(|_| ()).unwrap_err();
    }
    assert_eq!(fs::read_to_string(other.join("thesis.txt")).unwrap(), "years of work");
    // One that has ended makes room for the next, and what lies beside it stays.
    let first = network(&own);
    fs::create_dir(own.join("mix1")).unwrap();
    fs::write(own.join("notes"), "mine").unwrap();
    first.folder.clean(&first.state).unwrap();
    assert!(!own.join("mix1").exists() && own.join("notes").exists());
    fs::remove_file(own.join("notes")).unwrap();
    let _second = network(&own);
    let third = Folder::take(&own).unwrap();
    assert!(third.path().read_dir().unwrap().next().is_none());
}

#[test]
fn a_damaged_state_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(&folder.path().join("network"));
    let path = network.folder.path().join("testnet.json");
    let text = fs::read_to_string(&path).unwrap().replacen("mix1", "../other", 1);
    fs::write(&path, text).unwrap();
    assert!(network.folder.state().unwrap_err().contains("damaged"));
}

#[test]
fn epochs_are_longer_with_peers_and_slow_signatures_and_say_why() {
    assert_eq!(options(&[]).unwrap().epoch(), (Duration::from_secs(30), None));
    let (period, reason) = options(&["--pki-signature", "Ed25519 Sphincs+"]).unwrap().epoch();
    assert_eq!((period, reason.is_some()), (Duration::from_secs(120), true));
    let (period, reason) = options(&["--peers", "/bin", "--peer-roles", "mix=1"]).unwrap().epoch();
    assert_eq!(period, Duration::from_secs(120));
    assert!(reason.is_some());
    let chosen = options(&["--peers", "/bin", "--peer-roles", "mix=1", "--epoch", "1m"]).unwrap().epoch();
    assert_eq!(chosen, (Duration::from_secs(60), None));
}

/// The files of a network with these options must be what our own programs take, without a word of complaint.
#[track_caller]
fn accepted(words: &[&str]) {
    use ::config::authority::{AuthorityConfig, Purpose};
    use ::config::{ClientConfig, ServerConfig, Strictness};
    let folder = tempfile::tempdir().unwrap();
    let options = options(words).unwrap();
    let (settings, layout) = (options.settings().unwrap(), options.layout().unwrap());
    let network = testnet::generate::Network::new(&settings, &layout, folder.path(), &Default::default()).unwrap();
    testnet::generate::write(folder.path(), &network.files().unwrap()).unwrap();
    let client = ClientConfig::load(&folder.path().join("client/client.toml"), Strictness::Strict);
    assert_eq!(client.map(|loaded| loaded.findings), Ok(vec![]), "{words:?}");
    for member in &layout.members {
        let file = super::options::file_of(folder.path(), member);
        let findings = match member.role {
            testnet::layout::Role::Authority => {
                AuthorityConfig::load(&file, Strictness::Strict, Purpose::Run).map(|loaded| loaded.findings)
            }
            _ => ServerConfig::load(&file, Strictness::Strict).map(|loaded| loaded.findings),
        };
        assert_eq!(findings, Ok(vec![]), "{words:?}: {}", member.name);
    }
}

#[test]
fn our_own_programs_take_every_file() {
    accepted(&[]);
    accepted(&["--sphinx", "xwing", "--decoys"]);
    accepted(&["--sphinx", "mlkem768-x25519"]);
    accepted(&["--sphinx", "x448", "--layers", "5"]);
    accepted(&["--payload", "30000"]);
    accepted(&["--ipv6", "--keep-mix-keys"]);
    accepted(&["--transport", "quic"]);
    accepted(&["--transport", "mixed", "--ipv6"]);
    accepted(&["--authorities", "5", "--mixes", "2", "--gateways", "2", "--services", "2"]);
    accepted(&["--pki-signature", "Ed25519 Sphincs+"]);
    accepted(&["--wire-kem", "mlkem768-x25519", "--authorities", "2", "--layers", "1", "--mixes", "11"]);
}
