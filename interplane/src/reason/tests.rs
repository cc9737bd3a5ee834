use super::*;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn labels_are_unique_and_well_formed() {
    let labels: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.label()).collect();
    assert_eq!(labels.len(), DropReason::COUNT);
    for (index, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index);
        assert_eq!(DropReason::LABELS[index], reason.label());
        assert!(reason.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(!reason.also().is_empty(), "{reason} counts nowhere else");
    }
}

/// server.md 3.10 in short: what the reference has under these labels.
#[test]
fn reference_rows_keep_their_counters() {
    use Also::*;
    for (label, also) in [
        ("gateway_rate_limited", &[Packets, RateLimit][..]),
        ("scheduler_queue_overflow", &[Packets, MixPackets]),
        ("bolt_pop_deadline_blown", &[Packets, Outgoing, DeadlineBlown]),
        ("bolt_pop_s11n_failure", &[Packets, Outgoing, Invalid]),
        ("dispatch_nil_next_hop", &[Packets, Invalid]),
        ("outgoing_send_deadline_blown", &[Packets, Outgoing, DeadlineBlown]),
        ("kaetzchen_dwell_exceeded", &[Packets, KaetzchenPackets]),
        ("kaetzchen_unknown_recipient", &[KaetzchenRequests]),
        ("kaetzchen_handler_failed", &[KaetzchenFailed]),
        ("unwrap_failed", &[Packets]),
    ] {
        let reason = DropReason::ALL.iter().find(|reason| reason.label() == label).expect(label);
        assert_eq!(reason.also(), also, "{label}");
    }
}

#[test]
fn reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/drop-reasons.md");
    if std::env::var_os("KATZENSPRUNG_BLESS").is_some() {
        std::fs::write(&path, markdown()).expect("the reference page can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("the reference page can be read");
    assert!(committed == markdown(), "{} is old: run this test with KATZENSPRUNG_BLESS=1", path.display());
}
