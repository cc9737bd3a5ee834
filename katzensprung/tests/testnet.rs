//! `testnet` and `genconfig`: whole networks of real processes.

mod carriers;
mod ends;

use crate::support::program::{Outcome, finish, finish_within, program, run};
use crate::support::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// More than a network takes on a host that does much else.
const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(60);

/// The numbers of all processes that have the folder in their arguments.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let numbers =
        fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let of_it = |number: &String| {
        let arguments = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let others = [b"--dir".as_slice(), b"tail"];
        let is_other = arguments.split(|byte| *byte == 0).any(|word| others.contains(&word));
        !is_other && String::from_utf8_lossy(&arguments).contains(&folder)
    };
    numbers.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(of_it).collect()
}

#[track_caller]
fn nobody_is_left(folder: &Path) {
    wait_for("the end of all processes", SOON, || processes_of(folder).is_empty().then_some(()));
}

/// A command whose network is at work.
#[track_caller]
fn started(folder: &Path) -> Child {
    let mut command = program();
    command.args(["testnet", "--dir"]).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Eight members and the data planes of five.
    wait_for("all processes", SOON, || {
        assert!(child.try_wait().unwrap().is_none(), "the command has ended");
        (processes_of(folder).len() == 13).then_some(())
    });
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn every_ping_comes_back_through_a_network_of_our_own() {
    every_ping_comes_back(&[]);
}

#[test]
fn every_ping_comes_back_over_quic() {
    every_ping_comes_back(&["--transport", "quic"]);
}

/// Some members are reached over TCP, some over QUIC, some over both; every second one over IPv6 where the host has it.
#[test]
fn every_ping_comes_back_over_whatever_each_member_has() {
    let ipv6: &[&str] = match std::net::TcpListener::bind("[::1]:0") {
        Ok(_) => &["--ipv6"],
        Err(_) => {
            testhost::lacks("ipv6", "members on ::1");
            &[]
        }
    };
    every_ping_comes_back(&[&["--transport", "mixed"], ipv6].concat());
}

#[track_caller]
fn every_ping_comes_back(words: &[&str]) {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let mut command = program();
    command.args(["testnet", "--pings", "20", "--json", "--dir"]).arg(&folder).args(words);
    let outcome = finish_within(&mut command, LONG);
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&report["pings_sent"], &report["pings_received"]), (&20.into(), &20.into()), "{report}");
    for layer in ["gateway", "layer1", "layer2", "layer3"] {
        assert!(report["unwraps_by_layer"][layer].as_u64().unwrap() >= 40, "{report}");
    }
    assert!(report["unwraps_by_layer"]["service"].as_u64().unwrap() >= 20, "{report}");
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(number("asked_delay_ms_median") > 0.0 && number("rtt_ms_median") >= number("rtt_ms_min"), "{report}");
    assert!(!folder.exists(), "the files are left");
    nobody_is_left(&folder);
}

#[test]
fn an_interrupted_network_leaves_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let mut child = started(&folder);
    signal(&child, Signal::INT);
    let status = wait_for("the command's end", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    assert!(!folder.exists());
    assert!(processes_of(&folder).is_empty());
}

#[test]
fn a_killed_command_leaves_no_orphans_and_the_next_one_starts() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let mut child = started(&folder);
    child.kill().unwrap();
    child.wait().unwrap();
    nobody_is_left(&folder);
    // Its files are those of a network that has ended.
    let mut child = started(&folder);
    signal(&child, Signal::TERM);
    wait_for("the command's end", SOON, || child.try_wait().unwrap());
    assert!(!folder.exists());
}

#[test]
fn a_network_stays_up_until_it_is_stopped() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |words: &[&str]| run(["testnet"].iter().chain(words).chain(&dir));
    assert!(command(&["start"]).succeeded().contains("8 processes run"));
    let refused = command(&["start"]);
    refused.refused(&["a test network runs in", "testnet stop --dir"]);
    command(&["clean"]).refused(&["testnet stop"]);
    let status = command(&["status"]).succeeded();
    assert!(status.contains("servicenode1") && status.contains("no document"), "{status}");
    assert!(command(&["votes"]).succeeded().contains("auth3: "));
    command(&["ping"]).refused(&["no document", "testnet wait"]);
    command(&["stop"]).succeeded();
    assert!(processes_of(&folder).is_empty());
    for word in ["votes", "watch", "ping", "wait"] {
        command(&[word]).refused(&["the network is stopped", "testnet start --dir"]);
    }
    assert!(command(&["clean", "--dry-run"]).succeeded().contains("mix1"));
    assert!(folder.join("mix1").exists());
    fs::write(folder.join("notes"), "mine").unwrap();
    command(&["clean"]).succeeded();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only what was not the network's is left");
    command(&["status"]).refused(&["holds no test network"]);
    command(&["start"]).refused(&["nothing is overwritten"]);
}

#[test]
fn what_cannot_be_had_is_refused_before_anything_is_made() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    for (words, parts) in [
        (&["--sphinx", "rot13"][..], &["--sphinx", "rot13"][..]),
        (&["--payload", "0"], &["--payload", "0 bytes"]),
        (&["--payload", "1"], &["--payload 1", "no room for a ping", "35 or more"]),
        (&["--wire-kem", "none"], &["--wire-kem", "none"]),
        (&["--pki-signature", "RSA"], &["--pki-signature", "RSA", "built in are"]),
        (&["--peers", "/nonexistent", "--peer-roles", "mix=1"], &["/nonexistent/server", "mix=1"]),
        (&["--peers", "/", "--peer-roles", "mix=9"], &["mix=9", "only 3"]),
        (&["--port-base", "65530"], &["65530", "--port-base"]),
    ] {
        run(["testnet", "--dir", folder.to_str().unwrap()].iter().chain(words)).refused(parts);
        assert!(!folder.exists(), "{words:?}");
    }
    for (words, part) in [
        (&["--epoch", "1s"][..], "10s or more"),
        (&["--epoch", "soon"], "soon"),
        (&["--mu", "0"], "at least 0.000001"),
        (&["--lambda-p", "1e-12"], "at least 0.000001"),
        (&["--epoch", "999999h"], "24h or less"),
        (&["--peer-roles", "mix=1"], "--peers"),
        (&["--authorities", "0"], "--authorities"),
        (&["--pings", "0"], "--pings"),
    ] {
        let outcome = run(["testnet"].iter().chain(words));
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(part) && !outcome.stderr.contains("panicked"), "{outcome:?}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (base, port) = ((port - 1).to_string(), format!("port {port}"));
    run(["testnet", "--dir", folder.to_str().unwrap(), "--port-base", &base]).refused(&[
        "--port-base",
        "auth1 cannot listen at",
        &port,
    ]);
    for wrong in ["", "relative"] {
        finish(program().args(["testnet", "start"]).env("TMPDIR", wrong)).refused(&["TMPDIR", "--dir"]);
    }
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    run(["testnet", "--dir", folder.to_str().unwrap()]).refused(&["everybody may write", "chmod 700 '"]);
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    run(["testnet", "--dir", folder.to_str().unwrap()]).refused(&["is no folder"]);
    assert_eq!(fs::read_to_string(&folder).unwrap(), "a file");
}

#[test]
fn a_failure_is_an_object_for_programs_and_pings_that_nobody_sent_are_one() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = folder.to_str().unwrap();
    let last = |outcome: &Outcome| -> serde_json::Value {
        serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap()
    };
    let refused = run(["testnet", "--json", "--payload", "1", "--dir", dir]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(last(&refused)["problems"][0].as_str().unwrap().contains("--payload 1"), "{refused:?}");
    let ping = outside.path().join("ping");
    fs::write(&ping, "#!/bin/sh\necho 'Success rate is 100 percent (0/0)'\n").unwrap();
    fs::set_permissions(&ping, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = program();
    command.args(["testnet", "--json", "--epoch", "30s", "--dir", dir, "--peer-roles", "client=1", "--peers"]);
    let outcome = finish_within(command.arg(outside.path()), LONG);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let problems = last(&outcome)["problems"].to_string();
    assert!(problems.contains("0 pings were sent, 10 were asked for"), "{problems}");
    nobody_is_left(&folder);
}

#[test]
fn genconfig_writes_what_config_check_accepts() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    let out = out.to_str().unwrap();
    let words = ["genconfig", "-b", out, "-o", out, "--wirekem", "xwing", "-v", "-n", "3"];
    run(words).succeeded();
    let files = ["auth1/authority.toml", "mix3/katzenpost.toml", "gateway1/katzenpost.toml", "client/client.toml"];
    let files: Vec<String> = files.iter().map(|file| format!("{out}/{file}")).collect();
    let checked = run(["config", "check"].iter().map(|word| word.to_string()).chain(files.clone())).succeeded();
    assert!(checked.contains("4 of 4 valid") && checked.matches("OK    ").count() == 4, "{checked}");
    let compose = fs::read_to_string(format!("{out}/docker-compose.yml")).unwrap();
    assert!(compose.contains("-f ") && compose.contains("hostname: servicenode1"), "{compose}");
    // Nothing is overwritten, and identity keys are kept where all else is gone.
    run(words).refused(&["nothing is overwritten"]);
    let identity = fs::read_to_string(format!("{out}/mix1/identity.public.pem")).unwrap();
    for name in ["link.private.pem", "link.public.pem", "katzenpost.toml"] {
        fs::remove_file(format!("{out}/mix1/{name}")).unwrap();
    }
    let other = outside.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::rename(format!("{out}/mix1"), other.join("mix1")).unwrap();
    run(["genconfig", "-b", out, "-o", other.to_str().unwrap(), "--wirekem", "xwing", "-v", "-n", "3"]).succeeded();
    assert_eq!(fs::read_to_string(other.join("mix1/identity.public.pem")).unwrap(), identity);
    let broken = other.join("mix1/katzenpost.toml");
    let text = fs::read_to_string(&broken).unwrap().replace("WireKEM", "WireKem2");
    fs::write(&broken, text).unwrap();
    let outcome = run(["config", "check", broken.to_str().unwrap()]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stdout.contains("FAIL  ") && outcome.stdout.contains("WireKem2"), "{outcome:?}");
    for (words, parts) in [
        (&["-b", "relative", "--wirekem", "xwing"][..], &["--baseDir", "absolute"][..]),
        (&["-b", "/x", "--wirekem", "rot13"], &["--wirekem", "rot13"]),
        (&["-b", "/x", "--wirekem", "xwing", "-n", "2"], &["--nodes 2", "3 layers"]),
        (&["-b", "/x", "--wirekem", "xwing", "--mu", "NaN"], &["--mu"]),
    ] {
        run(["genconfig", "-o", "/nonexistent/here"].iter().chain(words)).refused(parts);
    }
}

#[test]
fn a_simulated_network_runs_from_a_seed_and_says_what_happens() {
    let words = |seed: &str| run(["testnet", "sim", "--seed", seed, "--epochs", "9"]);
    let outcome = words("3");
    assert!(outcome.stderr.contains("consensus, signed by 3 of 3 authorities"), "{outcome:?}");
    let line = |text: &str| text.lines().next().unwrap().to_owned();
    let first = line(&outcome.succeeded());
    assert!(first.starts_with("seed 3: ") && first.contains(" answered, "), "{first}");
    assert_eq!(line(&words("3").succeeded()), first);
    let all = run(["testnet", "sim", "--seeds", "4", "--epochs", "9"]).succeeded();
    assert!(all.lines().any(|line| line == first), "{all}");
    assert!(all.lines().last().unwrap().starts_with("4 x 9 epochs in ") && all.ends_with(", 0 failed\n"), "{all}");
}

#[test]
fn a_simulated_network_that_cannot_be_is_refused() {
    let refused = |words: &[&str], parts: &[&str]| run(["testnet", "sim"].iter().chain(words)).refused(parts);
    refused(&[], &["which run?", "--seed N", "--seeds N"]);
    refused(&["--seed", "1", "--epochs", "8"], &["'8'", "--epochs", "9..=100000"]);
    refused(&["--seed", "x"], &["'x'", "--seed"]);
    refused(&["--seeds", "0"], &["'0'", "--seeds"]);
    refused(&["--seed", "1", "--seeds", "2"], &["--seed", "--seeds", "cannot be used with"]);
}
