use super::*;
use crate::message::{Listener, Order, ToControl, ToData, Transport, VERSION};
use crate::setup::tests::setup;
use pki::Epoch;
use proptest::prelude::*;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("descriptors can be listed").count()
}

/// Sends bytes and descriptors as no sound sender would.
fn send_raw(channel: &Channel, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    rustix::net::sendmsg(channel, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).expect("the pair is up");
}

#[test]
fn messages_and_many_descriptors_cross() {
    let (control, data) = Channel::pair().expect("pairs work");
    let files: Vec<_> =
        (0..64u64).map(|epoch| crate::memory::seal("test", &epoch.to_le_bytes()).expect("memfds work")).collect();
    let attachments: Vec<_> = files
        .iter()
        .zip(0..)
        .map(|(file, epoch)| (Descriptor::ReplaySet { epoch: Epoch(epoch) }, file.as_fd()))
        .collect();
    let message = ToData::Attach { setup: Box::new(setup()), refused: vec![[3; 32]; 2048] };
    control.send(&message, &attachments).expect("the message fits");
    let mut received = data.recv::<ToData>().expect("the message arrives");
    assert_eq!(received.message, message);
    assert_eq!(received.attachments.len(), 64);
    let is_last = |descriptor: &Descriptor| *descriptor == Descriptor::ReplaySet { epoch: Epoch(63) };
    let (_, last) = received.take(is_last).expect("it came along");
    assert!(received.take(is_last).is_none());
    received.attachments.push((Descriptor::Counters, last));
    for ((_, fd), epoch) in received.attachments.iter().zip(0u64..) {
        let content = crate::memory::SealedMemory::open(fd, "test", 8).expect("it is sealed");
        assert_eq!(*content, epoch.to_le_bytes());
        assert!(rustix::io::fcntl_getfd(fd).expect("it is open").contains(rustix::io::FdFlags::CLOEXEC));
    }
    let too_many: Vec<_> = attachments.iter().cycle().take(DESCRIPTORS_MAX + 1).cloned().collect();
    assert_eq!(control.send(&ToData::Stop, &too_many), Err(ChannelError::Descriptors));
    let long = ToControl::Failed { order: Order::Other, reason: "x".repeat(MESSAGE_BYTES_MAX) };
    assert_eq!(data.send(&long, &[]), Err(ChannelError::TooLong));
}

#[test]
fn last_words_are_heard_whatever_was_left_unread() {
    let (control, data) = Channel::pair().expect("pairs work");
    control.send(&ToData::Remember, &[]).expect("the pair is up");
    data.send(&ToControl::Remembered, &[]).expect("the pair is up");
    drop(data);
    assert_eq!(control.recv::<ToControl>().map(|got| got.message), Ok(ToControl::Remembered));
    assert_eq!(control.recv::<ToControl>().map(|got| got.message), Err(ChannelError::Closed));
}

#[test]
fn receiving_does_not_wait_when_asked_not_to_and_ends_with_the_peer() {
    let (control, data) = Channel::pair().expect("pairs work");
    assert!(data.try_recv::<ToData>().expect("the pair is up").is_none());
    assert_eq!(control.try_send(&ToData::Remember, &[]), Ok(true));
    assert_eq!(data.try_recv::<ToData>().expect("the pair is up").map(|got| got.message), Some(ToData::Remember));
    let mut sent = 0;
    while control.try_send(&ToData::Stop, &[]).expect("the pair is up") {
        sent += 1;
    }
    for _ in 0..sent {
        assert_eq!(data.recv::<ToData>().expect("the message arrives").message, ToData::Stop);
    }
    drop(control);
    assert_eq!(data.recv::<ToData>().map(|_| ()), Err(ChannelError::Closed));
    assert_eq!(data.send(&ToControl::Attached, &[]), Err(ChannelError::Closed));
}

#[test]
fn broken_messages_are_errors_and_leave_no_descriptor_open() {
    let (sender, receiver) = Channel::pair().expect("pairs work");
    let file = crate::memory::seal("test", b"x").expect("memfds work");
    let no_descriptors = postcard::to_stdvec(&(Vec::<Descriptor>::new(), ToData::Stop)).expect("it encodes");
    let one = postcard::to_stdvec(&(vec![Descriptor::Counters], ToData::Stop)).expect("it encodes");
    let trailing = [no_descriptors.as_slice(), &[0]].concat();
    // Other tests of this process open descriptors too; a leak would show as 200 more.
    let before = open_descriptors();
    for _ in 0..50 {
        for (bytes, fds, error) in [
            (no_descriptors.as_slice(), 1, ChannelError::Descriptors),
            (&one, 0, ChannelError::Descriptors),
            (&one, 2, ChannelError::Descriptors),
            (&one, DESCRIPTORS_MAX, ChannelError::Descriptors),
            (&one, 200, ChannelError::Descriptors),
            (&trailing, 0, ChannelError::Garbage),
            (&trailing, 1, ChannelError::Garbage),
            (&one[..1], 1, ChannelError::Garbage),
            (&[0xff; 64], 3, ChannelError::Garbage),
            (&vec![0; MESSAGE_BYTES_MAX + 1], 1, ChannelError::TooLong),
        ] {
            send_raw(&sender, bytes, &vec![file.as_fd(); fds]);
            assert_eq!(receiver.recv::<ToData>().map(|_| ()), Err(error), "{} bytes, {fds} descriptors", bytes.len());
        }
    }
    assert!(open_descriptors() < before + 100, "descriptors leak");
    sender.send(&ToData::Stop, &[(Descriptor::Secrets, file.as_fd())]).expect("the channel works still");
    assert_eq!(receiver.recv::<ToData>().expect("it arrives").attachments.len(), 1);
}

#[test]
fn a_listener_takes_the_place_of_a_dead_one_only() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join(SOCKET_NAME);
    let connect = || Channel::connect(&path, Trusted::default());
    assert_eq!(connect().map(|_| ()), Err(ChannelError::NobodyListens));
    let listener = ChannelListener::bind(&path, Trusted::default()).expect("the path is free");
    assert_eq!(ChannelListener::bind(&path, Trusted::default()).map(|_| ()), Err(ChannelError::AlreadyListening));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    drop(listener);
    assert_eq!(connect().map(|_| ()), Err(ChannelError::NobodyListens));
    let listener = ChannelListener::bind(&path, Trusted::default()).expect("the old one is dead");
    let control = connect().expect("somebody listens");
    let data = listener.accept().expect("the peer is this process");
    assert_eq!(data.peer_uid(), Some(rustix::process::geteuid().as_raw()));
    control.send(&ToData::Hello { version: VERSION }, &[]).expect("the channel is up");
    assert_eq!(data.recv::<ToData>().expect("it arrives").message, ToData::Hello { version: VERSION });
    // What is no socket is left alone.
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").expect("files can be written");
    assert!(ChannelListener::bind(&file, Trusted::default()).is_err());
    assert_eq!(std::fs::read(&file).expect("it is there"), b"precious");
    let missing = directory.path().join("x".repeat(200)).join(SOCKET_NAME);
    assert!(matches!(ChannelListener::bind(&missing, Trusted::default()), Err(ChannelError::Os { .. })));
}

#[test]
fn a_long_path_is_as_good_as_a_short_one() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let folder = directory.path().join("x".repeat(200));
    std::fs::create_dir(&folder).expect("a directory can be made");
    let path = folder.join(SOCKET_NAME);
    let listener = ChannelListener::bind(&path, Trusted::default()).expect("the path is free");
    assert!(path.exists());
    let control = Channel::connect(&path, Trusted::default()).expect("somebody listens");
    let data = listener.accept().expect("the peer is this process");
    control.send(&ToData::Stop, &[]).expect("the channel is up");
    assert_eq!(data.recv::<ToData>().expect("it arrives").message, ToData::Stop);
}

#[test]
fn waiting_for_a_message_has_an_end() {
    let (control, data) = Channel::pair().expect("pairs work");
    let limit = std::time::Duration::from_millis(20);
    assert!(control.recv_within::<ToControl>(limit).expect("the pair is up").is_none());
    data.send(&ToControl::Attached, &[]).expect("the pair is up");
    let received = control.recv_within::<ToControl>(limit).expect("the pair is up").expect("it is there");
    assert_eq!(received.message, ToControl::Attached);
    assert!(!control.is_closed());
    drop(data);
    // A child that another test starts at this moment holds a copy of the descriptor until it runs its program.
    let closes_at = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !control.is_closed() {
        assert!(std::time::Instant::now() < closes_at, "the end of the peer is never seen");
        std::thread::yield_now();
    }
    assert_eq!(control.recv_within::<ToControl>(limit).map(|_| ()), Err(ChannelError::Closed));
}

const STRANGER: u32 = 65_534;

/// Not a test by itself: a process of another user that connects.
#[test]
fn child_process() {
    let Some(path) = std::env::var_os("INTERPLANE_TEST_STRANGER") else { return };
    // While here: a process that may lock no memory keeps its secrets nevertheless, and can say so.
    let nothing = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Memlock, nothing).expect("limits can be lowered");
    let secret = crate::secret::SecretBytes::new(&[7; 32]).expect("locking is not needed");
    assert!(!secret.is_locked() && secret.expose() == [7; 32]);

    let channel = Channel::connect(Path::new(&path), Trusted::default()).expect("root listens");
    let _ = channel.recv::<ToControl>();
}

#[test]
fn strangers_are_disconnected() {
    if !rustix::process::geteuid().is_root() {
        testhost::lacks("root", "only root can run a process of another user");
        return;
    }
    let directory = tempfile::tempdir_in("/tmp").expect("a directory can be made");
    let open = |path: &Path, mode| rustix::fs::chmod(path, Mode::from_raw_mode(mode)).expect("own files can be opened");
    open(directory.path(), 0o755);
    // The test binary may lie where others cannot read it.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().expect("the test binary has a path"), &program).expect("it can be copied");
    open(&program, 0o755);
    let stranger = |path: &Path| {
        let mut command = Command::new(&program);
        command.args(["--exact", "channel::tests::child_process"]).env("INTERPLANE_TEST_STRANGER", path);
        command.current_dir("/").stdout(std::process::Stdio::null()).uid(STRANGER).gid(STRANGER);
        command.spawn().expect("the test binary starts")
    };
    for (trusted, refused) in [(Trusted::default(), true), (Trusted { uid: Some(STRANGER) }, false)] {
        // Another one each time: a process that another test is just starting may still hold the listener of the last time.
        let path = directory.path().join(format!("{SOCKET_NAME}.{refused}"));
        let listener = ChannelListener::bind(&path, trusted).expect("the path is free");
        // Even a socket that anybody may open is of no use to a stranger.
        open(&path, 0o666);
        let mut child = stranger(&path);
        let accepted = listener.accept();
        match accepted {
            Err(error) if refused => assert_eq!(error, ChannelError::Stranger { uid: STRANGER }),
            Ok(channel) if !refused => assert_eq!(channel.peer_uid(), Some(STRANGER)),
            other => panic!("{other:?}"),
        }
        assert!(child.wait().expect("the child ends").success());
    }
}

#[test]
fn listening_sockets_cross() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is up");
    let address = listener.local_addr().expect("it is bound");
    let (control, data) = Channel::pair().expect("pairs work");
    let descriptor = Descriptor::Listener(Listener { address, transport: Transport::Tcp });
    control.send(&ToData::Stop, &[(descriptor.clone(), listener.as_fd())]).expect("it fits");
    drop(listener);
    let (found, fd) = data.recv::<ToData>().expect("it arrives").attachments.pop().expect("it came along");
    assert_eq!(found, descriptor);
    let client = std::net::TcpStream::connect(address).expect("the socket still listens");
    let (_, peer) = std::net::TcpListener::from(fd).accept().expect("the connection is in its queue");
    assert_eq!(peer, client.local_addr().expect("it is connected"));
}

proptest! {
    /// Garbage and changed messages decode or fail, but never panic.
    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400, byte in any::<u8>()) {
        let _ = decode::<ToData>(&bytes, Vec::new());
        let _ = decode::<ToControl>(&bytes, Vec::new());
        let attach = ToData::Attach { setup: Box::new(setup()), refused: vec![[1; 32]] };
        let mut encoded = postcard::to_stdvec(&(vec![Descriptor::Counters], attach)).expect("it encodes");
        if let Some(place) = encoded.get_mut(at) {
            *place = byte;
        }
        let _ = decode::<ToData>(&encoded, Vec::new());
    }
}
