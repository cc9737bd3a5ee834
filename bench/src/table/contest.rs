//! One row: ours, floor and peer in turns, each between two readings of the core, until enough rounds count.

use super::probe::{Probe, WIDTH_SHARE_MIN};
use crate::statistics::Figure;
use crate::subjects::{Contest, Peer, Subject, time};
use std::time::Duration;

/// Long enough for the clock, short enough that the readings on both sides say something about what lies between.
const SAMPLE: Duration = Duration::from_micros(200);
/// So many rounds are tried for each that is asked for.
const ATTEMPTS: usize = 4;
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
    /// The least of them: below the share of the full width, a neighbour was busy all the time.
    pub width_min: f64,
    /// Rounds that count.
    pub rounds: usize,
}

/// Runs the contest until `rounds` rounds count.
pub(super) fn run(contest: Contest, rounds: usize, probe: &mut Probe) -> Outcome {
    let mut ours = Timed::new(contest.ours);
    let mut floor = contest.floor.map(Timed::new);
    let mut peer = fastest(contest.peers);
    let width_min = probe.full_width() * WIDTH_SHARE_MIN;
    let all = collect(rounds, width_min, || {
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
        Round { ours, floor, peer, ghz: (before.ghz + after.ghz) / 2.0, width }
    });
    summary(&all, peer.map(|(name, _)| name)).expect("at least one round")
}

/// Rounds of full width, tried for a bounded number of times; where there were too few, the widest of all.
pub(super) fn collect(rounds: usize, width_min: f64, mut round: impl FnMut() -> Round) -> Vec<Round> {
    let rounds = rounds.max(1);
    let mut all = Vec::with_capacity(rounds);
    let mut wide = 0;
    while wide < rounds && all.len() < rounds * ATTEMPTS {
        let round = round();
        wide += usize::from(round.width >= width_min);
        all.push(round);
    }
    all.sort_by(|a, b| b.width.total_cmp(&a.width));
    all.truncate(rounds);
    all
}

fn summary(rounds: &[Round], peer_name: Option<&'static str>) -> Option<Outcome> {
    let figure = |of: &dyn Fn(&Round) -> Option<f64>| Figure::of(rounds.iter().filter_map(of));
    Some(Outcome {
        ours_ns: figure(&|round| Some(round.ours))?,
        floor_ns: figure(&|round| round.floor),
        peer_ns: peer_name.zip(figure(&|round| round.peer)),
        ratio: figure(&|round| round.peer.map(|peer| peer / round.ours)),
        ghz: figure(&|round| Some(round.ghz))?.median,
        width: figure(&|round| Some(round.width))?.median,
        width_min: rounds.iter().map(|round| round.width).fold(f64::INFINITY, f64::min),
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
