use super::*;
use crate::channel::{ChannelListener, SOCKET_NAME, Trusted};
use std::process::Command;

/// Not a test by itself: a process that connects and stays.
#[test]
fn child_process() {
    let Some(path) = std::env::var_os("INTERPLANE_TEST_PEER") else { return };
    let channel = Channel::connect(std::path::Path::new(&path), Trusted::default()).expect("somebody listens");
    let _ended_by_the_other = channel.recv::<crate::message::ToData>();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_peer_is_ended_and_seen_to_end() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join(SOCKET_NAME);
    let listener = ChannelListener::bind(&path, Trusted::default()).expect("the path is free");
    let mut command = Command::new(std::env::current_exe().expect("the test binary has a path"));
    command.args(["--exact", "peer::tests::child_process"]).env("INTERPLANE_TEST_PEER", &path);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("the test binary starts");
    let channel = listener.accept().expect("it connects");
    let peer = PeerProcess::of(&channel).expect("it lives");
    assert_eq!(peer.number(), child.id() as i32);
    assert!(!peer.has_ended_within(Duration::ZERO));
    peer.kill();
    assert!(peer.has_ended_within(Duration::from_secs(10)));
    assert!(!child.wait().expect("a child").success());
    // Nobody is hit by what comes too late.
    peer.kill();
    assert!(PeerProcess::of(&channel).is_err() || channel.is_closed());
}
