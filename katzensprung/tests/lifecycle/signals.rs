//! Signals, to either process and in every state.

use super::LONG;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::{Signal, kill_process};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

const HARMLESS: [Signal; 8] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF];

#[test]
fn a_data_plane_is_not_killed_by_what_a_terminal_or_a_log_rotation_sends() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    for signal in HARMLESS {
        kill_process(data_plane, signal).unwrap();
        let packets = traffic.packets(&descriptor, epoch, 5);
        traffic.pass(&packets);
    }
    assert_eq!(site.data_plane(), Some(data_plane));
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_data_plane_that_is_told_to_end_lets_packets_leave_that_are_due_soon() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    let packets = traffic.packets_with_delay(&descriptor, epoch, 20, Duration::from_millis(1500));
    // Far beyond the two seconds that are waited for.
    let late = traffic.packets_with_delay(&descriptor, epoch, 5, Duration::from_secs(25));
    traffic.send(&late);
    traffic.send(&packets);
    wait_for("the packets to be held", SOON, || (site.status()["packets"]["held"] == 25).then_some(()));
    kill_process(data_plane, Signal::TERM).unwrap();
    traffic.receive(&packets);
    site.wait_for_log("the data plane was told to end by a signal", 1);
    // The node needs one.
    site.wait_for_log("the data plane is back", 1);
    assert_eq!(site.status()["packets_unaccounted"], 0);
    let packets = &site.status()["packets"];
    assert_eq!((&packets["lost_in_restart"], &packets["dropped"]), (&0.into(), &5.into()), "{packets}");
    node.stop();
    site.is_quiet();
}

#[test]
fn a_control_plane_is_not_ended_in_passing() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    for signal in [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF] {
        node.signal(signal);
        assert!(site.status()["data_plane"]["process"].is_number());
    }
    assert!(node.runs());
    // It stops as at an interrupt, and leaves no data plane.
    node.signal(Signal::QUIT);
    assert_eq!(node.wait().code(), Some(0));
    site.is_quiet();
    assert!(site.log().ends_with("Shutdown complete.\n"), "{}", site.log());
}

#[test]
fn opens_its_log_again_while_it_withdraws() {
    let site = Site::new(LONG);
    site.folder.edit("  DataDir", "  WaitForConsensusExitOnShutdown = true\n  DataDir");
    let authority = site.start_authority();
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    node.signal(Signal::TERM);
    site.wait_for_log("Advertised until epoch", 1);
    let (log, moved) = (site.folder.data("katzenpost.log"), site.folder.data("log.old"));
    fs::rename(&log, &moved).unwrap();
    node.signal(Signal::HUP);
    site.wait_for_log("log reopened", 1);
    assert!(node.runs());
    node.stop();
    assert!(site.log().ends_with("Shutdown complete.\n"), "{}", site.log());
    wait_for("the end of the data plane", SOON, || site.data_plane().is_none().then_some(()));
}

#[test]
fn opens_its_log_again_however_early_it_is_told_to() {
    let site = Site::new(LONG);
    // The program has begun and waits for its file for as long as this test likes.
    let text = fs::read(site.folder.config()).unwrap();
    fs::remove_file(site.folder.config()).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, site.folder.config(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut node = site.start_node();
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = wait_for("a reader", SOON, || {
        fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(site.folder.config()).ok()
    });
    node.signal(Signal::HUP);
    pipe.write_all(&text).unwrap();
    drop(pipe);
    site.wait_for_log("Started.", 1);
    site.wait_for_log("log reopened", 1);
    node.stop();
    site.is_quiet();
}
