use super::super::super::check::lateness_histogram;
use super::super::super::latency::Latency;
use super::super::super::peer::found::Peer;
use super::super::super::process::Memory;
use super::super::super::soak::found::{MemorySample, Minute, Soak};
use super::super::super::stages::Stage;
use super::super::{OpenLoop, Report, TurnRates};
use super::shares;
use super::svg::{escape, number};
use std::collections::BTreeMap;

/// Something of everything.
fn report() -> Report {
    let mut lateness = lateness_histogram();
    (1..=1000).for_each(|us| lateness.record(us).expect("within bounds"));
    let open_loop = OpenLoop {
        open_loop_packets_per_second: 1234.0,
        lateness_guarded_ms: Latency::of(&lateness),
        lateness_us: Some(lateness),
        ..OpenLoop::default()
    };
    let latency = Latency { p50: 0.2, p99: 0.9, max: 2.0 };
    let minute = |minute| Minute { minute, lateness_guarded_ms: Some(latency), ..Minute::default() };
    let memory = |second: u32| MemorySample {
        seconds: f64::from(second),
        memory: Memory { control_plane_bytes: 20 << 20, data_plane_bytes: u64::from(second) << 20 },
    };
    Report {
        sphinx: "x25519 NIKE".into(),
        shards: 1,
        turns: vec![TurnRates { node: 900.0, floor: 1000.0, width: 1.0, counts: true }; 3],
        at_80_percent: Some(open_loop.clone()),
        open_loop,
        stages: vec![Stage { name: "unwrap".into(), seconds: 1.0, samples: 10 }],
        peer: Some(Peer {
            program: "/somewhere/server".into(),
            packets_per_second: 2000.0,
            own_packets_per_second: vec![40_000.0; 3],
            ratio: 20.0,
            ..Peer::default()
        }),
        soaks: vec![Soak {
            traffic: "through",
            minutes: (1..=3).map(minute).collect(),
            memory: (0..180).map(memory).collect(),
            epoch_seconds: 20.0,
            capacity_packets_per_second: 1000.0,
            asked_packets_per_second: 800.0,
            ..Soak::default()
        }],
        account_balanced: true,
        ..Report::default()
    }
}

/// That every element that is opened is closed, in order.
fn check_elements(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (_, body) = page.split_once("</style>").expect("a style");
    for element in body.split('<').skip(1) {
        let (inside, _) = element.split_once('>').expect("an element ends");
        let name = inside.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        match inside {
            _ if name == "br" || inside.ends_with('/') => {}
            _ if inside.starts_with('/') && !["head", "html"].contains(&name) => {
                assert_eq!(open.pop(), Some(name), "{inside}")
            }
            _ if inside.starts_with('/') => {}
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn a_page_stands_for_itself_and_shows_all_that_there_is() {
    let page = report().to_html();
    check_elements(&page);
    for nothing_from_elsewhere in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!page.contains(nothing_from_elsewhere), "{nothing_from_elsewhere}");
    }
    for part in [
        "at 1,234 packets/s",
        "turn 3",
        "90 %",
        "unwrap",
        "dropped none",
        "20 times as many",
        "MiB",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
}

#[test]
fn a_page_without_figures_is_a_page_too() {
    let page = Report::default().to_html();
    check_elements(&page);
    assert!(page.contains("not good") && !page.contains("NaN"), "{page}");
}

#[test]
fn what_was_wrong_is_said_and_cannot_be_taken_for_markup() {
    let mut report = report();
    report.calls_failed = 1;
    report.call_failure = Some("<b>refused</b>".into());
    report.account.dropped = BTreeMap::from([("replay".to_owned(), 1500)]);
    let page = report.to_html();
    check_elements(&page);
    assert!(page.contains("&lt;b&gt;refused") && page.contains("1,500") && page.contains("not good"), "{page}");
    assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
}

#[test]
fn numbers_for_people() {
    let found = [0.0, 0.0123, 0.5, 12.34, 100.0, 999.6, 48_000.0, 1_234_567.0].map(number);
    assert_eq!(found, ["0", "0.012", "0.5", "12.3", "100", "1,000", "48,000", "1,234,567"]);
}

#[test]
fn every_packet_is_in_one_step() {
    let mut lateness = lateness_histogram();
    (1..=5000).for_each(|us| lateness.record(us * 7 % 5000 + 1).expect("within bounds"));
    let steps = shares(&lateness);
    let all: f64 = steps.iter().map(|(_, share)| share).sum();
    assert!((99.0..=100.0001).contains(&all), "{all}");
    assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0), "{steps:?}");
}
