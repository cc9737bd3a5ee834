//! Starts after both processes have ended: with the mix keys that a stop has kept, and with what a service manager keeps.

use super::LONG;
use crate::support::manager::Manager;
use crate::support::program::program;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::{Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A site whose node keeps its mix keys in the folder.
fn keeping() -> (Site, PathBuf) {
    let site = Site::new(LONG);
    let folder = site.folder.path().join("keys");
    let text = format!(
        "[Server]\n  PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = \"{}\"\n",
        folder.display()
    );
    site.folder.edit("[Server]\n", &text);
    (site, folder)
}

fn count(folder: &std::path::Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_stop_keeps_the_mix_keys_and_what_was_seen_with_them() {
    let (site, folder) = keeping();
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 40);
    traffic.pass(&packets[..20]);
    assert_eq!(count(&folder), 0);
    node.stop();
    site.is_quiet();
    // Four keys, each with its replay set.
    assert_eq!(count(&folder), 8, "{}", site.log());

    let mut node = site.start_node();
    site.wait_for_log("going on with the mix keys of epochs", 1);
    assert_eq!(count(&folder), 0, "what was read must be gone");
    site.wait_for_document();
    traffic.relink();
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..]);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["received"] == 40 && packets["sent"] == 20 && packets["dropped"] == 20).then_some(())
    });
    let keys = |post: usize| authority.posts()[post].descriptor().mix_keys.clone();
    wait_for("another post", SOON, || (authority.posts().len() > 1).then_some(()));
    assert_eq!(keys(0), keys(1), "a key has changed");

    // A crash keeps none.
    kill_process(site.wait_for_data_plane(None), Signal::STOP).unwrap();
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    kill_process(data_plane, Signal::KILL).unwrap();
    assert_eq!(count(&folder), 0);
}

#[test]
fn a_damaged_key_stops_the_start_and_is_named() {
    let (site, folder) = keeping();
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    node.stop();
    let file = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("mixkey-")).min().unwrap();
    fs::write(&file, "KM").unwrap();
    let mut node = site.start_node();
    assert_eq!(node.wait().code(), Some(1));
    let output = site.output();
    assert!(output.contains(&format!("{} is truncated; remove it", file.display())), "{output}");
    assert!(file.exists() && site.data_plane().is_none());
}

#[test]
fn what_a_service_manager_keeps_outlives_both_processes() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let manager = Manager::new(&site.folder.path().join("notify"));
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 60);
    traffic.pass(&packets[..20]);
    wait_for("READY=1", SOON, || manager.has_heard("READY=1").then_some(()));
    wait_for("what is to be kept", SOON, || manager.keeps("remembered").then_some(()));
    let published = || site.status()["published_epoch"] == epoch.0;
    wait_for("the publication", SOON, || published().then_some(()));
    let posts = authority.posts().len();

    // Nothing of the node is left, and nobody was told of its end.
    let data_plane = site.wait_for_data_plane(None);
    kill_process(data_plane, Signal::STOP).unwrap();
    node.kill();
    kill_process(data_plane, Signal::KILL).unwrap();
    wait_for("the end of the data plane", SOON, || (site.data_plane() != Some(data_plane)).then_some(()));
    // A neighbour that dials meanwhile waits instead of being refused: the listener is kept.
    std::net::TcpStream::connect(site.folder.address).expect("somebody listens");
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_log("mix keys and their replay sets, kept by the service manager", 1);
    site.wait_for_document();
    traffic.relink();
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..40]);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["received"] == 40 && packets["sent"] == 20 && packets["dropped"] == 20).then_some(())
    });
    wait_for("the publication", SOON, || published().then_some(()));
    assert_eq!(authority.posts().len(), posts, "what was published is known");

    // A stop in good order is no different: a service manager may mean to start it again.
    node.stop();
    wait_for("STOPPING=1", SOON, || manager.has_heard("STOPPING=1").then_some(()));
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_log("mix keys and their replay sets, kept by the service manager", 2);
    traffic.relink();
    traffic.send(&packets[..40]);
    traffic.pass(&packets[40..]);
    traffic.nothing_comes(Duration::from_millis(200));
    node.stop();
    assert_eq!(site.output(), "");
}

#[test]
fn what_a_service_manager_keeps_of_another_node_is_not_used() {
    let (site, other) = (Site::new(LONG), Site::new(LONG));
    let (_authority, _others) = (site.start_authority(), other.start_authority());
    let manager = Manager::new(&site.folder.path().join("notify"));
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_document();
    node.stop();
    let mut node = other.start_node_as(manager.command(program().get_program(), "server"));
    other.wait_for_document();
    assert!(!other.log().contains("going on with 3 mix keys"), "{}", other.log());
    node.stop();
}
