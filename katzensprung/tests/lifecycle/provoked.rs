//! Tasks and shards that panic or hang, which takes hooks that no release has: it is noticed, said and mended.

use super::LONG;
use crate::support::authority::Authority;
use crate::support::site::{Node, SOON, Site};
use crate::support::traffic::{Packet, Traffic};
use crate::support::wait_for;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the shards look into; see `dataplane/src/packet/unwrap/provoked.rs`.
const VARIABLE: &str = "KATZENSPRUNG_TEST_PROVOKE";

fn wishes(site: &Site) -> PathBuf {
    site.folder.path().join("provoke")
}

/// From now on shards do `what` at this packet.
fn provoke(site: &Site, what: &str, packet: &Packet) {
    let new = site.folder.path().join("provoke.new");
    fs::write(&new, format!("{what} {}", packet.tag())).unwrap();
    fs::rename(new, wishes(site)).unwrap();
}

fn start_node(site: &Site) -> Node {
    site.start_node_with(&[(VARIABLE, wishes(site).to_str().unwrap())])
}

/// Packets for a node at work that has published its keys, and some that went through.
fn traffic_of(site: &Site, authority: &Authority) -> (Traffic, MixDescriptor, Epoch) {
    let (mut traffic, descriptor, epoch) = site.traffic(authority);
    let packets = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&packets);
    // The shard sleeps when the next packet comes.
    traffic.nothing_comes(Duration::from_millis(100));
    (traffic, descriptor, epoch)
}

#[test]
fn a_task_that_panics_ends_the_control_plane() {
    let site = Site::new(LONG);
    let mut node = site.start_node_with(&[("KATZENSPRUNG_TEST_PANIC", "directory worker")]);
    assert_eq!(node.wait().signal(), Some(Signal::ABORT.as_raw()));
    assert!(site.output().contains("a test wants the directory worker to panic"), "{}", site.output());
    // Whatever looks after the node starts it again, and nothing is lost.
    fs::remove_file(site.folder.path().join("output")).unwrap();
    let mut node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 1);
    node.stop();
    site.is_quiet();
}

#[test]
fn a_packet_that_makes_a_shard_panic_twice_is_refused() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = start_node(&site);
    let (mut traffic, descriptor, epoch) = traffic_of(&site, &authority);
    let mut data_plane = site.wait_for_data_plane(None);
    let poison = traffic.packets(&descriptor, epoch, 1);
    // They come right behind it, each time others.
    let bystanders = traffic.packets(&descriptor, epoch, 20);
    provoke(&site, "panic", &poison[0]);
    for (times, beside) in bystanders.chunks(10).enumerate() {
        traffic.send(&poison);
        traffic.send_if_read(beside);
        site.wait_for_log("the data plane is back", times + 1);
        data_plane = site.wait_for_data_plane(Some(data_plane));
        traffic.relink();
    }
    site.wait_for_log("1 packets were in flight at two such ends and are refused from now on (poison_packet)", 1);
    traffic.send(&poison);
    // What was with it at one crash has not been unwrapped, and is as good as any other packet.
    traffic.pass(&bystanders);
    traffic.nothing_comes(Duration::from_millis(100));
    assert_eq!(site.data_plane(), Some(data_plane));
    let status = site.status();
    assert_eq!((&status["packets"]["dropped"], &status["data_plane"]["restarts"]), (&1.into(), &2.into()), "{status}");
    assert_eq!(status["packets_unaccounted"], 0, "{status}");
    node.stop();
    assert!(site.output().matches("a test wants the shard to panic").count() == 2, "{}", site.output());
}

#[test]
fn a_shard_that_hangs_is_noticed_and_replaced() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = start_node(&site);
    let (mut traffic, descriptor, epoch) = traffic_of(&site, &authority);
    let data_plane = site.wait_for_data_plane(None);
    let packets = traffic.packets(&descriptor, epoch, 11);
    provoke(&site, "hang", &packets[0]);
    traffic.send(&packets[..1]);
    let hung = Instant::now();
    // The supervisor of the control plane or the guard of the data plane, whichever has its turn first.
    let said = [" ERRO dataplane: the data plane (process ", " ERRO dataplane: the data plane ended ("];
    wait_for("an ERROR", SOON, || said.iter().any(|text| site.log().contains(text)).then_some(()));
    println!("said after {:?}", hung.elapsed());
    let told = ["no sign of life from shard 0 within 3s; killing it", "shard 0 has stood still for 4 s"];
    assert!(told.iter().any(|text| site.log().contains(text)), "it says which shard: {}", site.log());
    site.wait_for_log("the data plane is back", 1);
    traffic.relink();
    traffic.pass(&packets[1..]);
    println!("packets again {:?} after the shard hung", hung.elapsed());
    assert_ne!(site.data_plane(), Some(data_plane));
    let status = site.status();
    assert_eq!((&status["data_plane"]["restarts"], &status["packets_unaccounted"]), (&1.into(), &0.into()), "{status}");
    node.stop();
}

#[test]
fn a_data_plane_that_nobody_watches_ends_when_a_shard_hangs() {
    let site = Site::new(LONG);
    site.folder.run_as_two_units();
    let authority = site.start_authority();
    let mut plane = site.start_data_plane_with(&[(VARIABLE, wishes(&site).to_str().unwrap())]);
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = traffic_of(&site, &authority);
    node.kill();
    let packets = traffic.packets(&descriptor, epoch, 11);
    traffic.pass(&packets[1..]);
    provoke(&site, "hang", &packets[0]);
    traffic.send(&packets[..1]);
    let hung = Instant::now();
    assert_eq!(plane.wait().code(), Some(1));
    println!("gone after {:?}", hung.elapsed());
    let output = site.output();
    assert!(output.contains("ERROR") && output.contains("shard 0 has stood still for 4 s"), "{output}");
    // Another one, as a service manager would start it.
    let mut plane = site.start_data_plane_with(&[]);
    let mut node = site.start_node();
    traffic.relink();
    node.stop();
    assert_eq!(plane.wait().code(), Some(0));
}
