//! `bench node` in every role, with a load that any host can bear: every packet is accounted for. How fast is nobody's
//! matter here. `bench scale` without the host: nothing in it is real time.

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
