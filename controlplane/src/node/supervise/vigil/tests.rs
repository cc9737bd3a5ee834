use super::*;

/// A data plane that is at work and healthy until told otherwise.
struct Trial {
    vigil: Vigil,
    now: Instant,
    beats: Vec<Beat>,
    answers: bool,
    works: bool,
}

impl Trial {
    fn new() -> Self {
        let now = Instant::now();
        let beats = vec![Beat::default(); 2];
        Self { vigil: Vigil::new(now), now, beats, answers: true, works: true }
    }

    fn at_work() -> Self {
        let mut trial = Self::new();
        assert_eq!(trial.poll(), Some(Do::Reach));
        trial.vigil.reached(trial.now, 2, None, None);
        trial
    }

    fn poll(&mut self) -> Option<Do> {
        self.vigil.poll(self.now, &self.beats)
    }

    /// Lets time pass in looks; gives the first thing to do that is no ping, and when it came.
    fn run(&mut self, time: Duration) -> Option<(Duration, Do)> {
        let start = self.now;
        loop {
            while let Some(action) = self.poll() {
                match action {
                    Do::Ping { number } if self.answers => self.vigil.heard(&ToControl::Pong { number }, self.now),
                    Do::Ping { .. } => {}
                    other => return Some((self.now - start, other)),
                }
            }
            if self.now - start >= time {
                return None;
            }
            self.now = self.vigil.next_look(self.now).min(start + time);
            if self.works {
                self.beats.iter_mut().for_each(|beat| beat.heartbeat += 1);
            }
        }
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_healthy_data_plane_is_left_alone() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(LONG), None);
    // Shards that sleep are healthy too.
    trial.works = false;
    trial.beats.iter_mut().for_each(|beat| beat.parked = true);
    assert_eq!(trial.run(LONG), None);
}

#[test]
fn silence_is_noticed_within_seconds() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(LONG), None);
    trial.answers = false;
    let (after, action) = trial.run(LONG).expect("it is noticed");
    assert_eq!(action, Do::Replace(Fault::Mute));
    assert!((SILENCE_LIMIT..=SILENCE_LIMIT + 3 * LOOK).contains(&after), "{after:?}");
}

#[test]
fn a_shard_that_neither_works_nor_sleeps_is_noticed() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(LONG), None);
    trial.works = false;
    trial.beats[0].parked = true;
    let (after, action) = trial.run(LONG).expect("it is noticed");
    assert_eq!(action, Do::Replace(Fault::Stuck { shard: 1 }));
    assert!((SILENCE_LIMIT..=SILENCE_LIMIT + 3 * LOOK).contains(&after), "{after:?}");
}

#[test]
fn time_in_which_the_supervisor_slept_does_not_count() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(Duration::from_secs(10)), None);
    // A ping is under way when the host is suspended.
    trial.answers = false;
    assert_eq!(trial.run(LOOK), None);
    trial.now += LONG;
    assert_eq!(trial.poll(), None);
    trial.answers = true;
    let number = trial.vigil.pings;
    trial.vigil.heard(&ToControl::Pong { number }, trial.now);
    assert_eq!(trial.run(LONG), None);
}

#[test]
fn keys_are_given_until_they_are_loaded() {
    let mut trial = Trial::at_work();
    let epochs = vec![Epoch(1), Epoch(2)];
    trial.vigil.want_keys(epochs.clone(), trial.now);
    assert_eq!(trial.run(LONG), Some((Duration::ZERO, Do::GiveKeys)));
    assert!(!trial.vigil.holds_keys());
    // Refusals are followed by longer and longer pauses.
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let failed = ToControl::Failed { order: Order::Keys, reason: String::new() };
        trial.vigil.heard(&failed, trial.now);
        let (after, action) = trial.run(LONG).expect("it is tried again");
        assert_eq!(action, Do::GiveKeys);
        pauses.push(after.as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    // Others' keys are not these.
    trial.vigil.heard(&ToControl::KeysLoaded { epochs: vec![Epoch(1)], locked: true }, trial.now);
    assert!(!trial.vigil.holds_keys());
    trial.vigil.heard(&ToControl::KeysLoaded { epochs, locked: true }, trial.now);
    assert!(trial.vigil.holds_keys());
    assert_eq!(trial.run(LONG), None);
}

#[test]
fn a_data_plane_that_takes_nothing_up_is_replaced() {
    let mut trial = Trial::at_work();
    trial.vigil.want_documents(3, trial.now);
    assert_eq!(trial.run(LONG), Some((Duration::ZERO, Do::GiveDocuments)));
    let (after, action) = trial.run(LONG).expect("it is noticed");
    assert_eq!(action, Do::Replace(Fault::Deaf));
    assert!((UPTAKE_LIMIT..=UPTAKE_LIMIT + 2 * LOOK).contains(&after), "{after:?}");
    assert!(!trial.vigil.holds_documents());
}

#[test]
fn a_fresh_data_plane_gets_what_there_is() {
    let mut trial = Trial::new();
    assert_eq!(trial.poll(), Some(Do::Reach));
    trial.vigil.reached(trial.now, 2, Some(vec![Epoch(1)]), Some(9));
    assert_eq!(trial.poll(), Some(Do::GiveKeys));
    assert_eq!(trial.poll(), Some(Do::GiveDocuments));
    assert_eq!(trial.poll(), None);
}

#[test]
fn a_lost_channel_is_no_lost_data_plane() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(LONG), None);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Adopt));
    trial.vigil.reached(trial.now, 2, None, None);
    assert_eq!(trial.run(LONG), None);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Adopt));
    trial.vigil.gone(trial.now);
    assert_eq!(trial.poll(), Some(Do::Reach), "at once after a long life");
}

#[test]
fn data_planes_that_do_not_last_are_started_with_pauses() {
    let mut trial = Trial::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let (after, action) = trial.run(LONG).expect("another try");
        assert_eq!(action, Do::Reach);
        pauses.push(after.as_millis());
        trial.vigil.not_reached(trial.now);
    }
    assert_eq!(pauses, [0, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    // One that lasts makes up for them.
    assert!(trial.run(LONG).is_some());
    trial.vigil.reached(trial.now, 2, None, None);
    assert_eq!(trial.run(LONG_LIFE), None);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Adopt));
    trial.vigil.gone(trial.now);
    assert_eq!(trial.poll(), Some(Do::Reach));
}

#[test]
fn stops_in_every_state() {
    let account = Account { received: 7, ..Account::default() };
    // At work.
    let mut trial = Trial::at_work();
    trial.vigil.stop(trial.now);
    assert_eq!(trial.poll(), Some(Do::Stop));
    trial.vigil.heard(&ToControl::Stopped { account }, trial.now);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Finish(Some(account))));
    assert_eq!(trial.run(LONG), None);
    // At work and deaf.
    let mut trial = Trial::at_work();
    trial.vigil.stop(trial.now);
    assert_eq!(trial.poll(), Some(Do::Stop));
    assert_eq!(trial.run(LONG), Some((STOP_LIMIT, Do::Kill)));
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Finish(None)));
    // Before there is one.
    let mut trial = Trial::new();
    trial.vigil.stop(trial.now);
    assert_eq!(trial.poll(), Some(Do::Finish(None)));
    // While one is being reached.
    let mut trial = Trial::new();
    assert_eq!(trial.poll(), Some(Do::Reach));
    trial.vigil.stop(trial.now);
    trial.vigil.reached(trial.now, 2, None, None);
    assert_eq!(trial.poll(), Some(Do::Stop));
    // While one is ending by itself.
    let mut trial = Trial::at_work();
    trial.vigil.heard(&ToControl::Ending, trial.now);
    trial.vigil.stop(trial.now);
    trial.vigil.heard(&ToControl::Stopped { account }, trial.now);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Finish(Some(account))));
    // While its end is being looked into.
    let mut trial = Trial::at_work();
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Adopt));
    trial.vigil.stop(trial.now);
    trial.vigil.gone(trial.now);
    assert_eq!(trial.poll(), Some(Do::Finish(None)));
}

#[test]
fn one_that_a_signal_ends_is_followed_by_another() {
    let mut trial = Trial::at_work();
    assert_eq!(trial.run(LONG), None);
    trial.vigil.heard(&ToControl::Ending, trial.now);
    trial.answers = false;
    trial.works = false;
    assert_eq!(trial.run(STOP_LIMIT / 2), None, "it is not taken for one that stands still");
    trial.vigil.heard(&ToControl::Stopped { account: Account::default() }, trial.now);
    trial.vigil.cut(trial.now);
    assert_eq!(trial.poll(), Some(Do::Replace(Fault::Told)));
    trial.vigil.gone(trial.now);
    assert_eq!(trial.poll(), Some(Do::Reach));
}

/// From the fault to another data plane, as far as this machine decides; ending the one and starting the other is the
/// host's part.
#[test]
fn a_fault_is_answered_within_five_seconds() {
    for lived in [Duration::from_millis(20), Duration::from_secs(10), LONG] {
        for phase in 0..20 {
            for is_mute in [false, true] {
                let mut trial = Trial::at_work();
                assert_eq!(trial.run(lived + LOOK * phase / 20), None);
                let begun = trial.now;
                (trial.answers, trial.works) = (!is_mute, is_mute);
                let said = trial.run(LONG);
                assert!(matches!(said, Some((_, Do::Replace(_)))), "{said:?}");
                trial.vigil.gone(trial.now);
                assert_eq!(trial.run(LONG).map(|(_, action)| action), Some(Do::Reach));
                let taken = trial.now - begun;
                assert!(taken <= Duration::from_secs(5), "{taken:?} after a life of {lived:?}");
            }
        }
    }
}

#[test]
fn other_values_are_given_until_they_are_taken_up() {
    let mut trial = Trial::at_work();
    assert!(trial.vigil.is_at_work() && trial.vigil.is_adjusted());
    trial.vigil.want_adjustment(3, trial.now);
    assert_eq!(trial.poll(), Some(Do::Adjust));
    trial.vigil.heard(&ToControl::Adjusted { number: 2 }, trial.now);
    assert!(!trial.vigil.is_adjusted(), "that was an earlier change");
    trial.vigil.heard(&ToControl::Failed { order: Order::Adjust, reason: "no".into() }, trial.now);
    let again = trial.run(LONG);
    assert!(matches!(again, Some((after, Do::Adjust)) if after >= AGAIN_MIN), "{again:?}");
    trial.vigil.heard(&ToControl::Adjusted { number: 3 }, trial.now);
    assert!(trial.vigil.is_adjusted());
    assert_eq!(trial.run(LONG), None);
    // One that says nothing to them is of no use.
    trial.vigil.want_adjustment(4, trial.now);
    assert_eq!(trial.poll(), Some(Do::Adjust));
    assert_eq!(trial.run(LONG).map(|(_, action)| action), Some(Do::Replace(Fault::Deaf)));
    assert!(!trial.vigil.is_at_work());
}
