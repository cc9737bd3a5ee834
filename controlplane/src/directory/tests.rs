//! The worker under a clock that a test sets, with authorities and a data plane that do as they are told.

mod blocking;

use super::session::ExchangeError;
use super::*;
use crate::keys::Scheme;
use crate::logging::Level;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{SchemeError, Signature, kem, nike, signature};
use interplane::snapshot::ClientDocument;
use pki::VerifyingKey;
use pki::authority::{Authority, ConsensusCode};
use pki::descriptor::SignedUpload;
use pki::neighbours::Role;
use pki::policy::View;
use tokio::sync::oneshot;
use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(1200);
const START: Epoch = Epoch(100);

type Told = oneshot::Sender<Result<(), String>>;

/// What a test sees and sets.
struct State {
    /// The wall clock at `since`.
    unix: Duration,
    since: Instant,
    reachable: bool,
    /// What authorities answer to whoever asks for a document, instead of that there is none.
    document: Option<Vec<u8>>,
    /// Epochs that were posted for, by authority.
    posts: Vec<(Epoch, String)>,
    /// What was posted last.
    posted: Vec<u8>,
    /// What the data plane was given: the epochs of the keys, and where to say that it holds them.
    given: Vec<(Vec<u64>, Option<Told>)>,
    /// Whether the data plane takes keys at once.
    obliging: bool,
    seconds_ahead: BTreeMap<String, i64>,
}

#[derive(Clone)]
struct World(Arc<Mutex<State>>);

impl World {
    fn new(unix: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            unix,
            since: Instant::now(),
            reachable: true,
            document: None,
            posts: Vec::new(),
            posted: Vec::new(),
            given: Vec::new(),
            obliging: true,
            seconds_ahead: BTreeMap::new(),
        })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with the lock")
    }

    fn set_clock(&self, unix: Duration) {
        let mut state = self.state();
        (state.unix, state.since) = (unix, Instant::now());
    }

    fn posted_for(&self, epoch: Epoch) -> usize {
        self.state().posts.iter().filter(|(posted, _)| *posted == epoch).count()
    }
}

impl Outside for World {
    fn unix(&self) -> Duration {
        let state = self.state();
        state.unix + state.since.elapsed()
    }

    async fn post(&self, authority: &Authority, epoch: Epoch, upload: &[u8]) -> Result<DescriptorCode, ExchangeError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut state = self.state();
        state.posted = upload.to_vec();
        state.posts.push((epoch, authority.name.clone()));
        if state.reachable { Ok(DescriptorCode::Ok) } else { Err(ExchangeError::OtherPeer) }
    }

    async fn fetch(&self, _: &Authority, _: &session::Caller, _: Epoch) -> Result<outside::Document, ExchangeError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let state = self.state();
        let answer = match &state.document {
            Some(document) => (Some(ConsensusCode::Ok), document.clone()),
            None => (Some(ConsensusCode::NotFound), Vec::new()),
        };
        if state.reachable { Ok(answer) } else { Err(ExchangeError::OtherPeer) }
    }

    fn seconds_ahead(&self) -> BTreeMap<String, i64> {
        self.state().seconds_ahead.clone()
    }

    fn anonymous(&self) -> Result<session::Caller, SchemeError> {
        session::Caller::anonymous(kem::by_name("x25519").expect("built in"))
    }
}

impl Plane for World {
    fn set_keys(&mut self, keys: &MixKeys) -> Held {
        let (told, answer) = oneshot::channel();
        let mut state = self.state();
        let told = if state.obliging {
            told.send(Ok(())).expect("somebody waits");
            None
        } else {
            Some(told)
        };
        state.given.push((keys.epochs(), told));
        Box::pin(async { answer.await.unwrap_or_else(|_| Err("the test has dropped it".into())) })
    }

    fn publish(&mut self, _: &View, _: Vec<ClientDocument>) -> Held {
        Box::pin(async { Ok(()) })
    }

    fn remember(&mut self, _: &Stored) {}
}

fn ed25519() -> &'static dyn Signature {
    signature::by_name("Ed25519").expect("built in")
}

/// The node's key and those of the two authorities.
fn signers(scheme: &'static dyn Signature) -> [Box<dyn SignatureSigningKey>; 3] {
    let mut random = SeededRandom::new(&[5; 32]);
    [(); 3].map(|()| scheme.load(&scheme.generate(&mut random)).expect("a fresh key"))
}

/// A worker with two authorities, and what it writes into its log.
struct Trial {
    world: World,
    log: tempfile::NamedTempFile,
    loops: LoopCounts,
    _advertise: watch::Sender<bool>,
}

fn clock() -> EpochClock {
    EpochClock::with_period(PERIOD).expect("a period")
}

fn at(epoch: Epoch, after: Duration) -> Duration {
    clock().start(epoch) + after
}

impl Trial {
    /// Starts at a moment of the wall clock.
    fn start(unix: Duration, prepare: impl FnOnce(&World)) -> Self {
        Self::start_with(unix, ed25519(), Stored::default(), prepare)
    }

    /// The same with that scheme for all identity keys, and with what an earlier worker has stored.
    fn start_with(
        unix: Duration,
        scheme: &'static dyn Signature,
        stored: Stored,
        prepare: impl FnOnce(&World),
    ) -> Self {
        let [identity, one, two] = signers(scheme);
        let authorities = [("one", one), ("two", two)].map(|(name, signer)| Authority {
            name: name.into(),
            identity: VerifyingKey::new(scheme, signer.public_key()).expect("its own key"),
            link_key: vec![1; 32],
            addresses: vec!["tcp://192.0.2.1:1".into()],
        });
        let loops = LoopCounts::create().expect("memfds work").0;
        let (identity_key, link_key) = (identity.public_key().into(), vec![9; 32]);
        let own = OwnNode { name: "mix".into(), identity_key, link_key, role: Role::Mix };
        let addresses = BTreeMap::from([("tcp4".to_string(), vec!["tcp://192.0.2.9:9".to_string()])]);
        let options = DirectoryOptions {
            clock: clock(),
            authorities: Arc::new(Authorities::new(authorities.into()).expect("two authorities")),
            geometry_hash: [0; 32],
            client_chunk_bytes: None,
            own,
            profile: OwnProfile { addresses, ..OwnProfile::default() },
            offer: watch::channel(Offer::default()).1,
            loops: loops.clone(),
            identity: Arc::from(identity),
        };
        let log = tempfile::NamedTempFile::new().expect("a file");
        let world = World::new(unix);
        prepare(&world);
        let keys = MixKeys::new(Scheme::Nike(nike::by_name("x25519").expect("built in")));
        let writer = Log::to_file(Level::Notice, log.path()).expect("a log");
        let directory = Directory::new(options, world.clone(), keys, stored, Arc::default(), world.clone(), writer);
        let (advertise, advertising) = watch::channel(true);
        tokio::spawn(directory.run(advertising));
        Self { world, log, loops, _advertise: advertise }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log")
    }

    /// Waits in the test's time; lines of the log and work on other threads are given theirs.
    async fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if is_so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what} does not happen:\n{}", self.log());
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn no_key_is_posted_that_the_data_plane_does_not_hold() {
    let trial = Trial::start(at(START, Duration::from_secs(1)), |world| world.state().obliging = false);
    pass(Duration::from_secs(5)).await;
    let answer = |trial: &Trial, answer: Result<(), String>| {
        let (keys, told) = trial.world.state().given.pop().expect("keys were given");
        assert!((1..=3).all(|n| keys.contains(&(START.0 + n))), "{keys:?}");
        told.expect("nobody has answered").send(answer).expect("somebody waits");
    };
    assert_eq!(trial.world.posted_for(START.after(1)), 0);
    answer(&trial, Err("out of memory".into()));
    trial.wait_for("the error", |trial| trial.log().contains("yet: out of memory")).await;
    assert_eq!(trial.world.posted_for(START.after(1)), 0);
    // It is tried again by itself; a data plane that says nothing is not waited for without end.
    let given = trial.world.state().given.len();
    trial.wait_for("another try", |trial| trial.world.state().given.len() > given).await;
    trial.wait_for("the end of the wait", |trial| trial.log().contains("has not taken the mix keys within 10s")).await;
    let given = trial.world.state().given.len();
    trial.wait_for("a third try", |trial| trial.world.state().given.len() > given).await;
    assert_eq!(trial.world.posted_for(START.after(1)), 0);
    answer(&trial, Ok(()));
    trial.wait_for("the posts", |trial| trial.world.posted_for(START.after(1)) == 2).await;
    trial.wait_for("the news", |trial| trial.log().contains("Posted descriptor for epoch 101.")).await;
}

/// What loops of the epoch before have told is in the upload, by segment, for that epoch's successor (server.md 7.4).
#[tokio::test(start_paused = true)]
async fn uploads_say_how_the_loops_of_the_last_epoch_have_fared() {
    let trial = Trial::start(at(START, Duration::from_secs(1)), |_| {});
    trial.wait_for("the first post", |trial| trial.world.posted_for(START.after(1)) == 2).await;
    let upload = || SignedUpload::decode(&trial.world.state().posted).expect("an upload").loop_stats.expect("its part");
    assert_eq!((upload().epoch, upload().segment_ratios), (START.after(1), None), "no loop was sent");
    let (lossy, silent) = ([3; 64], [4; 64]);
    let mut writer = trial.loops.writer();
    for loop_number in 0..4 {
        writer.sent(START, &lossy);
        writer.sent(START, &silent);
        if loop_number > 0 {
            writer.completed(START, &lossy);
        }
    }
    trial.world.set_clock(at(START.after(1), Duration::from_secs(1)));
    trial.wait_for("the next post", |trial| trial.world.posted_for(START.after(2)) == 2).await;
    let stats = upload();
    let descriptor = SignedUpload::decode(&trial.world.state().posted).expect("an upload").descriptor;
    assert_eq!(stats.mix_identity_hash, descriptor.map(|descriptor| descriptor.id()));
    // Nothing of a segment over which nothing came back: the reference says 1 then.
    assert_eq!(stats.segment_ratios, Some(BTreeMap::from([(lossy, 0.75), (silent, 1.0)])));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_while_the_worker_sleeps_is_noticed() {
    let trial = Trial::start(at(START, Duration::from_secs(1)), |_| {});
    trial.wait_for("the first posts", |trial| trial.world.posted_for(START.after(1)) == 2).await;
    pass(Duration::from_secs(200)).await;
    // Forward into the next epoch, near the end of its window: 85 s of 125 s.
    trial.world.set_clock(at(START.after(1), Duration::from_secs(85)));
    let set = Instant::now();
    trial.wait_for("posts by the new clock", |trial| trial.world.posted_for(START.after(2)) == 2).await;
    assert!(set.elapsed() < Duration::from_secs(15), "{:?}", set.elapsed());
    // A month ahead and back.
    trial.world.set_clock(at(Epoch(3000), Duration::from_secs(1)));
    trial.wait_for("posts for the far future", |trial| trial.world.posted_for(Epoch(3001)) == 2).await;
    trial.world.set_clock(at(START.after(2), Duration::from_secs(20)));
    trial.wait_for("posts after the correction", |trial| trial.world.posted_for(START.after(3)) == 2).await;
    assert_eq!(trial.world.posted_for(START.after(1)), 2);
}

#[tokio::test(start_paused = true)]
async fn at_the_default_level_an_operator_learns_who_failed_and_why() {
    let trial = Trial::start(at(START, Duration::from_secs(1)), |world| world.state().reachable = false);
    pass(PERIOD * 2).await;
    let log = trial.log();
    let peer = ExchangeError::OtherPeer.to_string();
    let both = format!("one: {peer}; two: {peer}");
    let count = |text: &str| log.matches(text).count();
    for epoch in [START, START.after(1)] {
        let missing = format!("WARN pki: no document of the current epoch {epoch}, so no packets: {both}");
        assert_eq!(count(&missing), 1, "{log}");
        let failed =
            format!("ERRO pki: could not publish for epoch {}: 0 of 2 authorities accepted; {both}", epoch.after(1));
        assert_eq!(count(&failed), 1, "{log}");
    }
    assert!(!log.contains('{') && !log.contains("Failed"), "a Rust debug form: {log}");
}

#[tokio::test(start_paused = true)]
async fn an_authority_with_another_clock_is_told_once() {
    let clocks = |one: i64, two: i64| BTreeMap::from([("one".to_string(), one), ("two".to_string(), two)]);
    let trial = Trial::start(at(START, Duration::from_secs(1)), |world| world.state().seconds_ahead = clocks(-40, 2));
    pass(PERIOD).await;
    let told = "the clock of this host is 40 s behind that of authority one";
    trial.wait_for("the warning", |trial| trial.log().contains(told)).await;
    pass(PERIOD).await;
    assert_eq!(trial.log().matches("the clock of this host").count(), 1, "{}", trial.log());
    // Mended, and wrong again.
    trial.world.state().seconds_ahead = clocks(0, 0);
    pass(PERIOD).await;
    trial.world.state().seconds_ahead = clocks(90, 0);
    pass(PERIOD).await;
    trial.wait_for("another", |trial| trial.log().contains("90 s ahead of that of authority one")).await;
    assert_eq!(trial.log().matches("the clock of this host").count(), 2, "{}", trial.log());
}
