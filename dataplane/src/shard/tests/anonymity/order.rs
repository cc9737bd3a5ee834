//! The order inside a slot tells nothing of the order of arrival, and nothing of link, key and kind. Whether what arrives
//! together leaves together is another matter.

use super::packets;
use super::site::{Departure, Packet, Run, Traffic, run, run_marked};
use super::statistics::{Firsts, Kendall, SIGMAS, homogeneity, uniformity};
use crate::delay::planted::Leak;
use crate::packet::pool::KeyHint;
use crate::time::Instant;
use std::collections::HashMap;

/// What is looked at, in sigmas.
type Findings = Vec<(&'static str, f64)>;

fn traffic() -> Traffic {
    Traffic {
        load: 0.45,
        packets: packets(100_000),
        other_keys_of_256: 32,
        replies_of_256: 4,
        loops_per_ms: 0.1,
        ..Traffic::default()
    }
}

/// A packet in its slot: arrival, and the classes that it is of.
#[derive(Clone, Copy)]
struct Place {
    packet: Option<Packet>,
    due: Instant,
}

impl Place {
    /// How long it was to wait.
    fn wait_ns(&self) -> u64 {
        self.packet.map_or(0, |packet| self.due.0.abs_diff(packet.at.0))
    }
}

type IsOfClass = fn(&Place) -> bool;

const CLASSES: [(&str, IsOfClass); 7] = [
    ("first link", |place| place.packet.is_some_and(|packet| packet.link == 0)),
    ("second link", |place| place.packet.is_some_and(|packet| packet.link == 1)),
    ("previous key", |place| place.packet.is_some_and(|packet| packet.key == KeyHint::Previous)),
    ("next key", |place| place.packet.is_some_and(|packet| packet.key == KeyHint::Next)),
    ("forward", |place| place.packet.is_some_and(|packet| !packet.is_reply)),
    ("reply", |place| place.packet.is_some_and(|packet| packet.is_reply)),
    ("own loop", |place| place.packet.is_none()),
];

/// The slots as they left: what each held, in the order in which it went out.
fn slots(run: &Run) -> Vec<Vec<Place>> {
    let place_of: HashMap<_, _> =
        run.departures.iter().zip(0..).map(|(departure, place)| (departure.name, place)).collect();
    let slot = |names: &Vec<_>| {
        // What was in the wheel before it was watched is left out.
        let watched = names.iter().filter(|name| run.planted.due.contains_key(*name));
        let mut places: Vec<usize> = watched.filter_map(|name| place_of.get(name).copied()).collect();
        places.sort_unstable();
        let place = |place: usize| {
            let Departure { packet, name, .. } = run.departures[place];
            Place { packet: packet.map(|number| run.packets[number]), due: run.planted.due[&name] }
        };
        places.into_iter().map(place).collect()
    };
    run.planted.slots.iter().map(slot).collect()
}

/// Everything that could be wrong with the order, in sigmas.
fn findings(run: &Run) -> Findings {
    let slots = slots(run);
    let mut found = vec![("arrival, Kendall", arrival(&slots).sigmas())];
    for (size, what) in [(3, "arrival, orders of three"), (4, "arrival, orders of four")] {
        found.push((what, uniformity(&orders(&slots, size))));
    }
    for (what, is_of_class) in CLASSES {
        let (mut first, mut tau) = (Firsts::default(), Kendall::default());
        for slot in slots.iter().filter(|slot| slot.len() > 1) {
            let values: Vec<u64> = slot.iter().map(|place| u64::from(is_of_class(place))).collect();
            first.push(values[0] == 1, values.iter().sum::<u64>() as f64 / values.len() as f64);
            tau.push(&values);
        }
        found.extend([(what, first.sigmas()), (what, tau.sigmas())]);
    }
    found
}

fn arrivals(slot: &[Place]) -> Vec<u64> {
    slot.iter().filter_map(|place| place.packet.map(|packet| packet.at.0)).collect()
}

fn arrival(slots: &[Vec<Place>]) -> Kendall {
    let mut tau = Kendall::default();
    slots.iter().for_each(|slot| tau.push(&arrivals(slot)));
    tau
}

/// How often each order occurs in slots of so many packets.
fn orders(slots: &[Vec<Place>], size: usize) -> Vec<u64> {
    let mut counts = vec![0; (1..=size).product()];
    for slot in slots.iter().map(|slot| arrivals(slot)).filter(|slot| slot.len() == size) {
        counts[rank(&slot)] += 1;
    }
    counts
}

fn rank(order: &[u64]) -> usize {
    let mut rank = 0;
    for (place, item) in order.iter().enumerate() {
        let smaller_later = order[place + 1..].iter().filter(|later| *later < item).count();
        rank = rank * (order.len() - place) + smaller_later;
    }
    rank
}

/// Whether two packets of one slot have waited times that are nearer to each other than those of two slots far apart:
/// chi-squared over the differences.
fn company(slots: &[Vec<Place>]) -> f64 {
    const APART: usize = 200;
    let waits = |slot: &Vec<Place>| slot.iter().filter(|place| place.packet.is_some()).map(Place::wait_ns).collect();
    let waits: Vec<Vec<u64>> = slots.iter().map(waits).filter(|waits: &Vec<u64>| waits.len() > 1).collect();
    let (mut near, mut far) = ([0; 6], [0; 6]);
    // Three milliseconds each: how long batches take blurs the limits between them, not what lies between limits.
    let bin = |a: u64, b: u64| ((a.abs_diff(b) + 500_000) / 3_000_000).min(5) as usize;
    waits.iter().for_each(|waits| near[bin(waits[0], waits[1])] += 1);
    waits.iter().zip(waits.iter().skip(APART)).step_by(2).for_each(|(a, b)| far[bin(a[0], b[0])] += 1);
    homogeneity(&near, &far)
}

fn print(found: &Findings) {
    found.iter().for_each(|(what, sigmas)| println!("{what:24} {sigmas:6.2}"));
}

/// The largest of the values of this name.
fn largest(found: &Findings, wanted: &str) -> f64 {
    found.iter().filter(|(what, _)| *what == wanted).map(|(_, sigmas)| sigmas.abs()).fold(0.0, f64::max)
}

#[test]
fn the_order_inside_a_slot_tells_nothing() {
    let run = run(traffic(), Leak::None);
    println!("{} packets in {} slots, busy {:.2}", run.packets.len(), run.planted.slots.len(), run.busy);
    let found = findings(&run);
    print(&found);
    let worst = found.iter().filter(|(_, sigmas)| sigmas.is_nan() || sigmas.abs() >= SIGMAS);
    assert_eq!(worst.collect::<Vec<_>>(), Vec::<&(&str, f64)>::new());
}

/// What was read together has one time of arrival; with the same number of whole milliseconds it leaves in one slot.
#[test]
fn whole_milliseconds_keep_company_and_parts_of_them_keep_less() {
    let traffic = Traffic { packets: 20_000, ..traffic() };
    let whole = company(&slots(&run(traffic, Leak::None)));
    let random = company(&slots(&run(Traffic { spreads_delays: true, ..traffic }, Leak::None)));
    println!("company: {whole:.1} sigmas, {random:.1} with parts of milliseconds");
    assert!(whole >= SIGMAS && random < whole / 2.0, "{whole}, {random}");
}

#[test]
fn an_order_that_tells_something_is_found() {
    let less = Traffic { packets: 12_000, replies_of_256: 8, ..traffic() };
    let by_arrival = findings(&run(less, Leak::ArrivalOrder(1)));
    let of = |is_marked: fn(&Packet) -> bool| findings(&run_marked(less, Leak::First(2), is_marked));
    let planted = [
        (&by_arrival, "arrival, Kendall"),
        (&by_arrival, "arrival, orders of three"),
        (&of(|packet| packet.link == 1), "second link"),
        (&of(|packet| packet.key == KeyHint::Previous), "previous key"),
        (&of(|packet| packet.is_reply), "reply"),
    ];
    for (found, what) in planted {
        println!("planted: {what}: {:.1} sigmas", largest(found, what));
        assert!(largest(found, what) >= SIGMAS, "{what}: {found:?}");
    }
    assert!(company(&slots(&run(less, Leak::Together))) >= SIGMAS);
}
