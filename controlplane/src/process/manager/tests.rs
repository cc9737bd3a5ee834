use super::*;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::fs::{self, OpenOptions};
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

/// What a manager has got: the text, and the file behind a descriptor beside it.
fn heard(socket: &UnixDatagram) -> Option<(String, Option<File>)> {
    socket.set_nonblocking(true).unwrap();
    let (mut text, mut space) = ([0; 200], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::empty()).ok()?;
    let fds: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        })
        .flatten()
        .collect();
    Some((String::from_utf8_lossy(&text[..received.bytes]).into(), fds.first().map(file_of)))
}

fn all_heard(socket: &UnixDatagram) -> Vec<(String, Option<File>)> {
    std::iter::from_fn(|| heard(socket)).collect()
}

#[test]
fn a_manager_keeps_what_it_is_told_to_and_only_what_changes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut manager = Manager::at(&path.into(), ["secrets", "gone"].into_iter()).unwrap();
    manager.ready();
    assert_eq!(all_heard(&socket), [("READY=1".into(), None)]);
    let open = |name: &str| {
        OpenOptions::new().create(true).append(true).open(folder.path().join(name)).expect("there is room")
    };
    let (one, other) = (open("one"), open("other"));
    manager.keep(&[("secrets".into(), one.as_fd()), ("replays-7".into(), other.as_fd())]);
    let stored = |name: &str, file: &fs::File| (format!("FDSTORE=1\nFDNAME={name}"), Some(file_of(file)));
    let removed = |name: &str| (format!("FDSTOREREMOVE=1\nFDNAME={name}"), None);
    // What it had is another file than any of these, for all that is known.
    let expected = [removed("gone"), removed("secrets"), stored("secrets", &one), stored("replays-7", &other)];
    assert_eq!(all_heard(&socket), expected);
    manager.keep(&[("secrets".into(), one.as_fd()), ("replays-7".into(), other.as_fd())]);
    assert_eq!(all_heard(&socket), []);
    manager.keep(&[("secrets".into(), other.as_fd())]);
    let expected = [removed("replays-7"), removed("secrets"), stored("secrets", &other)];
    assert_eq!(all_heard(&socket), expected);
    manager.stopping();
    assert_eq!(all_heard(&socket), [("STOPPING=1".into(), None)]);
    // Nobody is there any more.
    drop(socket);
    manager.keep(&[]);
}

#[test]
fn names_without_a_file_are_taken_too() {
    let name = format!("katzensprung-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    Manager::at(&format!("@{name}").into(), std::iter::empty()).unwrap().ready();
    assert_eq!(all_heard(&socket), [("READY=1".into(), None)]);
    assert!(Manager::at(&"/nowhere/at all".into(), std::iter::empty()).is_err());
}
