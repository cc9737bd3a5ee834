use super::{Exit, NodeAccount};
use std::collections::BTreeMap;

const TEXT: &str = "HTTP/1.1 200 OK\r\n\r\n# HELP katzensprung_packets_received_total Packets that peers sent.
katzensprung_packets_received_total{shard=\"0\"} 100
katzensprung_packets_received_total{shard=\"1\"} 10
katzensprung_packets_originated_total{kind=\"decoy\"} 5
katzensprung_packets_sent_total 104
katzensprung_packets_delivered_total{to=\"decoy\"} 4
katzenpost_dropped_reason_total{reason=\"replay\"} 3
katzenpost_dropped_reason_total{reason=\"pool_exhausted\"} 0
katzensprung_packets_held 4
katzensprung_packets_lost_in_restart_total 0
katzensprung_lateness_seconds_bucket{le=\"+Inf\"} 104
";

#[test]
fn sums_over_labels_and_balances() {
    let account = NodeAccount::parse(TEXT).expect("an account");
    let dropped = BTreeMap::from([("replay".to_string(), 3)]);
    let expected =
        NodeAccount { received: 110, originated: 5, sent: 104, delivered: 4, dropped, held: 4, lost_in_restart: 0 };
    assert_eq!(account, expected);
    assert!(account.is_balanced(110, 104, Exit::Sent));
    assert!(!account.is_balanced(111, 104, Exit::Sent), "the rig sent one more");
    assert!(!account.is_balanced(110, 103, Exit::Sent), "the rig got one less");
    assert!(account.is_balanced(110, 4, Exit::Delivered), "what users have got");
    assert!(!NodeAccount { held: 3, ..account }.is_balanced(110, 104, Exit::Sent), "one has vanished");
}

#[test]
fn a_text_without_an_account_is_an_error() {
    assert!(NodeAccount::parse("HTTP/1.1 404 Not Found\r\n\r\n").is_err());
}
