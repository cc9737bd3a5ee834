use super::*;
use client::{Outcome, Ping};
use pki::Epoch;

fn ping(number: u64, seconds: u64, outcome: Outcome) -> Ping {
    let sent_unix = Some(Duration::from_secs(1_000_000 + seconds));
    Ping { number, epoch: Some(Epoch(1)), sent_unix, forward: Vec::new(), reply: Vec::new(), outcome }
}

#[test]
fn what_was_answered_is_a_point_and_what_was_lost_a_line() {
    let answered = |number, ms| ping(number, number, Outcome::Answered { rtt: Duration::from_millis(ms) });
    let lost = ping(2, 2, Outcome::TimedOut { after: Duration::from_secs(9) });
    let unsent = Ping { sent_unix: None, ..ping(3, 0, Outcome::NotSent { reason: "none".into() }) };
    let pings = vec![answered(0, 1), answered(1, 100), lost, unsent, answered(4, 1000)];
    let picture = svg(&Report { pings });
    assert_eq!((picture.matches("h0").count(), picture.matches("v18").count()), (3, 1), "{picture}");
    // From 1 ms at the bottom to 1 s at the top; the last one is at the right.
    assert!(picture.contains("M60.0 256.0h0"), "{picture}");
    assert!(picture.contains("M231.0 126.7h0"), "{picture}");
    assert!(picture.contains("M744.0 62.0h0"), "{picture}");
    assert!(picture.contains("5 pings, 3 answered"));
}

#[test]
fn nothing_sent_is_a_picture_too() {
    let picture = svg(&Report::default());
    assert!(picture.ends_with("</svg>\n") && !picture.contains("NaN"), "{picture}");
}
