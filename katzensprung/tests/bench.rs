//! `bench node` in every role, with a load that any host can bear: every packet is accounted for. How fast is nobody's
//! matter here. `bench scale` without the host: nothing in it is real time. `bench plan` of what `bench node` said.

use crate::bypass;
use crate::support::program::{finish, finish_within, program, run};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// More than all of it takes on a host that does much else.
const LONG: Duration = Duration::from_secs(600);
/// Runs before the host counts as too busy.
const TRIES: usize = 5;

/// What is found in that role; none where the host is too busy for any figure, which the program tells apart.
fn measure(arguments: &[&str]) -> Option<Value> {
    for _ in 0..TRIES {
        let mut command = program();
        command.args(["bench", "node", "--json", "--seconds", "1", "--rate", "300", "--payload", "200"]);
        let outcome = finish_within(command.args(arguments), LONG);
        if outcome.status.code() != Some(3) {
            return Some(serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}")));
        }
    }
    testhost::lacks("time", format_args!("bench node {arguments:?} gave no figure {TRIES} times"));
    None
}

/// All packets came out, each once and as it should, and the node says so too.
#[track_caller]
fn is_accounted_for(report: &Value, traffic: &str) {
    assert_eq!(report["traffic"], traffic, "{report}");
    assert!(report["packets_received"].as_u64().unwrap() > 300, "{report}");
    assert_eq!((&report["packets_lost"], &report["packets_wrong"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["account_balanced"], true, "{report}");
}

/// Of that many requests each was delivered, and answered by a packet of the node's own.
#[track_caller]
fn is_answered(report: &Value) {
    let (account, sent) = (&report["account"], &report["packets_sent"]);
    for of in ["received", "delivered", "originated", "sent"] {
        assert_eq!(&account[of], sent, "{of}: {report}");
    }
}

#[test]
fn a_service_node_answers_every_request() {
    let Some(report) = measure(&["--role", "service"]) else { return };
    assert_eq!(report["role"], "service");
    is_accounted_for(&report, "echo");
    is_answered(&report);
}

#[test]
fn a_plugin_answers_every_request() {
    let Some(report) = measure(&["--role", "service", "--service", "plugin"]) else { return };
    is_accounted_for(&report, "plugin");
    is_answered(&report);
}

#[test]
fn a_gateway_serves_senders_receivers_newcomers_and_sleepers() {
    let arguments = ["--role", "gateway", "--clients", "20", "--idle-clients", "40", "--idle-seconds", "2"];
    let Some(report) = measure(&arguments) else { return };
    is_accounted_for(&report, "from_clients");
    assert_eq!((&report["account"]["delivered"], &report["clients"]), (&0.into(), &20.into()), "{report}");
    let to_clients = &report["to_clients"];
    is_accounted_for(to_clients, "to_clients");
    assert_eq!(to_clients["account"]["delivered"], to_clients["packets_sent"], "{report}");
    assert_eq!(to_clients["account"]["sent"], 0, "{report}");
    for way in [&report, to_clients] {
        assert!(way["new_clients"]["made"].as_u64().unwrap() > 0, "{report}");
    }
    let idle = &report["idle_clients"];
    assert_eq!((&idle["sessions"], &idle["sessions_lost"]), (&40.into(), &0.into()), "{report}");
}

/// The same where it knows its users and keeps their mail: none of it is lost or late for that.
#[test]
fn a_gateway_that_knows_its_users_serves_them() {
    let users = ["--role", "gateway", "--clients", "20", "--idle-clients", "0", "--users", "file", "--spool", "file"];
    let Some(report) = measure(&users) else { return };
    is_accounted_for(&report, "from_clients");
    let to_clients = &report["to_clients"];
    is_accounted_for(to_clients, "to_clients");
    assert_eq!(to_clients["account"]["delivered"], to_clients["packets_sent"], "{report}");
    assert_eq!(report["users"], "users in a file, their mail in a file");
    assert!(report["new_clients"]["made"].as_u64().unwrap() > 0, "{report}");
}

/// In two network namespaces with a cable between them: each packet goes as frames through the node's end of it.
#[test]
fn a_mix_sends_and_receives_past_the_kernel() {
    if !bypass::is_possible() {
        return;
    }
    let Some(report) = measure(&["--transport", "quic", "--io", "xdp"]) else { return };
    is_accounted_for(&report, "through");
    assert_eq!(report["transport"], "quic", "{report}");
    let frames = &report["frames"];
    for way in ["arrived", "left"] {
        assert!(
            frames[way].as_u64() > report["packets_sent"].as_u64(),
            "more than one datagram for a packet: {report}"
        );
    }
    assert!(frames["kernel"].as_u64() < report["packets_sent"].as_u64().map(|sent| sent / 10), "{report}");
}

#[test]
fn a_mix_has_no_clients() {
    let Some(report) = measure(&[]) else { return };
    is_accounted_for(&report, "through");
    assert_eq!((&report["to_clients"], &report["idle_clients"]), (&Value::Null, &Value::Null), "{report}");
}

/// A minute over changes of the epoch, with packets that are made meanwhile for the keys of the moment.
#[test]
fn a_soak_is_accounted_for_every_minute() {
    let Some(report) = measure(&["--soak", "1"]) else { return };
    is_accounted_for(&report, "through");
    let soak = &report["soaks"][0];
    let minute = &soak["minutes"][0];
    assert!(minute["epochs"].as_u64().unwrap() >= 2, "{report}");
    assert!(minute["sent"].as_u64().unwrap() > 300 * 30, "{report}");
    assert_eq!(minute["sent"], minute["received"], "{report}");
    for nothing in ["dropped", "lost", "wrong"] {
        assert_eq!(minute[nothing], 0, "{nothing}: {report}");
    }
    assert_eq!(minute["account_balanced"], true, "{report}");
    assert!(minute["data_plane_bytes"].as_u64().unwrap() > 1 << 20, "{report}");
    assert!(soak["memory"].as_array().unwrap().len() > 10, "{report}");
    assert_eq!(report["good"], true, "{report}");
}

#[test]
fn what_no_host_can_do_is_refused_with_its_remedy() {
    run(["bench", "node", "--role", "gateway", "--clients", "0"]).refused(&["--clients: 1 to 1024"]);
    run(["bench", "node", "--role", "gateway", "--idle-clients", "20000"]).refused(&["--idle-clients: 0 to 14000"]);
    run(["bench", "node", "--users", "file"]).refused(&["--users: with --role gateway only"]);
    let gateway = |more: &[&str]| run(["bench", "node", "--role", "gateway"].iter().chain(more));
    gateway(&["--users", "sql"]).refused(&["--users sql: where is it?", "--database"]);
    gateway(&["--users", "file", "--spool", "sql"]).refused(&["--spool sql: with --users sql only"]);
    run(["bench", "node", "--soak", "0"]).refused(&["--soak: 1 to 40320 minutes"]);
    run(["bench", "node", "--soak", "1", "--load", "0"]).refused(&["--load: 1 to 100 percent"]);
    // The hard limit, so that it cannot be raised.
    let text = "ulimit -n 1000; exec \"$0\" bench node --role gateway --idle-clients 2000";
    let outcome = finish(Command::new("sh").arg0("sh").args(["-c", text, env!("CARGO_BIN_EXE_katzensprung")]));
    outcome.refused(&["--idle-clients 2000", "2512 open files", "may have 1000", "ulimit -Hn", "488 at most"]);
}

#[test]
fn what_is_simulated_comes_from_costs_and_a_seed() {
    let simulate = || {
        let what =
            ["bench", "scale", "--host-shards-max", "0", "--shards-max", "2", "--links", "1", "--payload", "200"];
        let mut command = program();
        finish_within(command.args(what).arg("--json"), LONG).succeeded()
    };
    let found = simulate();
    let report: Value = serde_json::from_str(&found).unwrap();
    let rows = report["simulated"][0]["rows"].as_array().unwrap();
    assert_eq!((&report["host"], rows.len()), (&Value::Array(Vec::new()), 2), "{report}");
    let ratio = rows[1]["to_one_shard"].as_f64().unwrap();
    assert!((1.5..=2.0).contains(&ratio), "{report}");
    assert_eq!(simulate(), found);
}

/// A plan for what `bench node` has written into that file.
fn plan(file: &std::path::Path, arguments: &[&str]) -> Value {
    let mut command = program();
    command.args(["bench", "plan", "--json", "--measured"]).arg(file).args(arguments);
    let text = finish_within(&mut command, LONG).succeeded();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

fn value(plan: &Value, list: &str, name: &str) -> f64 {
    let all = plan[list].as_array().expect(list);
    let found = all.iter().find(|quantity| quantity["name"] == name).unwrap_or_else(|| panic!("{name}: {plan}"));
    assert!(!found["formula"].as_str().expect("a formula").is_empty());
    found["value"].as_f64().expect(name)
}

#[test]
fn a_plan_is_made_of_what_bench_node_has_written() {
    let Some(measured) = measure(&["--role", "mix"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mix.json");
    std::fs::write(&file, measured.to_string()).unwrap();
    let rate = (8e6 / measured["cpu_us_per_packet"].as_f64().unwrap()).round().to_string();
    let plans = plan(&file, &["--card", "100", "--rate", &rate, "--cores", "4", "--no-simulation"]);
    // Half of what a shard can: sixteen of them, and one more if the rate was rounded up.
    let shards = value(&plans[0], "needs", "shards, cores of their own");
    assert!((16.0..=17.0).contains(&shards), "{plans}");
    assert_eq!((&plans[0]["limit"], &plans[0]["is_enough"]), (&"processors".into(), &false.into()), "{plans}");
    // As many bytes of a packet as the measured node had.
    let line = value(&plans[0], "needs", "line for a packet");
    assert!((line - (measured["packet_bytes"].as_f64().unwrap() + 42.0) / 1448.0 * 1583.0).abs() < 1e-6, "{plans}");
    let small =
        ["--card", "100", "--rate", "100000", "--links", "4", "--payload", "200", "--busy", "80", "--seed", "3"];
    let plans = plan(&file, &small);
    let [half, most, beyond] = plans[0]["simulated"]["behind_card"].as_array().unwrap().as_slice() else {
        panic!("{plans}")
    };
    let of = |row: &Value, what: &str| row[what].as_f64().unwrap();
    assert!(of(half, "packets_per_second") > 0.9 * of(half, "offered_packets_per_second"), "{plans}");
    assert!(most["usage"]["mean"].as_f64() > half["usage"]["mean"].as_f64(), "{plans}");
    assert!(of(beyond, "packets_per_second") < of(beyond, "offered_packets_per_second"), "{plans}");
    let other = run(["bench", "plan", "--no-simulation", "--payload", "300", "--measured", file.to_str().unwrap()]);
    other.refused(&["mix.json", "--payload 300"]);
}

#[test]
fn a_plan_without_a_file_measures_at_once() {
    for _ in 0..TRIES {
        let mut command = program();
        command.args(["bench", "plan", "--json", "--seconds", "1", "--payload", "200", "--no-simulation"]);
        let outcome = finish_within(&mut command, LONG);
        if outcome.status.code() != Some(3) {
            let plans: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
            assert!(value(&plans[0], "needs", "one shard") > 100.0, "{plans}");
            return;
        }
    }
    testhost::lacks("time", format_args!("bench plan gave no figure {TRIES} times"));
}

#[test]
fn what_no_plan_can_be_made_of_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mix.json");
    std::fs::write(&file, "{}").unwrap();
    let path = file.to_str().unwrap();
    run(["bench", "plan", "--measured", path]).refused(&[path, "not what `bench node --json` writes"]);
    run(["bench", "plan", "--measured", "/nowhere.json"]).refused(&["--measured /nowhere.json"]);
    for (option, value, reason) in [
        ("--rate", "0", "--rate: 1 packet per second or more"),
        ("--card", "0", "--card: 1 to 1600"),
        ("--links", "33", "--links: 1 to 32"),
        ("--busy", "101", "--busy: 1 to 100"),
        ("--ring", "0", "--ring: 1 to 1048576"),
        ("--cores", "0", "--cores: 1 to 65536"),
        ("--delay", "0", "--delay: more than 0"),
    ] {
        run(["bench", "plan", option, value]).refused(&[reason]);
    }
}

#[test]
fn numbers_of_shards_and_links_are_bounded() {
    for (option, value, reason) in [
        ("--shards-max", "0", "--shards-max: 1 to 64"),
        ("--shards-max", "65", "--shards-max: 1 to 64"),
        ("--host-shards-max", "65", "--host-shards-max: 0 to 64"),
        ("--links", "3,0", "--links: numbers from 1 to 32"),
        ("--links", "33", "--links: numbers from 1 to 32"),
        ("--seconds", "0", "--seconds: 1 to 600"),
        ("--payload", "0", "--payload 0: 1 to 100000 bytes"),
    ] {
        run(["bench", "scale", option, value]).refused(&[reason]);
    }
}
