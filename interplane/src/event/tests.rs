use super::*;
use crate::ring::EVENT_BYTES_MAX;

#[test]
fn details_are_cut_between_characters() {
    assert_eq!(Detail::new("short").to_string(), "short");
    assert_eq!(Detail::new("x".repeat(1000)).to_string().len(), DETAIL_BYTES_MAX);
    let cut = Detail::new(format_args!("{}{}", "x".repeat(DETAIL_BYTES_MAX - 1), "ö and more")).to_string();
    assert_eq!(cut, "x".repeat(DETAIL_BYTES_MAX - 1));
}

#[test]
fn the_longest_event_fits_a_record() {
    let peer = Peer { id: Some([0xff; 32]), address: Some("[ffff:ffff::ffff%4294967295]:65535".parse().expect("ok")) };
    let event = Event::HandshakeFailed {
        direction: Direction::Outgoing,
        state: HandshakeState::Other,
        peer,
        detail: Detail::new("x".repeat(1000)),
    };
    assert!(postcard::to_stdvec(&event).expect("events encode").len() <= EVENT_BYTES_MAX);
}
