//! A data plane of another making, which does as a test wants, and connections to a real one.

use super::folder::Folder;
use interplane::channel::{Channel, ChannelListener, Trusted};
use interplane::counter::Account;
use interplane::message::{ToControl, ToData, VERSION};
use pki::Epoch;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Default)]
struct State {
    attach_refusal: Option<&'static str>,
    mute_at_attach: bool,
    keys_refusal: Option<&'static str>,
    told_to_attach: bool,
    keys: Vec<Epoch>,
}

/// One that listens until the test's process ends.
pub struct FakePlane(Arc<Mutex<State>>);

impl FakePlane {
    /// A connection that says nothing.
    #[track_caller]
    pub fn connect(socket: &Path) -> Channel {
        Channel::connect(socket, Trusted::default()).expect("a data plane listens")
    }

    /// One that says `Hello`, hears the answer and goes away.
    #[track_caller]
    pub fn greet(socket: &Path) {
        let channel = Self::connect(socket);
        channel.send(&ToData::Hello { version: VERSION }, &[]).expect("it takes messages");
        let answer = channel.recv_within::<ToControl>(Duration::from_secs(10)).expect("it answers");
        assert!(matches!(answer.expect("in time").message, ToControl::State { .. }));
    }

    /// In the place of the data plane of this folder's node.
    #[track_caller]
    pub fn listen(folder: &Folder) -> Self {
        let listener = ChannelListener::bind(&folder.data("dataplane.sock"), Trusted::default()).expect("a free path");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Self(state.clone());
        std::thread::spawn(move || {
            while let Ok(channel) = listener.accept() {
                let plane = Self(shared.0.clone());
                std::thread::spawn(move || plane.serve(&channel));
            }
        });
        Self(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with the lock")
    }

    /// Answers `Attach` in that way.
    pub fn refuse_to_attach(&self, reason: &'static str) {
        self.state().attach_refusal = Some(reason);
    }

    /// Does not answer `Attach`.
    pub fn say_nothing_to_attach(&self) {
        self.state().mute_at_attach = true;
    }

    /// Whether it was told to begin.
    pub fn was_told_to_attach(&self) -> bool {
        self.state().told_to_attach
    }

    /// Answers `Keys` in that way.
    pub fn refuse_keys(&self, reason: &'static str) {
        self.state().keys_refusal = Some(reason);
    }

    /// Takes keys from now on.
    pub fn take_keys(&self) {
        self.state().keys_refusal = None;
    }

    /// Whether it has taken a key for that epoch.
    pub fn holds(&self, epoch: Epoch) -> bool {
        self.state().keys.contains(&epoch)
    }

    fn serve(&self, channel: &Channel) {
        while let Ok(received) = channel.recv::<ToData>() {
            let order = received.message.order();
            let refusal = |reason: &str| ToControl::Failed { order, reason: reason.into() };
            let answer = match (received.message, &mut *self.state()) {
                (ToData::Hello { .. }, _) => {
                    ToControl::State { version: VERSION, setup: None, serial: 0, epochs: Vec::new() }
                }
                (ToData::Ping { number }, _) => ToControl::Pong { number },
                (ToData::Attach { .. }, state) => {
                    state.told_to_attach = true;
                    match state.attach_refusal {
                        _ if state.mute_at_attach => continue,
                        Some(reason) => refusal(reason),
                        None => {
                            // Its shards, of which it has none, sleep.
                            rest(&received.attachments);
                            ToControl::Attached
                        }
                    }
                }
                (ToData::Keys { epochs }, state) => match state.keys_refusal {
                    Some(reason) => refusal(reason),
                    None => {
                        state.keys = epochs.clone();
                        ToControl::KeysLoaded { epochs, locked: true }
                    }
                },
                (ToData::Publish { serial }, _) => ToControl::Applied { serial },
                (ToData::Remember, _) => ToControl::Remembered,
                (ToData::Stop, _) => ToControl::Stopped { account: Account::default() },
            };
            let ends = matches!(answer, ToControl::Stopped { .. });
            if channel.send(&answer, &[]).is_err() || ends {
                return;
            }
        }
    }
}

/// Says that all shards sleep.
fn rest(attachments: &[(interplane::message::Descriptor, std::os::fd::OwnedFd)]) {
    use interplane::counter::{Counter, Counters};
    use interplane::message::Descriptor;
    let counters = attachments.iter().find(|(what, _)| *what == Descriptor::Counters);
    let counters = Counters::attach(&counters.expect("they come along").1).expect("counters");
    for shard in 0..counters.shards() {
        counters.shard(shard).expect("a row").set(Counter::PARKED, 1);
    }
}
