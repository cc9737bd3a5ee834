//! Questions and answers as other hosts write them, and what nobody should believe.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const OWN_MAC: Mac = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: Mac = [2, 0, 0, 0, 0, 9];
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const OWN_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OTHER_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xab, 0xcdef);
const SECOND: u64 = 1_000_000_000;

fn network() -> Network {
    Network { addresses: vec![(OWN.into(), 24), (OWN_6.into(), 64)], next_hops: Vec::new(), fixed: Vec::new() }
}

fn neighbours() -> Neighbours {
    Neighbours::new(network(), OWN_MAC)
}

fn hears(one: &mut Neighbours, frame: &[u8]) -> Option<Vec<u8>> {
    let mut answer = None;
    one.heard(frame, Instant(SECOND), |frame| answer = Some(frame.to_vec()));
    answer
}

fn asks(one: &mut Neighbours, to: impl Into<IpAddr>, at: u64) -> (Option<Mac>, Option<Vec<u8>>) {
    let mut question = None;
    let mac = one.find(to.into(), Instant(at), |frame| question = Some(frame.to_vec()));
    (mac, question)
}

#[test]
fn who_asks_for_our_address_by_arp_is_answered() {
    // "Who has 192.0.2.1? Tell 192.0.2.9", as hosts send it.
    let question = [
        &[0xff; 6][..],
        &OTHER_MAC,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &OTHER_MAC,
        &OTHER.octets(),
        &[0; 6],
        &OWN.octets(),
    ]
    .concat();
    let answer = hears(&mut neighbours(), &question).expect("an answer");
    let expected = [
        &OTHER_MAC[..],
        &OWN_MAC,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
        &OWN_MAC,
        &OWN.octets(),
        &OTHER_MAC,
        &OTHER.octets(),
        &[0; 18],
    ]
    .concat();
    assert_eq!(answer, expected);
    let mut elsewhere = question;
    elsewhere[41] = 2;
    assert_eq!(hears(&mut neighbours(), &elsewhere), None);
}

#[test]
fn who_solicits_our_address_gets_an_advertisement() {
    let question = messages::question(OTHER_MAC, OTHER_6.into(), OWN_6.into()).expect("one family");
    assert_eq!(question[..6], [0x33, 0x33, 0xff, 0, 0, 1]);
    let answer = hears(&mut neighbours(), &question).expect("an answer");
    assert_eq!((&answer[..6], &answer[6..12]), (&OTHER_MAC[..], &OWN_MAC[..]));
    // ICMPv6 in 255 hops from us to the asker; solicited, override, our address, and our card as an option.
    assert_eq!((answer[20], answer[21]), (58, 255));
    assert_eq!((&answer[22..38], &answer[38..54]), (&OWN_6.octets()[..], &OTHER_6.octets()[..]));
    assert_eq!((answer[54], answer[58]), (136, 0x60));
    assert_eq!(answer[62..78], OWN_6.octets());
    assert_eq!(answer[78..], [2, 1, 2, 0, 0, 0, 0, 1]);
    // The checksum by RFC 4443, worked out in another way.
    let pseudo = [&answer[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &answer[54..]].concat();
    let sum = pseudo.chunks(2).fold(0_u32, |sum, word| {
        let sum = sum + u32::from(u16::from_be_bytes([word[0], word[1]]));
        (sum & 0xffff) + (sum >> 16)
    });
    assert_eq!(sum, 0xffff);
    // Who only looks whether it is taken has no address yet: everybody hears the answer.
    let looks = messages::question(OTHER_MAC, Ipv6Addr::UNSPECIFIED.into(), OWN_6.into()).expect("one family");
    assert_eq!(hears(&mut neighbours(), &looks).expect("an answer")[..6], [0x33, 0x33, 0, 0, 0, 1]);
}

#[test]
fn a_neighbour_is_asked_for_once_a_second_until_it_answers() {
    let mut one = neighbours();
    let (mac, question) = asks(&mut one, OTHER, SECOND);
    assert_eq!(mac, None);
    assert_eq!(asks(&mut one, OTHER, SECOND + 1), (None, None));
    assert!(asks(&mut one, OTHER, 2 * SECOND).1.is_some());
    let mut other = Neighbours::new(Network { addresses: vec![(OTHER.into(), 24)], ..network() }, OTHER_MAC);
    let answer = hears(&mut other, &question.expect("a question")).expect("an answer");
    assert_eq!(hears(&mut one, &answer), None);
    assert_eq!(asks(&mut one, OTHER, 2 * SECOND), (Some(OTHER_MAC), None));
    // Who has asked us is known as well.
    assert_eq!(asks(&mut other, OWN, SECOND), (Some(OWN_MAC), None));
    // After a minute of use it is looked after, and used meanwhile.
    let (mac, question) = asks(&mut one, OTHER, 62 * SECOND);
    assert!(mac == Some(OTHER_MAC) && question.is_some());
}

#[test]
fn who_is_far_is_behind_the_next_hop_or_behind_who_brought_a_frame() {
    let mut one = neighbours();
    assert_eq!(asks(&mut one, FAR, SECOND), (None, None));
    one.seen(FAR.into(), OTHER_MAC, Instant(SECOND));
    assert_eq!(asks(&mut one, FAR, SECOND), (Some(OTHER_MAC), None));
    // Who is near is asked: a datagram proves nothing.
    one.seen(OTHER.into(), OTHER_MAC, Instant(SECOND));
    assert_eq!(asks(&mut one, OTHER, SECOND).0, None);
    let fixed = vec![(OTHER.into(), [2, 7, 7, 7, 7, 7])];
    let network = Network { next_hops: vec![OTHER.into()], fixed, ..network() };
    let mut behind = Neighbours::new(network, OWN_MAC);
    behind.seen(FAR.into(), OTHER_MAC, Instant(SECOND));
    assert_eq!(asks(&mut behind, FAR, SECOND), (Some([2, 7, 7, 7, 7, 7]), None));
}

#[test]
fn what_nobody_should_believe_is_not_believed() {
    let mut one = Neighbours::new(Network { fixed: vec![(OTHER.into(), [2, 7, 7, 7, 7, 7])], ..network() }, OWN_MAC);
    let says = |mac: Mac, address: Ipv4Addr| messages::answer(mac, address.into(), Some(OWN.into()), OWN_MAC).unwrap();
    hears(&mut one, &says(OTHER_MAC, OTHER));
    assert_eq!(asks(&mut one, OTHER, SECOND).0, Some([2, 7, 7, 7, 7, 7]));
    // An answer without a question, our own address, a group.
    hears(&mut one, &says(OTHER_MAC, Ipv4Addr::new(192, 0, 2, 50)));
    assert_eq!(asks(&mut one, Ipv4Addr::new(192, 0, 2, 50), SECOND).0, None);
    hears(&mut one, &says(OTHER_MAC, OWN));
    assert!(!one.entries.contains_key(&OWN.into()));
    hears(&mut one, &says([1, 0, 0x5e, 0, 0, 1], Ipv4Addr::new(192, 0, 2, 50)));
    assert_eq!(asks(&mut one, Ipv4Addr::new(192, 0, 2, 50), SECOND).0, None);
    // Of neighbour discovery: what has passed a router, a wrong checksum, an option without a length.
    let question = messages::question(OTHER_MAC, OTHER_6.into(), OWN_6.into()).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut frame = question.clone();
        frame[at] = byte;
        frame
    };
    assert_eq!(hears(&mut one, &changed(21, 254)), None);
    assert_eq!(hears(&mut one, &changed(56, question[56] ^ 1)), None);
    assert_eq!(hears(&mut one, &changed(79, 0)), None);
    for end in 0..question.len() {
        assert_eq!(hears(&mut one, &question[..end]), None, "{end}");
    }
    // The table does not grow without end.
    for number in 0..2 * ENTRIES_MAX as u32 {
        one.seen(Ipv4Addr::from(0x0a00_0000 + number).into(), OTHER_MAC, Instant(SECOND));
    }
    assert_eq!(one.entries.len(), ENTRIES_MAX);
    // Who is heard of stays, who was forgotten makes room for who comes then, what is configured stays for ever.
    let (first, late) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(203, 0, 113, 5));
    one.seen(late.into(), OTHER_MAC, Instant(2 * SECOND));
    assert_eq!(asks(&mut one, late, 2 * SECOND).0, None);
    one.seen(first.into(), OTHER_MAC, Instant(100 * SECOND));
    one.seen(late.into(), OTHER_MAC, Instant(122 * SECOND));
    assert_eq!([first, late].map(|to| asks(&mut one, to, 122 * SECOND).0), [Some(OTHER_MAC); 2]);
    assert_eq!(one.entries.len(), 3);
}
