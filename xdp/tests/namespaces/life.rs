//! Beginnings and ends: what a killed process leaves, and what a process has to have.

use crate::pair_or_return;
use crate::support::net::{Host, pair};
use crate::support::{SOON, meet, only_shard, round};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xdp::{Attachment, Capability, Frames, Mode, Queue, Refusal};

const PORT: u16 = 4433;
const VICTIM: &str = "KATZENSPRUNG_TEST_XDP_VICTIM";

/// Not a test by itself: the process that is killed.
#[test]
fn victim() {
    let Ok(address) = std::env::var(VICTIM) else { return };
    let attachment = Attachment::new("wire", &Mode::ALL).unwrap();
    let lane = xdp::Lane::open(&attachment, 0, xdp::Frames::default()).unwrap();
    let sockets = crate::support::sockets(&[address.parse().unwrap()]);
    let mut shard = xdp::Bypass::new(sockets, lane, crate::support::clock);
    println!("\nready");
    let begin = Instant::now();
    while begin.elapsed() < SOON * 3 {
        round(&mut shard);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn start_victim(host: &Host) -> Child {
    let mut child = host.run(|| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "life::victim", "--nocapture"]).env(VICTIM, host.at(false, PORT).to_string());
        command.stdout(Stdio::piped()).spawn().unwrap()
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"), "it has ended");
    child
}

#[test]
fn what_would_be_refused_is_seen_before() {
    let (first, _second) = pair_or_return!(2);
    let check = |name: &str, queues| first.run(|| xdp::check(name, queues, Frames::default()));
    assert_eq!((check("wire", 1), check("wire", 2)), (Ok(()), Ok(())));
    assert!(!first.ip_says("link show wire").contains("prog/xdp"), "nothing was attached to see it");
    assert!(matches!(check("wire", 3), Err(Refusal::NoQueue { queue: 2, .. })));
    assert!(matches!(check("lo", 1), Err(Refusal::NotEthernet { .. })));
    assert!(matches!(check("nowhere", 1), Err(Refusal::NoInterface { .. })));
    first.ip("link set wire mtu 9000");
    assert!(matches!(check("wire", 1), Err(Refusal::Mtu { mtu: 9000, .. })));
}

#[test]
fn a_killed_process_leaves_nothing_attached() {
    let (first, second) = pair_or_return!(1);
    for _ in 0..3 {
        let mut victim = start_victim(&second);
        assert!(second.ip_says("link show wire").contains("prog/xdp"), "{}", second.ip_says("link show wire"));
        kill_process(Pid::from_child(&victim), Signal::KILL).unwrap();
        victim.wait().unwrap();
        let killed = Instant::now();
        // The next start, and datagrams again.
        let here = second.at(false, PORT);
        let mut b = only_shard(&second, &Mode::ALL, &[here]);
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        let mut a = only_shard(&first, &Mode::ALL, &[first.at(false, PORT)]);
        meet(&mut a, &mut b, here);
        drop((a, b));
    }
    let mut victim = start_victim(&second);
    kill_process(Pid::from_child(&victim), Signal::KILL).unwrap();
    victim.wait().unwrap();
    let begin = Instant::now();
    while second.ip_says("link show wire").contains("xdp") {
        assert!(begin.elapsed() < Duration::from_secs(1), "{}", second.ip_says("link show wire"));
    }
}

/// Attaches and opens a queue with these capabilities alone.
fn with(host: &Host, has: CapabilitySet, frames: Frames) -> Result<(), Refusal> {
    host.run(|| {
        // Of this thread alone.
        let sets = CapabilitySets { effective: has, permitted: has, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets).unwrap();
        let attachment = Attachment::new("wire", &Mode::ALL)?;
        Queue::open(&attachment, 0, frames).map(|_| ())
    })
}

/// What the memory of a process is limited to is one for all of its threads, so this is one test.
#[test]
fn exactly_these_rights_are_needed() {
    let Some((first, _second)) = pair(1) else { return };
    let three = CapabilitySet::NET_RAW | CapabilitySet::BPF | CapabilitySet::NET_ADMIN;
    let (many, few) = (Frames::default(), Frames { arriving: 512, leaving: 256 });
    with(&first, three | CapabilitySet::IPC_LOCK, many).unwrap();
    for (capability, set) in [
        (Capability::NetRaw, CapabilitySet::NET_RAW),
        (Capability::Bpf, CapabilitySet::BPF),
        (Capability::NetAdmin, CapabilitySet::NET_ADMIN),
    ] {
        let refusal = with(&first, (three | CapabilitySet::IPC_LOCK) & !set, many).unwrap_err();
        let Refusal::Capabilities { ref missing, .. } = refusal else { panic!("{refusal}") };
        assert_eq!(missing, &[capability]);
        assert!(refusal.to_string().contains(&capability.to_string()), "{refusal}");
    }
    let refusal = with(&first, CapabilitySet::empty(), many).unwrap_err();
    assert!(matches!(&refusal, Refusal::Capabilities { missing, .. } if missing.len() >= 2), "{refusal}");
    let before = getrlimit(Resource::Memlock);
    let limit = 8 << 20;
    setrlimit(Resource::Memlock, Rlimit { current: Some(limit), maximum: before.maximum }).unwrap();
    let refusal = with(&first, three, many).unwrap_err();
    assert_eq!(refusal, Refusal::LockedMemory { wanted_bytes: 6144 * 2048, limit_bytes: Some(limit) });
    let text = refusal.to_string();
    assert!(text.contains("12582912") && text.contains("8388608") && text.contains("LimitMEMLOCK="), "{text}");
    // With as much as is said, or with the right to lock, it goes.
    with(&first, three | CapabilitySet::IPC_LOCK, many).unwrap();
    let begin = Instant::now();
    while let Err(refusal) = with(&first, three, few) {
        // What others of this user lock counts too.
        assert!(begin.elapsed() < SOON, "{refusal}");
        std::thread::sleep(Duration::from_millis(50));
    }
    setrlimit(Resource::Memlock, before).unwrap();
}
