use super::super::account::NodeAccount;
use super::super::check::lateness_histogram;
use super::super::cpu::CpuTime;
use super::super::drive::Phase;
use super::super::floor::FloorRates;
use super::super::guard::Guarded;
use super::super::latency::Latency;
use super::{Report, Turn, TurnRates};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

fn good() -> Report {
    let account = NodeAccount { received: 10, sent: 10, ..NodeAccount::default() };
    Report { packets_sent: 10, packets_received: 10, account_balanced: true, account, ..Report::default() }
}

#[test]
fn no_packet_has_no_lateness() {
    let mut times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
    assert_eq!(Latency::of(&times), None);
    times.record(1500).expect("within bounds");
    assert_eq!(Latency::of(&times), Some(Latency { p50: 1.5, p99: 1.5, max: 1.5 }));
    let text = good().to_string();
    assert!(text.contains("lateness none measured"), "{text}");
    let json = good().to_json().expect("JSON");
    assert!(json.contains(r#""lateness_ms":null"#) && json.contains(r#""good":true"#), "{json}");
}

#[test]
fn a_bad_outcome_says_why() {
    assert!(good().is_good());
    let dropped = BTreeMap::from([("unwrap_failed".to_owned(), 3)]);
    let account = NodeAccount { received: 9, sent: 6, dropped, ..NodeAccount::default() };
    let lost = Report { packets_received: 6, packets_lost: 4, account_balanced: false, account, ..good() };
    let text = lost.to_string();
    for part in ["NOT GOOD: 4 packets never came out", "the node dropped 3 as unwrap_failed", "1 have not reached it"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("the account does not balance: the rig sent 10 and got 6"), "{text}");
    let unreachable = Report { calls: 3, calls_failed: 1, call_failure: Some("refused".into()), ..good() };
    assert_eq!(unreachable.faults(), ["1 of 4 new links came to nothing under load, the first: refused"]);
    assert_eq!(Report { packets_duplicate: 2, ..good() }.faults(), ["2 packets came out twice"]);
}

#[test]
fn halves_of_one_core_are_named() {
    let shared = Report { node_processors: vec![0], rig_processor: Some(1), rig_shares_core: true, ..good() };
    assert!(shared.to_string().contains("THE OTHER HALF OF A CORE"), "{shared}");
    let apart = Report { rig_shares_core: false, ..shared };
    assert!(apart.to_string().contains("placement     node 0, rig 1"), "{apart}");
}

/// A turn of a second in which the node used a processor for `busy` of it.
fn turn(node: u64, floor: f64, busy: f64) -> Turn {
    let cpu = |share: f64| CpuTime { used: Duration::from_secs_f64(share), waited: Duration::from_millis(10) };
    let phase = Phase {
        packets_per_second: node as f64,
        packets: node,
        node_cpu: cpu(busy),
        duration: Duration::from_secs(1),
        rig_cpu: cpu(0.5),
        lateness_us: lateness_histogram(),
        guarded: Guarded::default(),
        held_up_us: lateness_histogram(),
        without_packets: Duration::ZERO,
    };
    Turn { floor: FloorRates { unwraps_per_second: floor * 2.0, packets_per_second: floor }, width: 4.5, phase }
}

#[test]
fn the_ratio_to_the_floor_is_the_median_of_the_turns_and_not_that_of_medians() {
    let turns = [turn(1000, 2000.0, 1.0), turn(3000, 4000.0, 1.0), turn(2000, 2500.0, 0.4)];
    let mut report = Report { shards: 1, ..good() };
    report.set_capacity(&turns, 4.5);
    let found = (report.packets_per_second, report.floor_packets_per_second, report.unwrap_only_packets_per_second);
    assert_eq!(found, (2000.0, 2500.0, 5000.0));
    assert_eq!(report.node_to_floor, 0.75, "of 0.5, 0.75 and 0.8");
    assert_eq!(report.turns[1], TurnRates { node: 3000.0, floor: 4000.0, width: 1.0, counts: true });
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    close(report.measured_seconds, 3.0);
    close(report.cpu_us_per_packet, 400.0);
    close(report.node_cpu_share, 0.8);
    close(report.node_wait_share, 0.01);
    close(report.rig_cpu_share, 0.5);
    let text = report.to_string();
    assert!(
        text.contains("in 3 turns with the node at the full width of the core; the node does 75 % of it"),
        "{text}"
    );
    let mut twice = Report { shards: 2, ..good() };
    twice.set_capacity(&turns, 4.5);
    close(twice.node_to_floor, 0.375);
    close(twice.node_cpu_share, 0.4);
}

#[test]
fn turns_with_a_neighbour_on_the_core_do_not_count_if_most_have_none() {
    let with_neighbour = |turn: Turn| Turn { width: 2.4, ..turn };
    let mut turns = vec![turn(1000, 2000.0, 1.0), turn(3000, 4000.0, 1.0), with_neighbour(turn(9000, 9000.0, 1.0))];
    let mut report = Report { shards: 1, ..good() };
    report.set_capacity(&turns, 4.5);
    assert_eq!(report.turns.iter().map(|turn| turn.counts).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((report.node_to_floor, report.floor_at_full_width), (0.75, true), "the upper of 0.5 and 0.75");
    turns.remove(0);
    report.set_capacity(&turns, 4.5);
    assert!(report.turns.iter().all(|turn| turn.counts) && !report.floor_at_full_width);
    assert!(report.to_string().contains("A NEIGHBOUR ON THE CORE IN MOST"), "{report}");
}
