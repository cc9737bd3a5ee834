//! Stops, and what an operator may want of a running node.

use super::LONG;
use crate::support::program::{finish, program};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::{Signal, kill_process, kill_process_group};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

#[test]
fn forwards_packets_and_stops_on_sigterm() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    assert_eq!(descriptor.id().to_vec(), site.credentials.additional_data);
    let packets = traffic.packets(&descriptor, epoch, 50);
    traffic.pass(&packets);
    // The same again are replays.
    traffic.send(&packets);
    let packets = wait_for("the account", SOON, || {
        let packets = site.status()["packets"].clone();
        (packets["received"] == 100 && packets["held"] == 0).then_some(packets)
    });
    assert_eq!((&packets["sent"], &packets["dropped"]), (&50.into(), &50.into()), "{packets}");
    assert_eq!(site.status()["packets_unaccounted"], 0);
    assert_eq!(site.status()["published_epoch"], epoch.0);

    node.stop();
    site.is_quiet();
    let log = site.log();
    assert!(log.contains("last account: ") && log.ends_with("Shutdown complete.\n"), "{log}");
    assert!(!log.contains(" ERRO "), "{log}");
}

#[test]
fn stops_on_an_interrupt_from_the_terminal() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    // A terminal sends it to every process of the group.
    kill_process_group(node.pid(), Signal::INT).unwrap();
    assert_eq!(node.wait().code(), Some(0));
    site.is_quiet();
    let log = site.log();
    assert!(log.contains("last account: ") && !log.contains(" ERRO "), "{log}");
}

#[test]
fn stops_while_it_starts() {
    for milliseconds in 0..12 {
        let site = Site::new(LONG);
        let mut node = site.start_node();
        std::thread::sleep(Duration::from_millis(milliseconds));
        node.signal(Signal::TERM);
        let status = node.wait();
        // Before the node waits for signals they end it as they end any program; there is no data plane yet.
        assert!(status.code() == Some(0) || status.signal() == Some(Signal::TERM.as_raw()), "{status}");
        site.is_quiet();
    }
    // As soon as there is a data plane, the node ends in good order, wherever its start has got to.
    for _ in 0..3 {
        let site = Site::new(LONG);
        let mut node = site.start_node();
        while site.data_plane().is_none() {
            assert!(node.runs(), "{}", site.output());
        }
        node.stop();
        site.is_quiet();
    }
}

#[test]
fn stops_when_both_processes_are_told_to() {
    // As a service manager may do it: the data plane may be gone before the control plane has heard of the stop.
    for milliseconds in [0, 1, 3, 10, 30] {
        let site = Site::new(LONG);
        let mut node = site.start_node();
        site.wait_for_log("Started.", 1);
        kill_process(site.wait_for_data_plane(None), Signal::TERM).unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        node.stop();
        site.is_quiet();
    }
}

#[test]
fn withdraws_first_where_that_is_configured() {
    let site = Site::new(Duration::from_secs(5));
    site.folder.edit("  DataDir", "  WaitForConsensusExitOnShutdown = true\n  DataDir");
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    node.signal(Signal::TERM);
    site.wait_for_log(&format!("Advertised until epoch {epoch}"), 1);
    wait_for("the epoch that the node is advertised in", SOON, || (site.network.epoch() == epoch).then_some(()));
    let packets = traffic.packets(&descriptor, epoch, 20);
    traffic.pass(&packets);
    assert!(node.runs());
    assert_eq!(node.wait().code(), Some(0));
    site.is_quiet();
    assert_eq!(site.network.epoch(), epoch.after(1));
    assert_eq!(authority.posts().len(), 1, "it is advertised no longer");
    assert!(site.log().contains("Consensus withdrawal complete"), "{}", site.log());
}

#[test]
fn a_second_signal_ends_the_withdrawal() {
    let site = Site::new(LONG);
    site.folder.edit("  DataDir", "  WaitForConsensusExitOnShutdown = true\n  DataDir");
    let authority = site.start_authority();
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    node.signal(Signal::TERM);
    site.wait_for_log("Advertised until epoch", 1);
    assert!(node.runs());
    node.stop();
    assert!(site.output().starts_with("Received a second interrupt signal"), "{}", site.output());
    wait_for("the end of the data plane", SOON, || site.data_plane().is_none().then_some(()));
}

#[test]
fn drain_leaves_the_consensus_before_the_node_stops() {
    let site = Site::new(Duration::from_secs(5));
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let ctl = |words: &[&str]| finish(program().args(["ctl", "-f"]).arg(site.folder.config()).args(words));
    assert!(ctl(&["status"]).succeeded().contains("running for"));
    ctl(&["drain"]).succeeded();
    site.wait_for_log(&format!("Advertised until epoch {epoch}"), 1);
    wait_for("the epoch that the node is advertised in", SOON, || (site.network.epoch() == epoch).then_some(()));
    let packets = traffic.packets(&descriptor, epoch, 20);
    traffic.pass(&packets);
    assert_eq!(node.wait().code(), Some(0));
    site.is_quiet();
    assert_eq!(authority.posts().len(), 1, "it is advertised no longer");
    ctl(&["status"]).refused(&["management_sock", "check that the node runs"]);
}

#[test]
fn shutdown_ends_a_drain() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    let ctl = |word: &str| finish(program().args(["ctl", word, "--socket"]).arg(site.management_socket()));
    ctl("drain").succeeded();
    ctl("drain").succeeded();
    // In an epoch that is long enough for any host.
    assert!(ctl("STATUS").succeeded().contains("draining for"));
    site.wait_for_log("Advertised until epoch", 1);
    assert!(node.runs());
    ctl("bogus").refused(&["the node answers '500 ", "HELP lists its commands"]);
    ctl("SHUTDOWN").succeeded();
    assert_eq!(node.wait().code(), Some(0));
    assert!(site.log().contains("told over the management socket to stop at once"), "{}", site.log());
}

#[test]
fn a_drain_never_shortens_a_withdrawal() {
    let site = Site::new(LONG);
    site.folder.edit("  DataDir", "  WaitForConsensusExitOnShutdown = true\n  DataDir");
    let authority = site.start_authority();
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    let ctl = |word: &str| finish(program().args(["ctl", word, "--socket"]).arg(site.management_socket()));
    ctl("shutdown").succeeded();
    site.wait_for_log("Advertised until epoch", 1);
    ctl("drain").succeeded();
    assert!(ctl("status").succeeded().contains("stopping for"), "the withdrawal goes on");
    assert!(node.runs() && !site.log().contains("to stop at once"), "{}", site.log());
    ctl("shutdown").succeeded();
    assert_eq!(node.wait().code(), Some(0));
    assert!(site.log().contains("told over the management socket to stop at once"), "{}", site.log());
}

#[test]
fn a_socket_of_another_program_is_told_from_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let ctl = || finish(program().args(["ctl", "status", "--socket"]).arg(&path));
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"hello\n").unwrap();
    });
    ctl().refused(&["this is no management socket of a node"]);
    other.join().unwrap();
    ctl().refused(&["check that the node runs"]);
}

#[test]
fn stops_a_data_plane_that_hangs() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    kill_process(site.wait_for_data_plane(None), Signal::STOP).unwrap();
    node.stop();
    site.is_quiet();
    assert!(site.log().contains(" ERRO server: the data plane does not end within"), "{}", site.log());
}

#[test]
fn opens_its_log_again_at_every_hangup() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    let log = site.folder.data("katzenpost.log");
    for number in 0..3 {
        let moved = site.folder.data(&format!("log.{number}"));
        fs::rename(&log, &moved).unwrap();
        node.signal(Signal::HUP);
        site.wait_for_log("log reopened", 1);
        assert!(!fs::read_to_string(moved).unwrap().is_empty());
    }
    node.stop();
    site.is_quiet();
    assert!(site.log().ends_with("Shutdown complete.\n"));
    assert!(!fs::read_to_string(site.folder.data("log.0")).unwrap().contains("Shutdown"));
}

#[test]
fn a_hangup_without_a_log_file_changes_nothing() {
    let site = Site::new(LONG);
    site.folder.edit("File = \"katzenpost.log\"", "File = \"\"");
    let mut node = site.start_node();
    let lines = |text: &str| site.output().matches(text).count();
    wait_for("the start", SOON, || (lines("Started.") == 1).then_some(()));
    for number in 1..=2 {
        node.signal(Signal::HUP);
        wait_for("the hangup", SOON, || (lines("log reopened") == number).then_some(()));
    }
    node.stop();
    assert_eq!(lines("Shutdown complete."), 1);
}

#[test]
fn answers_at_the_management_socket() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    let answers = site.manage(&["bogus", "status", "QUIT", "STATUS"]);
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert!(answers[0].starts_with("220 ") && answers[0].contains("Management Interface"), "{answers:?}");
    assert!(answers[1].starts_with("500 "), "{answers:?}");
    assert!(answers[3].starts_with("250 "), "nothing is answered after QUIT: {answers:?}");
    let status = site.status();
    assert_eq!(status["identifier"], crate::support::folder::NODE_NAME);
    assert_eq!(status["epoch"], site.network.epoch().0);
    assert_eq!(status["documents"][0], site.network.epoch().0);
    assert!(node.runs());
    assert!(site.manage(&["SHUTDOWN"])[1].starts_with("250 "));
    assert_eq!(node.wait().code(), Some(0));
    site.is_quiet();
}

#[test]
fn keeps_a_second_node_out() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    let data_plane = site.wait_for_data_plane(None);
    let process = format!("(process {})", node.pid().as_raw_nonzero());
    site.folder.serve(&[]).refused(&["is in use by another node", &process, "a DataDir of its own"]);
    site.folder.serve(&["-g"]).refused(&["is in use by another node"]);
    assert!(node.runs());
    assert_eq!(site.data_plane(), Some(data_plane));
    assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
    node.stop();
    site.is_quiet();
}

#[test]
fn a_copy_called_server_runs_a_node() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let copy = site.folder.path().join("server");
    fs::copy(env!("CARGO_BIN_EXE_katzensprung"), &copy).unwrap();
    let mut node = site.start_node_as(Command::new(&copy));
    site.link();
    // An upgrade takes the file away from under the running node.
    fs::remove_file(&copy).unwrap();
    let data_plane = site.wait_for_data_plane(None);
    kill_process(data_plane, Signal::KILL).unwrap();
    site.wait_for_log("the data plane is back", 1);
    node.stop();
    site.is_quiet();
}
