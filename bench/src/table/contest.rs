//! One row: ours, floor and peer in turns, each between two readings of the core, until enough rounds count.

use crate::statistics::Figure;
use crate::subjects::{Contest, Peer, Subject, time};
use rig::probe::{Probe, WIDTH_SHARE_MIN};
use rustix::time::{ClockId, clock_gettime};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// Long enough for the clock, short enough that the readings on both sides say something about what lies between.
const SAMPLE: Duration = Duration::from_micros(200);
/// A round in which this thread had less of its processor was interrupted by another program.
const CPU_SHARE_MIN: f64 = 0.98;
/// So many rounds are tried for each that is asked for.
const ATTEMPTS: usize = 4;
/// The least rounds of a row, however slow it is.
pub const ROUNDS_MIN: usize = 25;
/// Rows whose rounds are slow get fewer of them, so that they take no longer than this without disturbance.
const ROW: Duration = Duration::from_secs(1);
/// Samples per library when the fastest of several is chosen.
const QUALIFYING_SAMPLES: usize = 7;

/// One round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Round {
    /// Nanoseconds per operation.
    pub ours: f64,
    pub floor: Option<f64>,
    pub peer: Option<f64>,
    /// The clock around our sample.
    pub ghz: f64,
    /// The least width in this round.
    pub width: f64,
    /// The thread's CPU time over the time.
    pub cpu_share: f64,
}

impl Round {
    fn counts(&self, width_min: f64) -> bool {
        self.width >= width_min && self.cpu_share >= CPU_SHARE_MIN
    }
}

/// What a row has shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Ours, in nanoseconds per operation.
    pub ours_ns: Figure,
    /// The floor, likewise.
    pub floor_ns: Option<Figure>,
    /// The peer's name and its time, likewise.
    pub peer_ns: Option<(&'static str, Figure)>,
    /// The peer's time over ours, round by round.
    pub ratio: Option<Figure>,
    /// The core's clock in GHz.
    pub ghz: f64,
    /// Adds per cycle in the rounds that count.
    pub width: f64,
    /// The least of them.
    pub width_min: f64,
    /// Whether there were not enough rounds without another program on the processor or a busy neighbour.
    pub disturbed: bool,
    /// Rounds that count.
    pub rounds: usize,
}

/// Runs the contest until `rounds` rounds count.
pub(super) fn run(contest: Contest, rounds: usize, probe: &mut Probe) -> Outcome {
    let mut ours = Timed::new(contest.ours);
    let mut floor = contest.floor.map(Timed::new);
    let mut peer = fastest(contest.peers);
    let width_min = probe.full_width() * WIDTH_SHARE_MIN;
    let mut one_round = || {
        let (started, cpu_before) = (Instant::now(), thread_cpu_time());
        let before = probe.read();
        let ours = ours.sample();
        let after = probe.read();
        let mut width = before.width.min(after.width);
        let mut also = |timed: &mut Timed| {
            let sample = timed.sample();
            width = width.min(probe.read().width);
            sample
        };
        let floor = floor.as_mut().map(&mut also);
        let peer = peer.as_mut().map(|(_, peer)| also(peer));
        let cpu_share = (thread_cpu_time() - cpu_before).as_secs_f64() / started.elapsed().as_secs_f64();
        Round { ours, floor, peer, ghz: (before.ghz + after.ghz) / 2.0, width, cpu_share }
    };
    let started = Instant::now();
    one_round();
    let affordable = (ROW.as_secs_f64() / started.elapsed().as_secs_f64()) as usize;
    let all = collect(rounds.min(affordable.max(ROUNDS_MIN)), width_min, one_round);
    let disturbed = all.iter().any(|round| !round.counts(width_min));
    summary(&all, disturbed, peer.map(|(name, _)| name)).expect("at least one round")
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Rounds of full width without interruption, tried for a bounded number of times; where there were too few, the widest
/// of the others besides.
pub(super) fn collect(rounds: usize, width_min: f64, mut round: impl FnMut() -> Round) -> Vec<Round> {
    let rounds = rounds.max(1);
    let mut all = Vec::with_capacity(rounds);
    let mut good = 0;
    while good < rounds && all.len() < rounds * ATTEMPTS {
        let round = round();
        good += usize::from(round.counts(width_min));
        all.push(round);
    }
    let rank = |round: &Round| (round.counts(width_min), round.width);
    all.sort_by(|a, b| rank(b).partial_cmp(&rank(a)).unwrap_or(Ordering::Equal));
    all.truncate(rounds);
    all
}

fn summary(rounds: &[Round], disturbed: bool, peer_name: Option<&'static str>) -> Option<Outcome> {
    let figure = |of: &dyn Fn(&Round) -> Option<f64>| Figure::of(rounds.iter().filter_map(of));
    Some(Outcome {
        ours_ns: figure(&|round| Some(round.ours))?,
        floor_ns: figure(&|round| round.floor),
        peer_ns: peer_name.zip(figure(&|round| round.peer)),
        ratio: figure(&|round| round.peer.map(|peer| peer / round.ours)),
        ghz: figure(&|round| Some(round.ghz))?.median,
        width: figure(&|round| Some(round.width))?.median,
        width_min: rounds.iter().map(|round| round.width).fold(f64::INFINITY, f64::min),
        disturbed,
        rounds: rounds.len(),
    })
}

/// The fastest library on this CPU at this size.
fn fastest(peers: Vec<Peer>) -> Option<(&'static str, Timed)> {
    let mut peers: Vec<(&'static str, Timed)> =
        peers.into_iter().map(|peer| (peer.name, Timed::new(peer.subject))).collect();
    if peers.len() <= 1 {
        return peers.pop();
    }
    let mut best = vec![f64::INFINITY; peers.len()];
    for _ in 0..QUALIFYING_SAMPLES {
        for (best, (_, timed)) in best.iter_mut().zip(&mut peers) {
            *best = best.min(timed.sample());
        }
    }
    let winner = best.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?.0;
    Some(peers.swap_remove(winner))
}

/// A subject with the number of runs that make a sample.
struct Timed {
    subject: Box<dyn Subject>,
    runs: u64,
}

impl Timed {
    fn new(mut subject: Box<dyn Subject>) -> Self {
        // The first run meets cold caches.
        time(&mut *subject, 1);
        let mut runs = 1;
        while time(&mut *subject, runs) < SAMPLE / 2 {
            runs *= 2;
        }
        Self { subject, runs }
    }

    /// Nanoseconds per operation.
    fn sample(&mut self) -> f64 {
        let took = time(&mut *self.subject, self.runs);
        took.as_nanos() as f64 / (self.runs as f64 * self.subject.items() as f64)
    }
}
