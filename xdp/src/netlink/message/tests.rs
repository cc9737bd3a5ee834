use super::*;
use proptest::prelude::*;

/// A message put together by hand.
fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn with(mut head: Vec<u8>, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    attributes.iter().for_each(|(kind, value)| attribute(&mut head, *kind, value));
    head
}

fn one(kind: u16, body: &[u8]) -> Answer {
    let bytes = message(kind, 0, 5, body);
    let found: Vec<_> = answers(&bytes).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0, found[0].1), (5, false));
    found[0].2
}

fn link_head(kind: u16, index: u32) -> Vec<u8> {
    let mut head = vec![0, 0];
    head.extend(kind.to_ne_bytes());
    head.extend(index.to_ne_bytes());
    head.extend([0; 8]);
    head
}

#[test]
fn an_interface() {
    let mac = [2, 3, 4, 5, 6, 7];
    let attributes: &[(u16, &[u8])] = &[(3, b"eth0\0"), (1, &mac), (4, &1500_u32.to_ne_bytes())];
    let found = one(NEW_LINK, &with(link_head(1, 9), attributes));
    assert_eq!(found, Answer::Link(Link { index: 9, mtu: 1500, mac: Some(mac) }));
    // Loopback has an address of six bytes too.
    let found = one(NEW_LINK, &with(link_head(772, 1), attributes));
    assert_eq!(found, Answer::Link(Link { index: 1, mtu: 1500, mac: None }));
}

#[test]
fn an_address() {
    let mut head = vec![2, 24, 0, 0];
    head.extend(3_u32.to_ne_bytes());
    let attributes: &[(u16, &[u8])] = &[(1, &[192, 0, 2, 9]), (2, &[192, 0, 2, 1])];
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(one(NEW_ADDRESS, &with(head.clone(), attributes)), Answer::Address { interface: 3, address });
    let address = "192.0.2.9".parse().unwrap();
    assert_eq!(one(NEW_ADDRESS, &with(head.clone(), &attributes[..1])), Answer::Address { interface: 3, address });
    assert_eq!(one(NEW_ADDRESS, &head), Answer::Other);
}

#[test]
fn a_route() {
    let head = |kind: u8| vec![2, 32, 0, 0, 254, 0, 0, kind, 0, 0, 0, 0];
    let interface = 4_u32.to_ne_bytes();
    let attributes: &[(u16, &[u8])] = &[(4, &interface), (5, &[192, 0, 2, 1]), (7, &[192, 0, 2, 7])];
    let mut route = Route {
        interface: 4,
        router: Some("192.0.2.1".parse().unwrap()),
        from: Some("192.0.2.7".parse().unwrap()),
        is_unicast: true,
    };
    assert_eq!(one(NEW_ROUTE, &with(head(1), attributes)), Answer::Route(route));
    // A router of the other family.
    let mut via = 10_u16.to_ne_bytes().to_vec();
    via.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    route.router = Some("fe80::1".parse().unwrap());
    (route.from, route.is_unicast) = (None, false);
    assert_eq!(one(NEW_ROUTE, &with(head(2), &[(4, &interface), (18, &via)])), Answer::Route(route));
}

#[test]
fn a_neighbour_is_usable_in_some_states() {
    let mac = [2, 3, 4, 5, 6, 7];
    let states = [(0x01, false, false), (0x02, true, true), (0x04, true, false), (0x08, true, false)];
    for (state, is_usable, is_confirmed) in states.into_iter().chain([
        (0x10, true, false),
        (0x20, false, false),
        (0x40, true, true),
        (0x80, true, true),
        (0, false, false),
    ]) {
        let mut head = vec![2, 0, 0, 0, 3, 0, 0, 0];
        head.extend(u16::to_ne_bytes(state));
        head.extend([0, 1]);
        let neighbour = Neighbour { mac: is_usable.then_some(mac), is_confirmed };
        assert_eq!(one(NEW_NEIGHBOUR, &with(head, &[(1, &[192, 0, 2, 9]), (2, &mac)])), Answer::Neighbour(neighbour));
    }
}

#[test]
fn refusals_and_the_end() {
    assert_eq!(one(DONE, &[0; 4]), Answer::Done);
    assert_eq!(one(FAILED, &(-2_i32).to_ne_bytes()), Answer::Failed(Errno::NOENT));
    assert_eq!(one(FAILED, &0_i32.to_ne_bytes()), Answer::Done);
    for strange in [i32::MIN, i32::MAX, 1, -5000] {
        assert_eq!(one(FAILED, &strange.to_ne_bytes()), Answer::Failed(Errno::INVAL));
    }
    assert_eq!(one(FAILED, &[]), Answer::Other);
    assert_eq!(one(77, &[1, 2, 3]), Answer::Other);
}

#[test]
fn several_messages_in_one_piece() {
    let bytes = [message(77, 2, 1, &[1]), message(DONE, 2, 2, &[0; 4])].concat();
    let found: Vec<_> = answers(&bytes).collect();
    assert_eq!(found, [(1, true, Answer::Other), (2, true, Answer::Done)]);
}

#[test]
fn questions_say_their_length() {
    let mut question = Vec::new();
    ask_route(&mut question, 9, "192.0.2.1".parse().unwrap());
    assert_eq!(question.len(), 16 + 12 + 8);
    assert_eq!(u32_at(&question, 0), Some(36));
    assert_eq!((u16_at(&question, 4), u32_at(&question, 8)), (Some(GET_ROUTE), Some(9)));
    assert_eq!(question[17], 32);
    question.clear();
    ask_neighbour(&mut question, 1, 3, "2001:db8::1".parse().unwrap());
    assert_eq!((question.len(), question[16]), (16 + 12 + 20, 10));
    question.clear();
    ask_link(&mut question, 1, "veth0");
    assert_eq!(question.len(), 16 + 16 + 12);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(answers(&bytes).count() <= bytes.len() / 16);
    }

    #[test]
    fn hostile_bodies_never_panic(
        kind in prop::sample::select(vec![NEW_LINK, NEW_ADDRESS, NEW_ROUTE, NEW_NEIGHBOUR, FAILED]),
        body in prop::collection::vec(prop_oneof![any::<u8>(), 0..12_u8], 0..120),
    ) {
        one(kind, &body);
    }
}
