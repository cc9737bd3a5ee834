//! From which arrival a departure may come: what is left to guess for somebody who sees all arrivals and departures.
//!
//! Danezis, "The Traffic Analysis of Continuous-Time Mixes" (PET 2004): with Poisson arrivals of rate lambda and delays
//! of density f, whoever knows f is left with the entropy of f plus log2 lambda for each departure; for exponential
//! delays of rate mu that is log2(e lambda / mu). Here f is not taken from the drawing board. The observer learns from
//! half of the departures, with the truth at hand, how likely a departure is so long after its arrival, at this place
//! within its slot, and at this part of a millisecond; and guesses at the other half. What its guesses cost on average,
//! -log2 of what it gave to the true arrival, is no less than the true conditional entropy: a leak that it can see makes
//! it less, and what it cannot see is not shown to be absent.

use super::packets;
use super::site::{Departure, Run, Traffic, run};
use crate::delay::TICK_NS;
use crate::delay::planted::Leak;

const MS: u64 = 1_000_000;
/// Older arrivals are not considered: one of a million packets waits for longer.
const MEANS: f64 = 14.0;
/// Parts of the mean wait, of a millisecond, and of what comes first and last in a slot.
const AGES_PER_MEAN: f64 = 8.0;
const PHASES: usize = 16;
const PLACES: usize = 4;
const ORDER_AGES: usize = 8;

/// How well the observer can tell times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// To the millisecond.
    Coarse,
    /// Exactly.
    Fine,
}

/// A departure, and where it stands among those of its slot: alone, first, in the middle, last.
struct Sight {
    at: u64,
    place: usize,
    truth: usize,
}

struct Observer {
    clock: Clock,
    mean_ns: f64,
    ages: Vec<f64>,
    phases: [f64; PHASES],
    /// Of each place: how much likelier it makes an age.
    order: [[f64; ORDER_AGES]; PLACES],
}

impl Observer {
    /// Learns from departures of which it is told the truth.
    fn learn(clock: Clock, run: &Run, sights: &[Sight]) -> Self {
        let ages = (MEANS * AGES_PER_MEAN) as usize + 1;
        let mean_ns = run.traffic.mean_ms * MS as f64;
        let mut observer =
            Self { clock, mean_ns, ages: vec![0.5; ages], phases: [0.5; PHASES], order: [[0.5; ORDER_AGES]; PLACES] };
        for sight in sights {
            let arrival = run.packets[sight.truth].at.0;
            let age = observer.age(arrival, sight.at).min(ages - 1);
            observer.ages[age] += 1.0;
            observer.phases[phase(arrival, sight.at)] += 1.0;
            observer.order[sight.place][observer.order_age(arrival, sight.at)] += 1.0;
        }
        observer.phases = observer.phases.map(|count| count * PHASES as f64 / sights.len() as f64);
        let all: [f64; ORDER_AGES] = std::array::from_fn(|age| observer.order.iter().map(|place| place[age]).sum());
        let total: f64 = all.iter().sum();
        for place in &mut observer.order {
            let here: f64 = place.iter().sum();
            place.iter_mut().zip(&all).for_each(|(count, all)| *count = *count / here / (all / total));
        }
        observer
    }

    /// How old, by a clock of that precision.
    fn age_ns(&self, arrival: u64, at: u64) -> u64 {
        match self.clock {
            Clock::Coarse => (at / MS - arrival / MS) * MS,
            Clock::Fine => at - arrival,
        }
    }

    fn age(&self, arrival: u64, at: u64) -> usize {
        (self.age_ns(arrival, at) as f64 / self.mean_ns * AGES_PER_MEAN) as usize
    }

    /// Ages that are about equally likely.
    fn order_age(&self, arrival: u64, at: u64) -> usize {
        let part = 1.0 - (-(self.age_ns(arrival, at) as f64) / self.mean_ns).exp();
        ((part * ORDER_AGES as f64) as usize).min(ORDER_AGES - 1)
    }

    fn weight(&self, arrival: u64, sight: &Sight) -> f64 {
        let age = self.ages.get(self.age(arrival, sight.at)).copied().unwrap_or_default();
        let order = self.order[sight.place][self.order_age(arrival, sight.at)];
        match self.clock {
            Clock::Coarse => age * order,
            Clock::Fine => age * order * self.phases[phase(arrival, sight.at)],
        }
    }

    /// Bits that its guess at one departure costs, and the entropy of the guess.
    fn guess(&self, run: &Run, sight: &Sight) -> (f64, f64) {
        let oldest = sight.at.saturating_sub((self.mean_ns * MEANS) as u64);
        let begin = run.packets.partition_point(|packet| packet.at.0 < oldest);
        let end = run.packets.partition_point(|packet| packet.at.0 < sight.at);
        let weights = run.packets[begin..end].iter().map(|packet| self.weight(packet.at.0, sight));
        let (sum, sum_log) = weights.fold((0.0, 0.0), |(sum, sum_log), weight| {
            (sum + weight, sum_log + if weight > 0.0 { weight * weight.log2() } else { 0.0 })
        });
        let of_truth = self.weight(run.packets[sight.truth].at.0, sight);
        ((sum / of_truth).log2(), sum.log2() - sum_log / sum)
    }
}

fn phase(arrival: u64, at: u64) -> usize {
    ((at - arrival) % MS * PHASES as u64 / MS) as usize
}

/// The departures of packets that arrived, without those of the first moments.
fn sights(run: &Run) -> Vec<Sight> {
    let warm = run.packets[0].at.0 + (2.0 * MEANS * run.traffic.mean_ms * MS as f64) as u64;
    let last = run.packets[run.packets.len() - 1].at.0;
    let of_slot = |a: &Departure, b: &Departure| a.at.0 / TICK_NS == b.at.0 / TICK_NS;
    let slots = run.departures.chunk_by(of_slot);
    let sight = |slot: &[Departure], number: usize| {
        let place = match (slot.len(), number) {
            (1, _) => 0,
            (_, 0) => 1,
            (len, number) if number + 1 == len => 3,
            _ => 2,
        };
        Some(Sight { at: slot[number].at.0, place, truth: slot[number].packet? })
    };
    let all = slots.flat_map(|slot| (0..slot.len()).filter_map(move |number| sight(slot, number)));
    all.filter(|sight| (warm..last).contains(&sight.at)).collect()
}

/// What is left to guess, as a part of log2(e lambda / mu).
fn part(run: &Run, clock: Clock) -> f64 {
    let sights = sights(run);
    let (known, unknown) = sights.split_at(sights.len() / 2);
    let observer = Observer::learn(clock, run, known);
    let costs = unknown.iter().map(|sight| observer.guess(run, sight));
    let (bits, entropy) = costs.fold((0.0, 0.0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
    let count = unknown.len() as f64;
    let of_poisson = (std::f64::consts::E * run.traffic.rate() * run.traffic.mean_ms / 1000.0).log2();
    let name = if clock == Clock::Coarse { "ms" } else { "exact" };
    println!(
        "  clock {name:5}: {:.3} bits of {of_poisson:.3}, {:.4}; entropy of the guesses {:.3}; {count} departures",
        bits / count,
        bits / count / of_poisson,
        entropy / count
    );
    bits / count / of_poisson
}

fn kinds() -> [(&'static str, Traffic); 5] {
    let usual = Traffic { packets: packets(12_000), ..Traffic::default() };
    [
        ("one shard", usual),
        ("one shard, long delays", Traffic { mean_ms: 20.0, load: 0.3, ..usual }),
        ("two shards", Traffic { shards: 2, ..usual }),
        ("pulled batches", Traffic { shards: 2, links: 1, load: 0.7, ..usual }),
        ("mostly lingering", Traffic { load: 0.08, mean_ms: 25.0, ..usual }),
    ]
}

#[test]
fn a_departure_may_come_from_as_many_arrivals_as_delays_can_hide_it_among() {
    for (name, traffic) in kinds() {
        let run = run(traffic, Leak::None);
        println!("{name}: {:.0} packets/s, busy {:.2}, {} batches pulled", traffic.rate(), run.busy, run.pulled);
        assert_eq!(run.pulled > 20, name == "pulled batches", "{}", run.pulled);
        let _fine = part(&run, Clock::Fine);
        let coarse = part(&run, Clock::Coarse);
        assert!(coarse >= 0.99, "{name}: {coarse}");
    }
}

#[test]
fn delays_of_whole_milliseconds_tell_exact_clocks_more() {
    for (name, traffic) in kinds() {
        println!("{name}:");
        let whole = part(&run(traffic, Leak::None), Clock::Fine);
        let random = part(&run(Traffic { spreads_delays: true, ..traffic }, Leak::None), Clock::Fine);
        // Where batches wait for another shard, that hides it.
        assert!(whole < 0.99 || traffic.links == 1, "{name}: {whole}");
        assert!(random >= 0.99, "{name}: {random}");
    }
}

#[test]
fn an_order_or_a_shorter_wait_that_costs_entropy_is_found() {
    let traffic = Traffic { load: 0.7, ..Traffic::default() };
    for leak in [Leak::ArrivalOrder(1), Leak::HalfWait] {
        let coarse = part(&run(traffic, leak), Clock::Coarse);
        assert!(coarse < 0.99, "{coarse}");
    }
}
