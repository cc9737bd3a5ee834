//! A node is alive or dead, never in between: what stands still or cannot begin is noticed, said and replaced.

use super::LONG;
use crate::support::plane::{FakePlane, connect, greet};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use interplane::channel::Channel;
use rustix::process::{Signal, kill_process};
use std::time::{Duration, Instant};

#[test]
fn a_data_plane_that_stands_still_is_replaced() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let old = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&old);
    let data_plane = site.wait_for_data_plane(None);
    kill_process(data_plane, Signal::STOP).unwrap();
    let stopped = Instant::now();
    site.wait_for_log("stands still: no answer within 3s; killing it", 1);
    println!("said after {:?}", stopped.elapsed());
    site.wait_for_log("the data plane is back", 1);
    traffic.relink();
    let new = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&new);
    println!("packets again {:?} after the stop", stopped.elapsed());
    traffic.send(&old);
    traffic.nothing_comes(Duration::from_millis(100));
    assert_ne!(site.data_plane(), Some(data_plane));
    let status = site.status();
    let data_plane = &status["data_plane"];
    assert_eq!((&data_plane["stalls"], &data_plane["restarts"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(data_plane["process"], site.data_plane().unwrap().as_raw_nonzero().get());
    assert_eq!(authority.posts().len(), 1);
    node.stop();
    site.is_quiet();
}

#[test]
fn a_connection_that_says_nothing_changes_nothing() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    // To a child, and to one that an earlier control plane has started.
    for restarted in [false, true] {
        if restarted {
            node.kill();
            node = site.start_node();
            site.wait_for_log("going on with the data plane that is at work", 1);
        }
        let silent: Vec<_> = (0..3).map(|_| connect(&site.folder.data("dataplane.sock"))).collect();
        let packets = traffic.packets(&descriptor, epoch, 10);
        traffic.pass(&packets);
        // Whoever stays silent is disconnected, and nothing else comes of it.
        wait_for("the end of the silence", SOON, || silent.iter().all(Channel::is_closed).then_some(()));
        let packets = traffic.packets(&descriptor, epoch, 10);
        traffic.pass(&packets);
    }
    assert_eq!(site.data_plane(), Some(data_plane));
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_lost_channel_is_found_again() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    for times in 1..=2 {
        // Another control plane, which says Hello and goes away.
        greet(&site.folder.data("dataplane.sock"));
        site.wait_for_log("the control channel was lost; going on with the data plane that is at work", times);
    }
    let packets = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&packets);
    assert_eq!(site.data_plane(), Some(data_plane));
    assert_eq!(site.status()["data_plane"]["restarts"], 0);
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_data_plane_that_cannot_begin_is_a_start_error() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    site.folder.run_as_two_units();
    let plane = FakePlane::listen(&site.folder);
    plane.refuse_to_attach("no io_uring here: lift the sysctl\nkernel.io_uring_disabled");
    site.folder.serve(&[]).refused(&["data plane: no io_uring here: lift the sysctl kernel.io_uring_disabled"]);
    assert!(authority.posts().is_empty());
    assert!(!site.log().contains("Started."), "{}", site.log());
}

#[test]
fn no_key_is_published_that_the_data_plane_does_not_hold() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    site.folder.run_as_two_units();
    let plane = FakePlane::listen(&site.folder);
    plane.refuse_keys("out of memory");
    let mut node = site.start_node();
    site.wait_for_log("cannot be given mix keys: out of memory", 2);
    assert!(authority.posts().is_empty());
    plane.take_keys();
    // As soon as the keys are held, at the next try.
    let post = authority.wait_for_post(site.next_epoch(), SOON);
    assert!(plane.holds(post.epoch));
    node.stop();
}

#[test]
fn a_data_plane_that_does_not_answer_does_not_keep_the_node_from_stopping() {
    let site = Site::new(LONG);
    site.folder.run_as_two_units();
    let plane = FakePlane::listen(&site.folder);
    plane.say_nothing_to_attach();
    let mut node = site.start_node();
    wait_for("the order to begin", SOON, || plane.was_told_to_attach().then_some(()));
    node.stop();
}

#[test]
fn an_orphan_ends_when_its_keys_have_run_out() {
    let site = Site::new(Duration::from_secs(5));
    let authority = site.start_authority();
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    assert_eq!(site.data_plane(), Some(data_plane));
    // Keys for three epochs ahead, and ten seconds without a control plane.
    wait_for("the orphan's end", Duration::from_secs(60), || site.data_plane().is_none().then_some(()));
    assert!(!site.folder.data("dataplane.sock").exists());
}

#[test]
fn an_orphan_is_stopped_by_hand() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    let socket = site.folder.data("dataplane.sock");
    let stop = || {
        crate::support::program::run(["dataplane".as_ref(), "--socket".as_ref(), socket.as_os_str(), "--stop".as_ref()])
    };
    stop().refused(&["the data plane has a control plane; stop that"]);
    assert!(site.data_plane().is_some());
    node.kill();
    // The data plane hears of it at once.
    wait_for("the end by hand", SOON, || (stop().status.code() == Some(0)).then_some(()));
    wait_for("the end of the data plane", SOON, || site.data_plane().is_none().then_some(()));
    assert!(!socket.exists());
}
