//! Either process ends without warning, and the other goes on.

use super::LONG;
use crate::support::site::{SOON, Site};
use crate::support::{free_address, wait_for};
use rustix::process::{Signal, kill_process};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[test]
fn a_killed_data_plane_is_followed_by_another() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let old = traffic.packets(&descriptor, epoch, 30);
    traffic.pass(&old);
    let mut expected = 30;
    let mut data_plane = site.wait_for_data_plane(None);
    for number in 1..=3 {
        kill_process(data_plane, Signal::KILL).unwrap();
        let killed = Instant::now();
        // Nobody accepts it now; it waits in the listener's queue.
        let in_between = TcpStream::connect_timeout(&site.folder.address, Duration::from_secs(2));
        assert!(in_between.is_ok(), "refused while there is no data plane");
        traffic.relink();
        let new = traffic.packets(&descriptor, epoch, 20);
        traffic.pass(&new);
        println!("packets again {:?} after the kill", killed.elapsed());
        assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
        data_plane = site.wait_for_data_plane(Some(data_plane));
        // It goes by the same replay sets.
        traffic.send(&old);
        traffic.nothing_comes(Duration::from_millis(100));
        expected += 20 + 30;
        wait_for("counters that go on", SOON, || (site.status()["packets"]["received"] == expected).then_some(()));
        assert_eq!(site.status()["packets_unaccounted"], 0);
        site.wait_for_log("the data plane is back", number);
    }
    assert!(node.runs());
    assert_eq!(authority.posts().len(), 1);
    node.stop();
    site.is_quiet();
}

#[test]
fn a_data_plane_outlives_its_control_plane() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    authority.accept_posts(false);
    let mut node = site.start_node();
    let mut traffic = site.link();
    let epoch = site.next_epoch();
    let post = authority.wait_for_post(epoch, SOON);
    let descriptor = post.descriptor();
    let packets = traffic.packets(&descriptor, epoch, 90);
    traffic.pass(&packets[..30]);
    let data_plane = site.wait_for_data_plane(None);

    node.kill();
    // Links stay up and packets pass without anybody's help.
    traffic.pass(&packets[30..60]);

    let posts_before = authority.posts().len();
    authority.accept_posts(true);
    let mut node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 1);
    assert_eq!(site.data_plane(), Some(data_plane));
    wait_for("another post", SOON, || (authority.posts().len() > posts_before).then_some(()));
    assert!(authority.posts().iter().all(|other| *other == post), "the bytes have changed");
    wait_for("the publication", SOON, || (site.status()["published_epoch"] == epoch.0).then_some(()));
    assert!(site.holds(site.network.epoch().0), "the document was handed back");
    traffic.pass(&packets[60..]);
    traffic.send(&packets);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["received"] == 180 && packets["dropped"] == 90).then_some(())
    });

    // What is published is not posted again.
    let posts_before = authority.posts().len();
    node.kill();
    let mut node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 2);
    site.wait_for_document();
    // Nodes post in the first tenth of an epoch.
    let window = site.network.clock.period() / 8;
    wait_for("the end of the time for posts", window + SOON, || (site.since_epoch_began() > window).then_some(()));
    assert_eq!(authority.posts().len(), posts_before);

    // It is not this control plane's child, and is supervised and stopped all the same.
    kill_process(data_plane, Signal::KILL).unwrap();
    let data_plane = site.wait_for_data_plane(Some(data_plane));
    traffic.relink();
    let packets = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&packets);
    node.kill();
    let mut node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 3);
    assert_eq!(site.data_plane(), Some(data_plane));
    node.stop();
    site.is_quiet();
}

#[test]
fn a_changed_configuration_replaces_the_data_plane() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let old = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&old);
    wait_for("the publication", SOON, || (site.status()["published_epoch"] == epoch.0).then_some(()));
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    fs::write(site.folder.own_config(), "[dataplane]\nshards = 2\nslots = 2048\n").unwrap();
    let mut node = site.start_node();
    site.wait_for_log("replacing the data plane that is at work", 1);
    assert_ne!(site.wait_for_data_plane(Some(data_plane)), data_plane);
    traffic.relink();
    // What was published for this epoch still holds.
    let new = traffic.packets(&descriptor, epoch, 20);
    traffic.pass(&new);
    traffic.send(&old);
    traffic.nothing_comes(Duration::from_millis(200));
    assert_eq!(site.status()["shards"], 2);
    assert_eq!(authority.posts().len(), 1);
    node.stop();
    site.is_quiet();
}

#[test]
fn a_changed_address_is_listened_at() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let mut traffic = site.link();
    let descriptor = authority.wait_for_post(site.next_epoch(), SOON).descriptor();
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    let (old, new) = (site.folder.address, free_address());
    let taken = TcpListener::bind(new).unwrap();
    site.folder.edit(&format!("Addresses = [\"tcp://{old}\"]"), &format!("Addresses = [\"tcp://{new}\"]"));
    // What cannot work does not replace what works.
    site.folder.serve(&[]).refused(&["cannot listen on", &new.to_string()]);
    assert_eq!(site.data_plane(), Some(data_plane));
    let packets = traffic.packets(&descriptor, site.next_epoch(), 10);
    traffic.pass(&packets);
    drop(taken);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 2);
    assert!(TcpStream::connect(new).is_ok());
    wait_for("the end of the old listener", SOON, || TcpStream::connect(old).err());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_data_plane_is_not_ended_for_one_that_would_not_work() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    let good = fs::read_to_string(site.folder.own_config()).unwrap();
    // A processor that no host has.
    fs::write(site.folder.own_config(), format!("{good}pin_cpus = [4095]\n")).unwrap();
    site.folder.serve(&[]).refused(&["data plane: ", "processor 4095", "goes on forwarding", "--stop"]);
    assert_eq!(site.data_plane(), Some(data_plane));
    let packets = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&packets);
    // The same keys, as soon as the mistake is mended.
    fs::write(site.folder.own_config(), good).unwrap();
    let mut node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 1);
    assert_eq!(site.data_plane(), Some(data_plane));
    assert!(!site.folder.data("dataplane.trial.sock").exists());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_data_plane_that_hangs_is_not_waited_for() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    node.kill();
    let data_plane = site.wait_for_data_plane(None);
    kill_process(data_plane, Signal::STOP).unwrap();
    let process = format!("(process {})", data_plane.as_raw_nonzero());
    site.folder.serve(&[]).refused(&["data plane", &process, "does not answer", "kill it and start again"]);
    kill_process(data_plane, Signal::KILL).unwrap();
    let mut node = site.start_node();
    site.wait_for_log("Started.", 2);
    node.stop();
    site.is_quiet();
}
