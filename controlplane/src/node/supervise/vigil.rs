//! When to look after the data plane and how: a state machine without I/O, told the time, what was heard of the data
//! plane and what its shards' heartbeats are.
//!
//! Silence is counted in time in which the supervisor itself was awake: a host that was suspended wakes up with a data
//! plane that has had no more time than its control plane.

use interplane::counter::Account;
use interplane::message::{Order, ToControl};
use pki::Epoch;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(500);

/// A data plane that gives no sign of life for so long stands still. A round of a shard takes well under a
/// millisecond, an answer of the attach thread a few; the rest is for hosts that are busy otherwise.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);

/// How long keys and documents may take until all shards go by them.
const UPTAKE_LIMIT: Duration = Duration::from_secs(5);

/// How long a data plane that was told to stop, or said that it ends, may take.
pub const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A data plane that lived longer than this is followed by another at once; others after pauses that double.
const SHORT_LIFE: Duration = Duration::from_secs(1);
const LONG_LIFE: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Pauses before a refused order is given again.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// What one shard's row says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Changes with every round.
    pub heartbeat: u64,
    /// Whether the shard sleeps.
    pub parked: bool,
}

/// Why a data plane is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its process is gone.
    Ended,
    /// Its process is gone, as it was told by a signal.
    Told,
    /// It does not answer.
    Mute,
    /// A shard neither works nor sleeps.
    Stuck {
        /// Which.
        shard: usize,
    },
    /// Keys, documents or other values are not taken up.
    Deaf,
}

impl Fault {
    /// Whether the process is there still, and of no use.
    pub fn is_standstill(self) -> bool {
        !matches!(self, Self::Ended | Self::Told)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended | Self::Told => write!(f, "it has ended"),
            Self::Mute => write!(f, "no answer within {SILENCE_LIMIT:?}"),
            Self::Stuck { shard } => write!(f, "no sign of life from shard {shard} within {SILENCE_LIMIT:?}"),
            Self::Deaf => {
                write!(f, "its shards do not take up keys, documents or other values within {UPTAKE_LIMIT:?}")
            }
        }
    }
}

/// What the supervisor has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Find or start a data plane and give it everything; then [`Vigil::reached`] or [`Vigil::not_reached`].
    Reach,
    /// The channel is lost: go on with the data plane if it lives; then [`Vigil::reached`] or [`Vigil::gone`].
    Adopt,
    /// Ask for a sign of life.
    Ping {
        /// To come back.
        number: u64,
    },
    /// Give the keys.
    GiveKeys,
    /// Give the documents.
    GiveDocuments,
    /// Give the values that have changed.
    Adjust,
    /// It is of no use any more: end it as nothing can prevent; then [`Vigil::gone`].
    Replace(Fault),
    /// Tell it to stop.
    Stop,
    /// It was told to stop and does not: end it.
    Kill,
    /// Nothing more is to be done.
    Finish(Option<Account>),
}

enum Phase {
    /// There is none.
    Away {
        next: Instant,
    },
    /// The channel is closed; whether the process lives is being found out.
    Cut,
    AtWork(Box<Watched>),
    /// Being ended for its fault.
    Condemned,
    /// It said that it ends, or was told to.
    Ending {
        deadline: Instant,
        killed: bool,
    },
    Over,
}

struct Watched {
    since: Instant,
    looked: Instant,
    pinged: Option<(u64, Duration)>,
    next_ping: Instant,
    shards: Vec<(Beat, Duration)>,
    keys: Uptake<Vec<Epoch>>,
    documents: Uptake<u64>,
    adjustment: Uptake<u64>,
}

/// An order that is given until it is carried out.
struct Uptake<T> {
    wanted: Option<T>,
    /// How long the answer is being waited for.
    waited: Option<Duration>,
    next: Instant,
    refusals: u32,
}

impl<T: PartialEq> Uptake<T> {
    fn new(wanted: Option<T>, now: Instant) -> Self {
        Self { wanted, waited: None, next: now, refusals: 0 }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.wanted.is_some() && self.waited.is_none() && self.next <= now;
        if due {
            self.waited = Some(Duration::ZERO);
        }
        due
    }

    fn pass(&mut self, time: Duration) -> bool {
        self.waited.as_mut().is_some_and(|waited| {
            *waited += time;
            *waited >= UPTAKE_LIMIT
        })
    }

    fn done(&mut self, what: &T) {
        if self.wanted.as_ref() == Some(what) {
            (self.wanted, self.waited, self.refusals) = (None, None, 0);
        }
    }

    fn refused(&mut self, now: Instant) {
        if self.waited.take().is_some() {
            self.next = now + AGAIN_MIN.saturating_mul(1 << self.refusals.min(8)).min(AGAIN_MAX);
            self.refusals += 1;
        }
    }
}

/// The state.
pub struct Vigil {
    phase: Phase,
    stopping: bool,
    account: Option<Account>,
    /// Data planes in a row that could not be used for long.
    failures: u32,
    pings: u64,
    queue: VecDeque<Do>,
}

impl Vigil {
    /// There is no data plane yet.
    pub fn new(now: Instant) -> Self {
        let (phase, queue) = (Phase::Away { next: now }, VecDeque::new());
        Self { phase, stopping: false, account: None, failures: 0, pings: 0, queue }
    }

    /// The next thing to do, if any is due.
    pub fn poll(&mut self, now: Instant, beats: &[Beat]) -> Option<Do> {
        if let Some(action) = self.queue.pop_front() {
            return Some(action);
        }
        match &mut self.phase {
            Phase::Away { .. } if self.stopping => self.finish(),
            Phase::Away { next } if *next <= now => Some(Do::Reach),
            Phase::AtWork(watched) => {
                if let Some(fault) = watched.look(now, beats) {
                    return self.condemn(fault);
                }
                if watched.keys.is_due(now) {
                    return Some(Do::GiveKeys);
                }
                if watched.documents.is_due(now) {
                    return Some(Do::GiveDocuments);
                }
                if watched.adjustment.is_due(now) {
                    return Some(Do::Adjust);
                }
                if watched.pinged.is_none() && watched.next_ping <= now {
                    self.pings += 1;
                    watched.pinged = Some((self.pings, Duration::ZERO));
                    watched.next_ping = now + LOOK;
                    return Some(Do::Ping { number: self.pings });
                }
                None
            }
            Phase::Ending { deadline, killed } if *deadline <= now && !*killed => {
                *killed = true;
                Some(Do::Kill)
            }
            _ => None,
        }
    }

    /// When to poll again at the latest.
    pub fn next_look(&self, now: Instant) -> Instant {
        match &self.phase {
            Phase::Away { next } => (*next).min(now + LOOK),
            Phase::Ending { deadline, killed: false } => (*deadline).min(now + LOOK),
            _ => now + LOOK,
        }
    }

    /// A data plane has what it needs to begin. `keys` and `serial` are what it is to be given besides.
    pub fn reached(&mut self, now: Instant, shards: usize, keys: Option<Vec<Epoch>>, serial: Option<u64>) {
        self.account = None;
        if self.stopping {
            self.begin_to_stop(now);
            return;
        }
        self.phase = Phase::AtWork(Box::new(Watched {
            since: now,
            looked: now,
            pinged: None,
            next_ping: now + LOOK,
            shards: vec![(Beat::default(), Duration::ZERO); shards],
            keys: Uptake::new(keys, now),
            documents: Uptake::new(serial, now),
            adjustment: Uptake::new(None, now),
        }));
    }

    /// No data plane could be had.
    pub fn not_reached(&mut self, now: Instant) {
        self.phase = Phase::Away { next: now + pause_after(self.failures) };
        self.failures = self.failures.saturating_add(1);
    }

    /// The data plane is gone.
    pub fn gone(&mut self, now: Instant) {
        let pause = self.failures.checked_sub(1).map_or(Duration::ZERO, pause_after);
        self.phase = Phase::Away { next: now + pause };
    }

    /// The keys are others from now on.
    pub fn want_keys(&mut self, epochs: Vec<Epoch>, now: Instant) {
        if let Phase::AtWork(watched) = &mut self.phase {
            watched.keys = Uptake::new(Some(epochs), now);
        }
    }

    /// The documents are others from now on.
    pub fn want_documents(&mut self, serial: u64, now: Instant) {
        if let Phase::AtWork(watched) = &mut self.phase {
            watched.documents = Uptake::new(Some(serial), now);
        }
    }

    /// Values of its setup are others from now on.
    pub fn want_adjustment(&mut self, number: u64, now: Instant) {
        if let Phase::AtWork(watched) = &mut self.phase {
            watched.adjustment = Uptake::new(Some(number), now);
        }
    }

    /// Whether the data plane goes by the values that it was given last.
    pub fn is_adjusted(&self) -> bool {
        matches!(&self.phase, Phase::AtWork(watched) if watched.adjustment.wanted.is_none())
    }

    /// Whether there is a data plane that can be told something.
    pub fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::AtWork(_))
    }

    /// Whether the data plane goes by the keys that it was given last.
    pub fn holds_keys(&self) -> bool {
        matches!(&self.phase, Phase::AtWork(watched) if watched.keys.wanted.is_none())
    }

    /// Whether the data plane goes by the documents that it was given last.
    pub fn holds_documents(&self) -> bool {
        matches!(&self.phase, Phase::AtWork(watched) if watched.documents.wanted.is_none())
    }

    /// The data plane is to be stopped.
    pub fn stop(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.stopping, true) {
            match self.phase {
                Phase::AtWork(_) => self.begin_to_stop(now),
                // It ends already.
                Phase::Ending { .. } | Phase::Over | Phase::Away { .. } | Phase::Cut | Phase::Condemned => {}
            }
        }
    }

    fn begin_to_stop(&mut self, now: Instant) {
        self.phase = Phase::Ending { deadline: now + STOP_LIMIT, killed: false };
        self.queue.push_back(Do::Stop);
    }

    /// The data plane said something.
    pub fn heard(&mut self, message: &ToControl, now: Instant) {
        match (message, &mut self.phase) {
            (ToControl::Stopped { account }, _) => self.account = Some(*account),
            (ToControl::Ending, Phase::AtWork(_)) => {
                self.phase = Phase::Ending { deadline: now + STOP_LIMIT, killed: false };
            }
            (ToControl::Pong { number }, Phase::AtWork(watched)) => {
                watched.pinged.take_if(|(pinged, _)| pinged == number);
            }
            (ToControl::KeysLoaded { epochs, .. }, Phase::AtWork(watched)) => watched.keys.done(epochs),
            (ToControl::Applied { serial }, Phase::AtWork(watched)) => watched.documents.done(serial),
            (ToControl::Adjusted { number }, Phase::AtWork(watched)) => watched.adjustment.done(number),
            (ToControl::Failed { order: Order::Adjust, .. }, Phase::AtWork(watched)) => watched.adjustment.refused(now),
            (ToControl::Failed { order: Order::Keys, .. }, Phase::AtWork(watched)) => watched.keys.refused(now),
            (ToControl::Failed { order: Order::Publish, .. }, Phase::AtWork(watched)) => watched.documents.refused(now),
            _ => {}
        }
    }

    /// The channel is closed.
    pub fn cut(&mut self, now: Instant) {
        match &self.phase {
            Phase::AtWork(watched) => {
                self.note_life(watched.since, now);
                self.phase = Phase::Cut;
                self.queue.push_back(Do::Adopt);
            }
            Phase::Ending { .. } => {
                let action = if self.stopping { self.finish() } else { self.condemn(Fault::Told) };
                self.queue.extend(action);
            }
            Phase::Away { .. } | Phase::Cut | Phase::Condemned | Phase::Over => {}
        }
    }

    fn finish(&mut self) -> Option<Do> {
        self.phase = Phase::Over;
        Some(Do::Finish(self.account.take()))
    }

    fn condemn(&mut self, fault: Fault) -> Option<Do> {
        if let Phase::AtWork(watched) = &self.phase {
            self.note_life(watched.since, watched.looked);
        }
        self.phase = Phase::Condemned;
        Some(Do::Replace(fault))
    }

    /// One that lived long makes up for those before that did not.
    fn note_life(&mut self, since: Instant, now: Instant) {
        let life = now.saturating_duration_since(since);
        if life >= LONG_LIFE {
            self.failures = 0;
        } else if life < SHORT_LIFE {
            self.failures = self.failures.saturating_add(1);
        }
    }
}

/// The pause after another try, with so many failures in a row before it.
fn pause_after(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.min(8)).min(PAUSE_MAX)
}

impl Watched {
    /// Counts silence; gives what makes the data plane of no use.
    fn look(&mut self, now: Instant, beats: &[Beat]) -> Option<Fault> {
        let passed = now.saturating_duration_since(self.looked).min(LOOK * 2);
        self.looked = now;
        if let Some((_, unanswered)) = &mut self.pinged {
            *unanswered += passed;
            if *unanswered >= SILENCE_LIMIT {
                return Some(Fault::Mute);
            }
        }
        for (shard, ((seen, silent), beat)) in self.shards.iter_mut().zip(beats).enumerate() {
            if beat.parked || beat.heartbeat != seen.heartbeat {
                (*seen, *silent) = (*beat, Duration::ZERO);
                continue;
            }
            *silent += passed;
            if *silent >= SILENCE_LIMIT {
                return Some(Fault::Stuck { shard });
            }
        }
        let overdue = [self.keys.pass(passed), self.documents.pass(passed), self.adjustment.pass(passed)];
        overdue.contains(&true).then_some(Fault::Deaf)
    }
}
