use super::super::account::NodeAccount;
use super::{Latency, Report};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

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
