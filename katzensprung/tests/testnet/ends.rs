//! Ends of a network that nobody has planned: whatever happened to a command, the next one leaves nothing behind.

use super::{LONG, SOON, nobody_is_left, processes_of, signal};
use crate::support::program::{finish, finish_within, program, run};
use crate::support::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};

/// A `testnet start` of which a member runs already.
#[track_caller]
fn starting(folder: &Path) -> Child {
    let mut command = program();
    command.args(["testnet", "start", "--mixes", "4", "--dir"]).arg(folder);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first process", SOON, || (!processes_of(folder).is_empty()).then_some(()));
    child
}

#[test]
fn a_start_that_is_killed_halfway_can_be_stopped() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |word: &str| run(["testnet", word].iter().chain(&dir));
    let mut child = starting(&folder);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!processes_of(&folder).is_empty(), "members do not end with it");
    command("start").refused(&["a test network runs in", "testnet stop --dir '"]);
    assert!(command("stop").succeeded().contains("stopped"));
    nobody_is_left(&folder);
    command("wait").refused(&["the network is stopped", "testnet start"]);
    command("clean").succeeded();
    assert!(!folder.exists());
}

#[test]
fn a_start_keeps_others_out_of_its_folder_and_stops_what_it_started_when_asked_to_end() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let mut child = starting(&folder);
    // It may be through already on a fast host; then its network is what keeps them out.
    for word in ["start", "clean"] {
        let outcome = run(["testnet", word].iter().chain(&dir));
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("at work in") || outcome.stderr.contains("runs in"), "{outcome:?}");
    }
    assert!(folder.join("mix1").exists());
    if child.try_wait().unwrap().is_none() {
        signal(&child, Signal::QUIT);
    }
    let status = wait_for("the command's end", SOON, || child.try_wait().unwrap());
    if status.success() {
        run(["testnet", "stop"].iter().chain(&dir)).succeeded();
    }
    assert!(processes_of(&folder).is_empty());
}

#[test]
fn a_member_that_ends_in_mid_ping_is_told_in_the_report() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let (stdout, stderr) = (outside.path().join("stdout"), outside.path().join("stderr"));
    let mut command = program();
    command.args(["testnet", "--pings", "5000", "--json", "--dir"]).arg(&folder).stdin(Stdio::null());
    command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    let mut child = command.spawn().unwrap();
    wait_for("the pings", LONG, || {
        assert!(child.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&stderr).unwrap());
        fs::read_to_string(&stderr).unwrap().contains("5000 pings, at most").then_some(())
    });
    let pid: i32 = fs::read_to_string(folder.join("mix2/katzensprung.lock")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let status = wait_for("the command's end", SOON, || child.try_wait().unwrap());
    let text = fs::read_to_string(&stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(status.code(), Some(1), "{report}");
    assert!(report["problems"].to_string().contains("mix2 has ended: signal: 9"), "{report}");
    assert!(report["hops"].as_array().is_some_and(|hops| hops.len() == 5), "{report}");
    assert!(processes_of(&folder).is_empty(), "the data plane is left");
}

#[test]
fn stop_finds_what_no_record_names() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |word: &str| run(["testnet", word].iter().chain(&dir));
    // Nobody takes what it says at its end; the network runs all the same.
    let mut start = program();
    start.args(["testnet", "start"]).args(dir).stdin(Stdio::null()).stderr(Stdio::null());
    let mut start = start.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap()).spawn().unwrap();
    let status = wait_for("the start", SOON, || start.try_wait().unwrap());
    assert!(status.success());
    let are_there = |count: usize| wait_for("processes", SOON, || (processes_of(&folder).len() == count).then_some(()));
    are_there(13);
    // A control plane that is killed leaves its data plane.
    let kill = || {
        let pid: i32 = fs::read_to_string(folder.join("mix1/katzensprung.lock")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    };
    kill();
    are_there(12);
    assert_eq!(command("status").status.code(), Some(1));
    // Who is started again by hand is a member as before, whatever its process is called.
    let state = folder.join("testnet.json");
    let whole = fs::read(&state).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let mut again = program();
    again.args(["server", "-f", "katzenpost.toml"]).current_dir(folder.join("mix1"));
    again.env("KATZENPOST_EPOCH_DURATION", format!("{}ns", json["epoch_nanoseconds"]));
    let mut again = again.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the member", SOON, || (command("status").status.code() == Some(0)).then_some(()));
    kill();
    again.wait().unwrap();
    are_there(12);
    fs::write(&state, "{").unwrap();
    command("status").refused(&["testnet.json is damaged", "members may still run", "testnet stop --dir '"]);
    command("stop").succeeded();
    assert!(processes_of(&folder).is_empty());
    // An editor that is told the same files is nobody's member.
    fs::write(&state, whole).unwrap();
    let file = folder.join("mix1/katzenpost.toml");
    let mut reader = std::process::Command::new("tail");
    let mut reader = reader.arg("-f").arg(&file).stdout(Stdio::null()).spawn().unwrap();
    command("stop").succeeded();
    assert!(reader.try_wait().unwrap().is_none());
    finish(program().args(["testnet", "clean"]).args(dir)).succeeded();
    reader.kill().and_then(|()| reader.wait()).unwrap();
    assert!(!folder.exists());
}

#[test]
fn members_change_their_programs_in_place() {
    let outside = tempfile::tempdir().unwrap();
    let (folder, peers) = (outside.path().join("network"), outside.path().join("peers"));
    let command = |words: &[&str]| run(["testnet"].iter().chain(words).chain(&["--dir", folder.to_str().unwrap()]));
    command(&["start"]).succeeded();
    let process = |name: &str| fs::read_to_string(folder.join(name).join("katzensprung.lock")).unwrap();
    let (mix, authority) = (process("mix1"), process("auth2"));
    let other = peers.to_str().unwrap();
    command(&["swap", "mix9"]).refused(&["no member 'mix9'"]);
    command(&["swap", "mix1", "auth2", "--peers", other]).refused(&["--peers", "server"]);
    assert_eq!((process("mix1"), process("auth2")), (mix.clone(), authority.clone()), "nothing is stopped in vain");
    // Under the reference's names ours is a program like any other.
    fs::create_dir(&peers).unwrap();
    for name in ["dirauth", "server"] {
        symlink(env!("CARGO_BIN_EXE_katzensprung"), peers.join(name)).unwrap();
    }
    command(&["swap", "mix1", "auth2", "--peers", other]).succeeded();
    assert!(process("mix1") != mix && process("auth2") != authority);
    let is_played = |name: &str| {
        let status = command(&["status"]).succeeded();
        status.lines().any(|line| line.starts_with(name) && line.contains(other))
    };
    assert!(is_played("mix1") && is_played("auth2") && !is_played("mix2"));
    command(&["swap", "mix1"]).succeeded();
    assert!(!is_played("mix1") && is_played("auth2"));
    command(&["stop"]).succeeded();
    nobody_is_left(&folder);
    command(&["swap", "mix1"]).refused(&["the network is stopped"]);
}

#[test]
fn a_soak_says_what_was_lost_and_what_processes_hold() {
    let outside = tempfile::tempdir().unwrap();
    let (folder, report) = (outside.path().join("network"), outside.path().join("report"));
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |words: &[&str]| {
        let mut command = program();
        finish_within(command.arg("testnet").args(words).args(dir), LONG)
    };
    command(&["soak", "--for", "1s"]).refused(&["holds no test network"]);
    command(&["start"]).succeeded();
    command(&["wait"]).succeeded();
    let told = command(&["soak", "--for", "6s", "--report", report.to_str().unwrap()]).succeeded();
    assert_eq!(fs::read_to_string(&report).unwrap(), told);
    // Who could send nothing has lost nothing, and has shown nothing.
    for name in ["auth1", "auth2", "auth3"] {
        let pid: i32 = fs::read_to_string(folder.join(name).join("katzensprung.lock")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    let silent = command(&["soak", "--for", "1s"]);
    assert!(
        silent.status.code() == Some(1) && silent.stdout.contains("in 1 of 1 rounds nothing could be sent"),
        "{silent:?}"
    );
    command(&["stop"]).succeeded();
    assert!(told.contains(" pings answered, ") && told.contains("mix1 (data plane): "), "{told}");
    assert!(told.contains(" descriptors at most") && !told.contains("PROBLEM"), "{told}");
    nobody_is_left(&folder);
}

#[test]
fn a_member_of_a_standing_network_that_is_away_ends_no_pings() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |words: &[&str]| {
        let mut command = program();
        command.arg("testnet").args(words).args(dir);
        command
    };
    finish(&mut command(&["start"])).succeeded();
    finish_within(&mut command(&["wait"]), LONG).succeeded();
    let seen = outside.path().join("seen");
    let mut watch = command(&["watch"]).stdin(Stdio::null()).stdout(File::create(&seen).unwrap()).spawn().unwrap();
    wait_for("a line", SOON, || fs::read_to_string(&seen).unwrap().contains("all ready").then_some(()));
    let pid: i32 = fs::read_to_string(folder.join("auth3/katzensprung.lock")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let votes = finish(&mut command(&["votes"]));
    assert!(votes.status.code() == Some(1) && votes.stdout.contains("auth3: does not answer"), "{votes:?}");
    wait_for("what is missing", SOON, || fs::read_to_string(&seen).unwrap().contains("ended: auth3").then_some(()));
    signal(&watch, Signal::INT);
    assert!(wait_for("its end", SOON, || watch.try_wait().unwrap()).success());
    // At the rate of the document they take 50 s: two authorities are enough for all of it.
    let outcome = finish_within(&mut command(&["ping", "--pings", "1000", "--json"]), LONG);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("auth3 does not run; what needs it is lost"), "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["pings_sent"], 1000, "{report}");
    assert!(report["problems"].to_string().contains("auth3 does not run"), "{report}");
    finish(&mut command(&["stop"])).succeeded();
    nobody_is_left(&folder);
}
