//! A data plane of another making, which does as a test wants, and connections to a real one.

use super::folder::Folder;
use super::wait_for;
use interplane::channel::{Channel, ChannelListener, Trusted};
use interplane::counter::{Account, Counter, Counters};
use interplane::message::{Descriptor, ToControl, ToData, VERSION};
use pki::Epoch;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A connection that says nothing.
#[track_caller]
pub fn connect(socket: &Path) -> Channel {
    Channel::connect(socket, Trusted::default()).expect("a data plane listens")
}

/// One that says `Hello`, hears the answer and goes away.
#[track_caller]
pub fn greet(socket: &Path) {
    let channel = connect(socket);
    channel.send(&ToData::Hello { version: VERSION }, &[]).expect("it takes messages");
    let answer = channel.recv_within::<ToControl>(Duration::from_secs(10)).expect("it answers");
    assert!(matches!(answer.expect("in time").message, ToControl::State { .. }));
}

/// In the place of a node's data plane, as a process of its own: the node may end it. Files say what it has to do and
/// what it was told.
pub struct FakePlane {
    child: Child,
    files: Files,
}

/// Where the child finds its socket and its files.
const VARIABLE: &str = "KATZENSPRUNG_TEST_PLANE";
/// Its answer to `Attach` is this refusal.
const REFUSE_TO_ATTACH: &str = "plane_refuses_to_attach";
/// It does not answer `Attach`.
const MUTE: &str = "plane_is_mute";
/// Its answer to `Keys` is this refusal.
const REFUSE_KEYS: &str = "plane_refuses_keys";
/// It was told to attach.
const TOLD: &str = "plane_was_told";
/// The epochs of the keys that it has taken.
const KEYS: &str = "plane_has_keys";

impl FakePlane {
    /// Listens for the node of this folder.
    #[track_caller]
    pub fn listen(folder: &Folder) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a test binary"));
        command.args(["--exact", "support::plane::child_process"]).env(VARIABLE, folder.data_dir());
        let child = command.stdout(Stdio::null()).spawn().expect("the test binary starts");
        let socket = folder.data("dataplane.sock");
        wait_for("the other data plane", Duration::from_secs(20), || socket.exists().then_some(()));
        Self { child, files: Files(folder.data_dir()) }
    }

    /// Answers `Attach` in that way.
    pub fn refuse_to_attach(&self, reason: &str) {
        self.files.write(REFUSE_TO_ATTACH, reason);
    }

    /// Does not answer `Attach`.
    pub fn say_nothing_to_attach(&self) {
        self.files.write(MUTE, "");
    }

    /// Whether it was told to begin.
    pub fn was_told_to_attach(&self) -> bool {
        self.files.read(TOLD).is_some()
    }

    /// Answers `Keys` in that way.
    pub fn refuse_keys(&self, reason: &str) {
        self.files.write(REFUSE_KEYS, reason);
    }

    /// Takes keys from now on.
    pub fn take_keys(&self) {
        fs::remove_file(self.files.path(REFUSE_KEYS)).expect("it was refusing");
    }

    /// Whether it has taken a key for that epoch.
    pub fn holds(&self, epoch: Epoch) -> bool {
        let keys = self.files.read(KEYS).unwrap_or_default();
        keys.split(' ').any(|held| held == epoch.to_string())
    }
}

impl Drop for FakePlane {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// As a whole, whoever reads at the same time.
    fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).and_then(|()| fs::rename(&new, self.path(name))).expect("a file");
    }
}

/// Not a test by itself: the other data plane.
#[test]
fn child_process() {
    let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    let listener = ChannelListener::bind(&folder.join("dataplane.sock"), Trusted::default()).expect("a free path");
    let files = Files(folder);
    while let Ok(channel) = listener.accept() {
        while let Ok(received) = channel.recv::<ToData>() {
            let order = received.message.order();
            let refusal = |reason| ToControl::Failed { order, reason };
            let answer = match received.message {
                ToData::Hello { .. } => {
                    ToControl::State { version: VERSION, setup: None, serial: 0, epochs: Vec::new() }
                }
                ToData::Ping { number } => ToControl::Pong { number },
                ToData::Attach { .. } => {
                    files.write(TOLD, "");
                    rest(&received.attachments);
                    match files.read(REFUSE_TO_ATTACH) {
                        _ if files.read(MUTE).is_some() => continue,
                        Some(reason) => refusal(reason),
                        None => ToControl::Attached,
                    }
                }
                ToData::Keys { epochs } => match files.read(REFUSE_KEYS) {
                    Some(reason) => refusal(reason),
                    None => {
                        let held: Vec<_> = epochs.iter().map(Epoch::to_string).collect();
                        files.write(KEYS, &held.join(" "));
                        ToControl::KeysLoaded { epochs, locked: true }
                    }
                },
                ToData::Publish { serial } => ToControl::Applied { serial },
                ToData::Remember => ToControl::Remembered,
                ToData::Adjust { number, .. } => ToControl::Adjusted { number },
                // It has no links of which it could tell.
                ToData::CallRoll { .. } => continue,
                ToData::Stop => ToControl::Stopped { account: Account::default() },
            };
            let ends = matches!(answer, ToControl::Stopped { .. });
            if channel.send(&answer, &[]).is_err() || ends {
                break;
            }
        }
    }
}

/// Says that all shards, of which there are none, sleep.
fn rest(attachments: &[(Descriptor, OwnedFd)]) {
    let counters = attachments.iter().find(|(what, _)| *what == Descriptor::Counters);
    let counters = Counters::attach(&counters.expect("they come along").1).expect("counters");
    for shard in 0..counters.shards() {
        counters.shard(shard).expect("a row").set(Counter::PARKED, 1);
    }
}
