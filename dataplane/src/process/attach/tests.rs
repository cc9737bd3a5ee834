use super::*;
use interplane::channel::{SOCKET_NAME, Trusted};
use interplane::message::Order;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

/// A data plane's attach thread without shards.
struct Plane {
    folder: tempfile::TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<bool>>,
}

impl Plane {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener =
            ChannelListener::bind(&folder.path().join(SOCKET_NAME), Trusted::default()).expect("a free path");
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            let mut process = Process::new(listener, Signals::take_over().expect("signals"));
            while !seen.load(Ordering::Relaxed) {
                if process.round().expect("a round") {
                    return true;
                }
            }
            false
        });
        Self { folder, over, thread: Some(thread) }
    }

    fn connect(&self) -> Channel {
        let path: &Path = self.folder.path();
        Channel::connect(&path.join(SOCKET_NAME), Trusted::default()).expect("it listens")
    }

    fn greet(&self) -> Channel {
        let channel = self.connect();
        channel.send(&ToData::Hello { version: VERSION }, &[]).expect("it listens");
        assert!(matches!(answer(&channel), ToControl::State { version: VERSION, setup: None, .. }));
        channel
    }

    /// Whether it has ended by itself.
    fn end(mut self) -> bool {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().is_some_and(|thread| thread.join().expect("no panic"))
    }
}

fn answer(channel: &Channel) -> ToControl {
    channel.recv_within::<ToControl>(SOON).expect("the channel is up").expect("an answer").message
}

fn answers_pings(channel: &Channel) -> bool {
    channel.send(&ToData::Ping { number: 7 }, &[]).is_ok()
        && matches!(
            channel.recv_within::<ToControl>(SOON),
            Ok(Some(Received { message: ToControl::Pong { number: 7 }, .. }))
        )
}

#[test]
fn who_says_nothing_replaces_nobody() {
    let plane = Plane::start();
    let control = plane.greet();
    // More than may wait; the first ones are let go.
    let silent: Vec<_> = (0..CALLERS_MAX + 2).map(|_| plane.connect()).collect();
    assert!(answers_pings(&control));
    let nonsense = plane.connect();
    nonsense.send(&ToControl::Attached, &[]).expect("it listens");
    assert!(answers_pings(&control));
    let deadline = Instant::now() + SOON;
    while !silent[0].is_closed() {
        assert!(Instant::now() < deadline, "a silent connection is kept for ever");
        std::thread::sleep(Duration::from_millis(5));
    }
    // One of another version learns ours, and no more.
    let other = plane.connect();
    other.send(&ToData::Hello { version: VERSION + 1 }, &[]).expect("it listens");
    assert!(matches!(answer(&other), ToControl::State { version: VERSION, .. }));
    assert!(answers_pings(&control));
    // Orders from somebody who has not said who he is are refused while there is a control plane.
    let hasty = plane.connect();
    hasty.send(&ToData::Stop, &[]).expect("it listens");
    assert!(matches!(answer(&hasty), ToControl::Failed { order: Order::Other, .. }));
    assert!(answers_pings(&control));
    assert!(!plane.end());
}

#[test]
fn a_newer_control_plane_takes_the_place() {
    let plane = Plane::start();
    let old = plane.greet();
    let new = plane.greet();
    assert!(answers_pings(&new));
    assert!(!answers_pings(&old));
    new.send(&ToData::Keys { epochs: Vec::new() }, &[]).expect("it listens");
    let ToControl::Failed { order: Order::Keys, reason } = answer(&new) else { panic!("keys before Attach") };
    assert!(reason.contains("attached yet"), "{reason}");
    new.send(&ToData::Stop, &[]).expect("it listens");
    let deadline = Instant::now() + SOON;
    while !new.is_closed() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(plane.end());
}

#[test]
fn one_that_is_alone_can_be_stopped_by_hand() {
    let plane = Plane::start();
    plane.connect().send(&ToData::Stop, &[]).expect("it listens");
    let deadline = Instant::now() + SOON;
    while !plane.thread.as_ref().expect("a thread").is_finished() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(plane.end());
}

#[test]
fn keys_run_out_with_their_last_epoch() {
    let keys = || [5, 6, 7].map(Epoch).into_iter();
    assert!(!have_run_out(keys(), Epoch(7)));
    assert!(have_run_out(keys(), Epoch(8)));
    assert!(have_run_out(std::iter::empty(), Epoch(8)));
    // A clock that is behind is no reason to end.
    assert!(!have_run_out(keys(), Epoch(1)));
}
