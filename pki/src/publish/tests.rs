use super::*;
use crate::authority::{ConsensusCode, DescriptorCode};
use crate::descriptor::LoopStats;
use crate::epoch::EpochClock;
use crate::fixture::{descriptor, random, signer};
use crypto_simd::random::SeededRandom;
use std::collections::{BTreeMap, BTreeSet};

const START: Epoch = Epoch(100);

/// How one authority behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// Answers after the delay.
    Up(Duration),
    /// Does not answer at all.
    Down,
    /// Serves other epochs' documents and refuses descriptors.
    WrongEpoch,
}

const PROMPT: Mood = Mood::Up(Duration::from_millis(200));

/// Results on their way back to the worker.
#[derive(Debug)]
enum Event {
    Uploaded { epoch: Epoch, authority: usize, answer: UploadAnswer },
    Fetched { epoch: Epoch, answers: Option<Answers> },
}

/// A worker, its node and three authorities under one fake clock.
struct Simulation {
    clock: EpochClock,
    unix: Duration,
    worker: Worker,
    moods: [Mood; 3],
    random: SeededRandom,
    events: Vec<(Duration, Event)>,
    /// Per authority and epoch, the first descriptor.
    stored: [BTreeMap<Epoch, Arc<[u8]>>; 3],
    mix_keys: BTreeSet<Epoch>,
    prepared: BTreeMap<Epoch, Arc<[u8]>>,
    published: BTreeSet<Epoch>,
    ended: BTreeMap<Epoch, UploadOutcome>,
    documents: BTreeMap<Epoch, Duration>,
    announced: Vec<(Epoch, Duration)>,
    fetches: Vec<(Epoch, Duration)>,
    uploads: Vec<(Epoch, usize, Arc<[u8]>)>,
}

impl Simulation {
    fn new(period_secs: u64, moods: [Mood; 3]) -> Self {
        let clock = EpochClock::with_period(Duration::from_secs(period_secs)).unwrap();
        Self {
            clock,
            unix: clock.start(START),
            worker: Worker::new(3, None),
            moods,
            random: random(),
            events: Vec::new(),
            stored: Default::default(),
            mix_keys: BTreeSet::new(),
            prepared: BTreeMap::new(),
            published: BTreeSet::new(),
            ended: BTreeMap::new(),
            documents: BTreeMap::new(),
            announced: Vec::new(),
            fetches: Vec::new(),
            uploads: Vec::new(),
        }
    }

    fn now(&self) -> EpochTime {
        self.clock.now(self.unix).unwrap()
    }

    fn at(&self, epoch: Epoch, numerator: u32, denominator: u32) -> Duration {
        self.clock.start(epoch) + self.clock.period() * numerator / denominator
    }

    fn run_until(&mut self, end: Duration) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 20_000, "the worker spins");
            let now = self.now();
            while let Some(action) = self.worker.poll(&now, &mut self.random) {
                self.act(action);
            }
            let deadline = self.worker.next_deadline(&now);
            assert!(deadline > self.unix, "a deadline in the past although nothing is due");
            let event = self.events.iter().map(|(at, _)| *at).min();
            let next = event.map_or(deadline, |event| event.min(deadline));
            if next > end {
                self.unix = end;
                return;
            }
            self.unix = next.max(self.unix);
            while let Some(index) = self.events.iter().position(|(at, _)| *at <= self.unix) {
                let (_, event) = self.events.swap_remove(index);
                self.report(event);
            }
        }
    }

    fn act(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::MakeMixKeys { first, last } => self.mix_keys.extend((first.0..=last.0).map(Epoch)),
            Action::PruneMixKeys { before, after } => {
                let is_live = |epoch: &Epoch| *epoch >= before && after.is_none_or(|after| *epoch <= after);
                self.mix_keys.retain(is_live);
            }
            Action::PruneDocuments { before } => self.documents.retain(|epoch, _| *epoch >= before),
            Action::PrepareUpload { epoch } => self.prepare(epoch),
            Action::Upload { epoch, authority, payload, deadline } => {
                assert!(deadline <= self.at(now.epoch, 1, 8));
                self.uploads.push((epoch, authority, payload.clone()));
                let (delay, answer) = self.post(epoch, authority, payload, deadline);
                self.events.push((self.unix + delay, Event::Uploaded { epoch, authority, answer }));
            }
            Action::Published { epoch } => assert!(self.published.insert(epoch), "said twice"),
            Action::UploadEnded { epoch, outcome } => {
                assert!(self.ended.insert(epoch, outcome).is_none(), "ended twice")
            }
            Action::Fetch { epoch, deadline } => {
                self.fetches.push((epoch, self.unix));
                let (at, answers) = self.ask(epoch, deadline);
                self.events.push((at, Event::Fetched { epoch, answers }));
            }
            Action::Announce { epoch } => self.announced.push((epoch, self.unix)),
        }
    }

    fn prepare(&mut self, epoch: Epoch) {
        assert!((0..3).all(|n| self.mix_keys.contains(&epoch.after(n))), "keys before descriptors");
        let now = self.now();
        let upload = SignedUpload::sign(descriptor(10, epoch), LoopStats::default(), &*signer(10), &mut self.random);
        let payload: Arc<[u8]> = upload.unwrap().encode().into();
        assert!(self.prepared.insert(epoch, payload.clone()).is_none(), "prepared twice");
        self.worker.handle_prepared(epoch, payload, &now).unwrap();
    }

    /// What an authority of the reference does with a descriptor.
    fn post(
        &mut self,
        epoch: Epoch,
        authority: usize,
        payload: Arc<[u8]>,
        deadline: Duration,
    ) -> (Duration, UploadAnswer) {
        match self.moods[authority] {
            Mood::Down => (deadline.saturating_sub(self.unix).min(Duration::from_secs(5)), UploadAnswer::Failed),
            Mood::WrongEpoch => (Duration::from_millis(100), UploadAnswer::Status(DescriptorCode::Invalid)),
            Mood::Up(delay) => {
                let code = match self.stored[authority].insert(epoch, payload) {
                    None => DescriptorCode::Ok,
                    Some(_) => DescriptorCode::Conflict,
                };
                (delay, UploadAnswer::Status(code))
            }
        }
    }

    /// The document of an epoch exists from 5/8 of the epoch before, if two authorities had the descriptor.
    fn code(&self, epoch: Epoch) -> ConsensusCode {
        let now = self.now();
        let exists = self.stored.iter().filter(|stored| stored.contains_key(&epoch)).count() >= 2;
        let is_published = self.unix >= self.at(epoch.before(1), 5, 8);
        match () {
            _ if exists && is_published => ConsensusCode::Ok,
            _ if epoch <= now.epoch || (epoch == now.epoch.after(1) && now.till < now.fraction(1, 8)) => {
                ConsensusCode::Gone
            }
            _ => ConsensusCode::NotFound,
        }
    }

    fn ask(&self, epoch: Epoch, deadline: Duration) -> (Duration, Option<Answers>) {
        let code = self.code(epoch);
        let delays = self.moods.iter().filter_map(|mood| match mood {
            Mood::Up(delay) => Some(self.unix + *delay).filter(|at| *at < deadline),
            _ => None,
        });
        if let (ConsensusCode::Ok, Some(first)) = (code, delays.clone().min()) {
            return (first, None);
        }
        let answered = delays.clone().count();
        let invalid = self.moods.iter().filter(|mood| **mood == Mood::WrongEpoch).count();
        let unreachable = 3 - answered - invalid;
        let answers = match code {
            ConsensusCode::Gone => Answers { gone: answered, invalid, unreachable, not_found: 0 },
            _ => Answers { gone: 0, invalid, unreachable, not_found: answered },
        };
        let at =
            if unreachable > 0 { deadline } else { delays.max().unwrap_or(self.unix + Duration::from_millis(100)) };
        (at.min(self.unix + Duration::from_secs(5)), Some(answers))
    }

    fn report(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Uploaded { epoch, authority, answer } => self.worker.handle_upload(epoch, authority, answer, &now),
            Event::Fetched { epoch, answers: None } => {
                self.documents.insert(epoch, self.unix);
                self.worker.handle_document(epoch);
            }
            Event::Fetched { epoch, answers: Some(answers) } => {
                self.worker.handle_fetch_failed(epoch, answers, &now, &mut self.random);
            }
        }
    }

    /// A new process in the place of the old one, with what was stored.
    fn restart(&mut self, stored: Option<StoredUpload>) {
        self.worker = Worker::new(3, stored);
        self.events.clear();
        self.documents.keys().for_each(|epoch| self.worker.handle_document(*epoch));
    }
}

/// Runs six epochs and expects: published for each, the document held when its epoch begins, announced at once.
fn expect_six_good_epochs(mut simulation: Simulation) -> Simulation {
    for n in 0..6 {
        simulation.run_until(simulation.at(START.after(n), 1, 1) - Duration::from_nanos(1));
        let next = START.after(n + 1);
        assert!(simulation.published.contains(&next), "epoch {next} is not published");
        assert!(matches!(simulation.ended.get(&next), Some(UploadOutcome::Published { .. })));
        assert!(simulation.documents.contains_key(&next), "the document for {next} is not held at its start");
        let keys: Vec<u64> = simulation.mix_keys.iter().map(|epoch| epoch.0).collect();
        let first = if n == 0 { START.0 } else { START.0 + n - 1 };
        assert_eq!(keys, (first..=START.0 + n + 3).collect::<Vec<_>>());
    }
    simulation.run_until(simulation.at(START.after(6), 1, 64));
    let announced: Vec<_> = (1..=6).map(|n| (START.after(n), simulation.at(START.after(n), 0, 1))).collect();
    assert_eq!(simulation.announced, announced);
    assert!(simulation.documents.keys().all(|epoch| *epoch >= START.after(4)));
    for (epoch, _, payload) in &simulation.uploads {
        assert_eq!(*payload, simulation.prepared[epoch], "every upload of an epoch has the same bytes");
    }
    simulation
}

#[test]
fn six_epochs_with_prompt_authorities() {
    for period_secs in [1200, 120, 10] {
        let simulation = expect_six_good_epochs(Simulation::new(period_secs, [PROMPT; 3]));
        // One upload per authority and epoch, one fetch per epoch besides those for the documents before the start.
        assert_eq!(simulation.uploads.len(), 3 * 7);
        assert_eq!(simulation.fetches.len(), 3 + 6);
        assert_eq!(simulation.ended[&START.after(1)], UploadOutcome::Published { accepted: 3, conflicts: 0 });
    }
}

#[test]
fn six_epochs_with_one_authority_down() {
    let simulation = expect_six_good_epochs(Simulation::new(1200, [PROMPT, Mood::Down, PROMPT]));
    assert_eq!(simulation.ended[&START.after(1)], UploadOutcome::Published { accepted: 2, conflicts: 0 });
    // The third is tried again until the window closes, with growing delays.
    let tries = simulation.uploads.iter().filter(|(epoch, authority, _)| *authority == 1 && *epoch == START.after(1));
    assert!((5..=12).contains(&tries.count()));
}

#[test]
fn six_epochs_with_one_slow_authority() {
    let slow = Mood::Up(Duration::from_secs(40));
    expect_six_good_epochs(Simulation::new(1200, [slow, PROMPT, PROMPT]));
}

#[test]
fn six_epochs_with_one_authority_in_another_epoch() {
    expect_six_good_epochs(Simulation::new(1200, [PROMPT, PROMPT, Mood::WrongEpoch]));
}

#[test]
fn no_authority_for_a_while_only_delays() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.run_until(simulation.at(START, 1, 2));
    simulation.moods = [Mood::Down; 3];
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert!(!simulation.documents.contains_key(&START.after(1)));
    assert!(!simulation.worker.is_failed(START.after(1)), "unreachable authorities do not make a document gone");
    assert_eq!(simulation.ended[&START.after(2)], UploadOutcome::Failed { accepted: 0, conflicts: 0 });
    let tries = simulation.fetches.iter().filter(|(epoch, _)| *epoch == START.after(1)).count();
    assert!((15..=60).contains(&tries), "{tries} tries");
    simulation.moods = [PROMPT; 3];
    let back = simulation.unix;
    simulation.run_until(simulation.at(START.after(1), 5, 8) - Duration::from_secs(1));
    let held = simulation.documents[&START.after(1)];
    assert!(held - back < Duration::from_secs(45), "{:?}", held - back);
    assert_eq!(simulation.announced.last(), Some(&(START.after(1), held)));
}

#[test]
fn gone_needs_enough_authorities_to_say_so() {
    let mut simulation = Simulation::new(1200, [PROMPT, Mood::Down, Mood::Down]);
    simulation.run_until(simulation.at(START, 1, 2));
    assert!(!simulation.worker.is_failed(START), "one of three is not enough");
    simulation.moods = [PROMPT; 3];
    simulation.run_until(simulation.at(START, 5, 8) - Duration::from_secs(1));
    assert!(simulation.worker.is_failed(START));
    let tries = simulation.fetches.len();
    simulation.run_until(simulation.at(START, 5, 8) - Duration::from_millis(1));
    assert_eq!(simulation.fetches.len(), tries);
}

#[test]
fn a_restart_uploads_the_stored_bytes_and_prepares_nothing() {
    let mut simulation = Simulation::new(1200, [PROMPT, Mood::Down, Mood::Down]);
    let next = START.after(1);
    simulation.run_until(simulation.at(START, 1, 48));
    assert!(!simulation.published.contains(&next));
    let payload = simulation.prepared[&next].clone();
    simulation.restart(Some(StoredUpload { epoch: next, payload: payload.clone(), published: false }));
    simulation.moods = [PROMPT; 3];
    simulation.uploads.clear();
    simulation.run_until(simulation.at(START, 1, 8));
    assert!(simulation.uploads.iter().all(|(epoch, _, bytes)| (*epoch, bytes) == (next, &payload)));
    assert_eq!(simulation.prepared.len(), 1);
    // The first authority has the identical descriptor and says Conflict, as the reference does.
    assert_eq!(simulation.ended[&next], UploadOutcome::Published { accepted: 2, conflicts: 1 });
}

#[test]
fn a_restart_after_publication_uploads_nothing() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    let next = START.after(1);
    simulation.run_until(simulation.at(START, 1, 48));
    let payload = simulation.prepared[&next].clone();
    simulation.restart(Some(StoredUpload { epoch: next, payload: payload.clone(), published: true }));
    simulation.uploads.clear();
    simulation.run_until(simulation.at(START, 1, 2));
    assert!(simulation.uploads.is_empty());
    // An unfinished record leads to a second upload, which the reference's authorities call a conflict.
    simulation.unix = simulation.at(START, 1, 24);
    simulation.ended.clear();
    simulation.restart(Some(StoredUpload { epoch: next, payload, published: false }));
    simulation.run_until(simulation.at(START, 1, 2));
    assert_eq!(simulation.ended[&next], UploadOutcome::Conflict { reupload: true });
    assert_eq!(simulation.prepared.len(), 1);
    // The next epoch goes its ordinary way.
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert!(simulation.published.contains(&START.after(2)));
}

#[test]
fn a_late_start_waits_for_the_next_epoch() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.unix = simulation.at(START, 5, 48);
    simulation.run_until(simulation.at(START, 1, 2));
    assert_eq!(simulation.ended[&START.after(1)], UploadOutcome::WindowClosed);
    assert!(simulation.uploads.is_empty() && simulation.prepared.is_empty());
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert!(simulation.published.contains(&START.after(2)));
}

#[test]
fn nothing_is_advertised_when_switched_off() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.worker.set_advertising(false);
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert!(simulation.uploads.is_empty());
    simulation.worker.set_advertising(true);
    simulation.run_until(simulation.at(START.after(2), 1, 2));
    assert!(simulation.published.contains(&START.after(3)));
}

#[test]
fn an_unusable_document_is_not_asked_for_again() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.run_until(simulation.at(START, 1, 2));
    simulation.worker.handle_unusable(START.after(1));
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert!(!simulation.fetches.iter().any(|(epoch, _)| *epoch == START.after(1)));
    assert!(simulation.worker.is_failed(START.after(1)));
}

#[test]
fn ill_formed_uploads_never_leave() {
    let clock = EpochClock::default();
    let now = clock.now(clock.start(START)).unwrap();
    let (mut worker, mut random) = (Worker::new(3, None), random());
    let actions: Vec<_> = std::iter::from_fn(|| worker.poll(&now, &mut random)).collect();
    assert!(actions.contains(&Action::PrepareUpload { epoch: START.after(1) }));
    let mut sign = |epoch| {
        let upload = SignedUpload::sign(descriptor(10, epoch), LoopStats::default(), &*signer(10), &mut random);
        upload.unwrap().encode().into()
    };
    let error = worker.handle_prepared(START.after(1), sign(START.after(5)), &now);
    assert!(matches!(error, Err(PrepareError::Descriptor(_))));
    assert_eq!(worker.poll(&now, &mut crate::fixture::random()), None);
    let later = clock.now(now.unix + Duration::from_secs(2)).unwrap();
    let again = std::iter::from_fn(|| worker.poll(&later, &mut crate::fixture::random()));
    assert!(again.collect::<Vec<_>>().contains(&Action::PrepareUpload { epoch: START.after(1) }));
    assert_eq!(worker.handle_prepared(START.after(1), sign(START.after(1)), &later), Ok(()));
    let error = worker.handle_prepared(START.after(1), sign(START.after(1)), &later);
    assert_eq!(error, Err(PrepareError::NotWanted(START.after(1))));
}

#[test]
fn clocks_that_jump_do_not_confuse_the_worker() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    simulation.unix = simulation.at(START.before(1), 1, 2);
    simulation.ended.clear();
    simulation.run_until(simulation.at(START.before(1), 3, 4));
    simulation.unix = simulation.at(START.after(40), 0, 1);
    simulation.run_until(simulation.at(START.after(40), 1, 2));
    assert!(simulation.published.contains(&START.after(41)));
}

#[test]
fn what_a_clock_ahead_has_led_to_does_not_outlive_its_correction() {
    // A host without a clock of its own starts 30 days ahead, and NTP mends that; the node is published at once again.
    for restarts in [false, true] {
        let mut simulation = Simulation::new(1200, [Mood::Down; 3]);
        let far = START.after(2160);
        simulation.unix = simulation.at(far, 1, 100);
        simulation.run_until(simulation.at(far, 1, 50));
        let payload = simulation.prepared[&far.after(1)].clone();
        simulation.moods = [PROMPT; 3];
        simulation.unix = simulation.at(START, 1, 50);
        if restarts {
            simulation.restart(Some(StoredUpload { epoch: far.after(1), payload, published: false }));
        }
        simulation.run_until(simulation.at(START, 1, 8));
        assert!(simulation.published.contains(&START.after(1)), "restarts: {restarts}");
        // The keys stay until it is clear that the clock is right now: they would be published if it was not.
        assert!(simulation.mix_keys.contains(&far.after(1)));
        simulation.run_until(simulation.at(START.after(1), 1, 8));
        assert!(!simulation.mix_keys.contains(&far.after(1)));
        assert!(simulation.published.contains(&START.after(2)));
    }
}

#[test]
fn a_clock_that_goes_back_a_little_finds_the_same_bytes() {
    let mut simulation = Simulation::new(1200, [PROMPT; 3]);
    simulation.run_until(simulation.at(START.after(1), 1, 16));
    let uploads = simulation.uploads.len();
    // Over the boundary, back again, and once more.
    simulation.unix = simulation.at(START, 47, 48);
    simulation.run_until(simulation.at(START.after(1), 1, 2));
    assert_eq!(simulation.uploads.len(), uploads, "published is published");
    assert_eq!(simulation.prepared.len(), 2);
}

#[test]
fn what_is_due_does_not_wait_for_a_clock_that_went_back() {
    let mut simulation = Simulation::new(1200, [Mood::Down; 3]);
    simulation.run_until(simulation.at(START, 5, 64));
    simulation.moods = [PROMPT; 3];
    // Ten retries' worth within the same epoch.
    simulation.unix = simulation.at(START, 1, 64);
    simulation.run_until(simulation.at(START, 3, 64));
    assert!(simulation.published.contains(&START.after(1)));
}

#[test]
fn nodes_do_not_post_at_the_same_instant() {
    let clock = EpochClock::with_period(Duration::from_secs(1200)).unwrap();
    let mut moments = BTreeSet::new();
    for seed in 0..50 {
        let mut random = SeededRandom::new(&[seed; 32]);
        let mut worker = Worker::new(3, None);
        let mut asked = |worker: &mut Worker, unix| {
            let now = clock.now(unix).unwrap();
            let actions = std::iter::from_fn(|| worker.poll(&now, &mut random));
            let wanted = Action::PrepareUpload { epoch: now.epoch.after(1) };
            (actions.collect::<Vec<_>>().contains(&wanted), worker.next_deadline(&now))
        };
        // A start is at nobody else's instant; a boundary is at everybody's.
        assert!(asked(&mut worker, clock.start(START) + Duration::from_secs(20)).0);
        let boundary = clock.start(START.after(1));
        let mut unix = boundary;
        let after = loop {
            let (is_asked, deadline) = asked(&mut worker, unix);
            if is_asked {
                break unix - boundary;
            }
            unix = deadline;
        };
        assert!(after <= Duration::from_secs(1200) / 128, "{after:?}");
        moments.insert(after.as_millis());
    }
    assert!(moments.len() > 40, "{moments:?}");
    assert!(*moments.last().unwrap() > 7_000 && *moments.first().unwrap() < 2_000, "{moments:?}");
}
