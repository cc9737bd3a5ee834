//! Starts after both processes have ended: with the mix keys that a stop has kept, and with what a service manager keeps.

use super::LONG;
use crate::support::authority::Authority;
use crate::support::manager::Manager;
use crate::support::program::program;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::{Signal, kill_process};
use std::fs;
use std::net::UdpSocket;
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
    wait_for("the files' end", SOON, || (count(&folder) == 0).then_some(()));
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

/// A stopped node with a manager that keeps all of it.
fn kept() -> (Site, Authority, Manager) {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let manager = Manager::new(&site.folder.path().join("notify"));
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_document();
    wait_for("what is to be kept", SOON, || manager.keeps("remembered").then_some(()));
    node.stop();
    (site, authority, manager)
}

#[test]
fn a_key_without_what_was_seen_with_it_is_not_used() {
    let (site, _authority, manager) = kept();
    manager.lose("replays-");
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_document();
    assert!(site.log().contains("has kept no mix key that this node could use"), "{}", site.log());
    node.stop();
}

#[test]
fn a_kept_listener_is_in_nobodys_way() {
    // Of another version, for all that this one can tell.
    let (site, _authority, manager) = kept();
    manager.lose("setup");
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_document();
    assert!(site.log().contains("is another version's: this node begins with new mix keys"), "{}", site.log());
    node.stop();
    // All addresses instead of one.
    let bind = format!("[Server]\n  BindAddresses = [\"tcp4://0.0.0.0:{}\"]\n", site.folder.address.port());
    site.folder.edit("[Server]\n", &bind);
    let mut node = site.start_node_as(manager.command(program().get_program(), "server"));
    site.wait_for_log("listening on 0.0.0.0:", 1);
    site.wait_for_log("kept by the service manager", 1);
    node.stop();
}

/// One for each shard, of which each new start has all: datagrams that come meanwhile wait.
#[test]
fn sockets_for_quic_are_kept_where_they_are_wanted() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let manager = Manager::new(&site.folder.path().join("notify"));
    let start = || site.start_node_as(manager.command(program().get_program(), "server"));
    let free_port = || UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap().port();
    let (port, other_port) = (free_port(), free_port());
    let bind = |port: u16| format!("BindAddresses = [\"tcp://{}\", \"quic://127.0.0.1:{port}\"]", site.folder.address);
    let name = |number: usize, port: u16| format!("listener-quic-{number}-127.0.0.1;{port}");
    site.folder.edit("[Server]\n", &format!("[Server]\n  {}\n", bind(port)));
    fs::write(site.folder.own_config(), "[dataplane]\nshards = 2\nslots = 2048\n").unwrap();
    let mut node = start();
    site.wait_for_document();
    wait_for("what is to be kept", SOON, || manager.keeps("remembered").then_some(()));
    assert!(site.log().contains(&format!("quic://127.0.0.1:{port}")), "{}", site.log());
    assert!(manager.keeps(&name(0, port)) && manager.keeps(&name(1, port)) && !manager.keeps(&name(2, port)));
    node.stop();
    let error = UdpSocket::bind(("127.0.0.1", port)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "nobody keeps it");
    let mut node = start();
    site.wait_for_log("mix keys and their replay sets, kept by the service manager", 1);
    site.wait_for_document();
    node.stop();
    // The node moves: what was kept of its old port is closed.
    site.folder.edit(&bind(port), &bind(other_port));
    let mut node = start();
    site.wait_for_log(&format!("quic://127.0.0.1:{other_port}"), 1);
    wait_for("the new ones", SOON, || manager.keeps(&name(1, other_port)).then_some(()));
    assert!(!manager.keeps(&name(0, port)) && !manager.keeps(&name(1, port)));
    UdpSocket::bind(("127.0.0.1", port)).expect("the old port is free");
    node.stop();
}

#[test]
fn descriptors_that_were_promised_and_are_not_there_are_nobodys() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let script = "export LISTEN_PID=$$ LISTEN_FDS=64 LISTEN_FDNAMES=secrets:setup; exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program().get_program()).arg("server");
    let mut node = site.start_node_as(command);
    site.wait_for_document();
    node.stop();
    site.is_quiet();
}

#[test]
fn a_start_that_fails_costs_no_key() {
    let (site, folder) = keeping();
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    // The next one would replace the data plane, and cannot.
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(folder.join(format!("mixkey-{}.bin", site.network.epoch().0)), "KM").unwrap();
    fs::write(site.folder.own_config(), "[dataplane]\nshards = 2\nslots = 2048\n").unwrap();
    assert_eq!(site.start_node().wait().code(), Some(1));
    assert_eq!(site.data_plane(), Some(data_plane), "a data plane at work was ended for nothing");
    fs::remove_dir_all(&folder).unwrap();
    let mut node = site.start_node();
    site.wait_for_log("replacing the data plane that is at work", 1);
    site.wait_for_document();
    node.stop();
    assert_eq!(count(&folder), 8);
    // Stopped wherever its start has got to, it keeps what it has found.
    for milliseconds in [1, 5, 10, 15, 20, 30, 50] {
        let mut node = site.start_node();
        std::thread::sleep(Duration::from_millis(milliseconds));
        node.signal(Signal::TERM);
        node.wait();
        assert_eq!(count(&folder), 8, "after {milliseconds} ms: {}", site.log());
    }
}
