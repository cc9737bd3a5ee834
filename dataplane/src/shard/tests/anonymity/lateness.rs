//! How late a packet leaves tells nothing of what it is.
//!
//! Lateness is counted from the moment at which the wheel has the packet due; what a packet stays beyond its delay is
//! counted from its arrival, as its sender would. How busy the shards are shows in both: so links out, whose owners are
//! more or less busy, are compared each within itself, as everybody sees to whom a packet goes.

use super::packets;
use super::site::{Departure, Packet, Run, Traffic, run, run_marked};
use super::statistics::{Moments, SIGMAS, uniformity, welch};
use crate::delay::TICK_NS;
use crate::delay::planted::Leak;
use crate::packet::pool::KeyHint;
use std::collections::HashMap;
use std::time::Duration;

type IsOfClass = fn(&Run, usize, &Packet) -> bool;
type Measure = fn(&Run, &Departure, &Packet) -> f64;
type Findings = Vec<(&'static str, f64)>;

const KEYS: [(&str, IsOfClass); 2] = [
    ("previous key", |_, _, packet| packet.key == KeyHint::Previous),
    ("next key", |_, _, packet| packet.key == KeyHint::Next),
];

const OTHERS: [(&str, IsOfClass); 3] = [
    ("reply", |_, _, packet| packet.is_reply),
    ("first link", |_, _, packet| packet.link == 0),
    ("sent by another shard", |run, _, packet| run.owners[&packet.to] != run.readers[packet.link]),
];

/// Shards help each other when there is much to do, and then everything is later: said, not asserted.
const HELPER: (&str, IsOfClass) =
    ("unwrapped by a helper", |run, number, packet| run.unwrapped_by.get(&number) != Some(&run.readers[packet.link]));

/// Counted from the due moment of the wheel.
fn late(run: &Run, departure: &Departure, _: &Packet) -> f64 {
    departure.at.0 as f64 - run.planted.due[&departure.name].0 as f64
}

/// Counted from the arrival and the delay.
fn overstay(_: &Run, departure: &Departure, packet: &Packet) -> f64 {
    departure.at.0 as f64 - packet.due().0 as f64
}

/// Welch's t of each class against all others; none where a class is nearly empty.
fn findings(run: &Run, classes: &[(&'static str, IsOfClass)], measure: Measure) -> Findings {
    let with_packets = || run.departures.iter().filter_map(|departure| Some((departure, departure.packet?)));
    let mut of_link: HashMap<u8, Moments> = HashMap::new();
    for (departure, number) in with_packets() {
        let packet = &run.packets[number];
        of_link.entry(packet.to).or_default().push(measure(run, departure, packet));
    }
    let mut found = Vec::new();
    for (what, is_of_class) in classes {
        let mut moments = [Moments::default(); 2];
        for (departure, number) in with_packets() {
            let packet = &run.packets[number];
            let value = measure(run, departure, packet) - of_link[&packet.to].mean;
            moments[usize::from(is_of_class(run, number, packet))].push(value);
        }
        if moments.iter().all(|class| class.count > 100.0) {
            let [others, class] = &moments;
            let t = welch(class, others);
            println!("  {what:22} t {t:6.2}: {:6.1} and {:6.1} us", class.mean / 1e3, others.mean / 1e3);
            found.push((*what, t));
        }
    }
    found
}

/// The node's own loops have no arrival: in which slot of a millisecond they leave.
fn own_loops(run: &Run) -> Findings {
    const SLOTS: u64 = 4;
    let mut slots = [0; SLOTS as usize];
    // How busy the shard is when it makes them shows within a slot: not looked at here.
    let mut moments = [Moments::default(); 2];
    for departure in &run.departures {
        moments[usize::from(departure.packet.is_none())].push((departure.at.0 % TICK_NS) as f64);
        if departure.packet.is_none() {
            slots[(departure.at.0 / TICK_NS % SLOTS) as usize] += 1;
        }
    }
    let [others, own] = &moments;
    println!(
        "  own loops: {slots:?} by slot, {:.2}; within their slots t {:.2}: {:.1} and {:.1} us",
        uniformity(&slots),
        welch(own, others),
        own.mean / 1e3,
        others.mean / 1e3
    );
    vec![("own loop", uniformity(&slots))]
}

fn assert_nothing(name: &str, load: f64, found: &Findings) {
    let worst: Vec<_> = found.iter().filter(|(_, t)| t.is_nan() || t.abs() >= SIGMAS).collect();
    assert!(worst.is_empty(), "{name} at {load}: {worst:?}");
}

fn check(load: f64) {
    let usual = Traffic { packets: packets(8_000), load, ..Traffic::default() };
    let kinds = [
        // One pass more for each other key and one in vain: such a node carries half as much.
        ("other keys", Traffic { other_keys_of_256: 16, load: 0.5 * load, ..usual }),
        ("replies and loops", Traffic { replies_of_256: 24, loops_per_ms: 0.5, ..usual }),
        ("two shards", Traffic { shards: 2, links: 2, ..usual }),
        ("two shards, one link", Traffic { shards: 2, links: 1, ..usual }),
    ];
    for (name, traffic) in kinds {
        let run = run(traffic, Leak::None);
        println!("{name}, load {load}: busy {:.2}, {} batches pulled", run.busy, run.pulled);
        let mut found = findings(&run, &[&KEYS[..], &OTHERS].concat(), late);
        if traffic.loops_per_ms > 0.0 {
            found.extend(own_loops(&run));
        }
        assert_nothing(name, load, &found);
        let _said = findings(&run, &[HELPER], late);
    }
}

#[test]
fn lateness_tells_nothing_at_a_tenth_of_the_load() {
    check(0.1);
}

#[test]
fn lateness_tells_nothing_at_half_load() {
    check(0.5);
}

#[test]
fn lateness_tells_nothing_at_four_fifths_of_the_load() {
    check(0.8);
}

/// What is for another key than the link's last packet takes one more pass, and its whole batch with it: if delays
/// counted from the end of that, the class would show in what its packets stay beyond their delays.
#[test]
fn keys_do_not_show_because_delays_count_from_the_arrival() {
    for load in [0.1, 0.5, 0.8] {
        let traffic =
            Traffic { packets: packets(8_000), other_keys_of_256: 16, load: 0.5 * load, ..Traffic::default() };
        println!("load {load}, counted from the arrival:");
        assert_nothing("keys", load, &findings(&run(traffic, Leak::None), &KEYS, overstay));
    }
}

#[test]
fn a_late_class_is_found() {
    let traffic = Traffic { packets: 8_000, other_keys_of_256: 16, load: 0.05, ..Traffic::default() };
    let is_marked = |packet: &Packet| packet.key == KeyHint::Previous;
    let run_late = run_marked(traffic, Leak::Late(Duration::from_micros(60)), is_marked);
    let found = findings(&run_late, &KEYS, overstay);
    assert!(found[0].1 >= SIGMAS, "{found:?}");
    let traffic = Traffic { packets: 4_000, load: 0.1, loops_per_ms: 0.5, ..traffic };
    let found = own_loops(&run(traffic, Leak::OwnOnGrid(Duration::from_millis(1))));
    assert!(found[0].1 >= SIGMAS, "{found:?}");
}
