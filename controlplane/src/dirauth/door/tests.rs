use super::*;
use crate::dirauth::tests::authorities;

fn door(places: usize) -> Arc<Door> {
    Door::new(places, BTreeSet::new(), Metrics::new(authorities(3)).unwrap())
}

/// Somebody inside, until it is dropped or has to make room.
struct Served(tokio::task::JoinHandle<()>);

impl Served {
    fn at(door: &Arc<Door>, address: IpAddr, act: impl FnOnce(&Place)) -> Option<Self> {
        let place = door.enter(address)?;
        act(&place);
        let number = place.number();
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(place);
        });
        door.served_by(number, task.abort_handle());
        Some(Self(task))
    }

    async fn is_there(&self) -> bool {
        // What is aborted has its turn to end.
        tokio::task::yield_now().await;
        !self.0.is_finished()
    }
}

fn silent(_: &Place) {}

fn claims(peer: Peer) -> impl Fn(&Place) {
    move |place| assert!(place.claims(peer))
}

fn asks(peer: Peer) -> impl Fn(&Place) {
    move |place| {
        assert!(place.claims(peer) && place.is_heard());
        place.has_asked();
    }
}

fn takes(peer: Peer, bytes: usize) -> impl Fn(&Place) {
    move |place| {
        asks(peer)(place);
        assert!(place.takes(bytes));
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn one_address_does_not_take_all_places() {
    let door = door(1000);
    let mut places: Vec<_> = (0..CONNECTIONS_PER_ADDRESS_MAX).map(|_| door.enter(address(1)).unwrap()).collect();
    assert!(door.enter(address(1)).is_none());
    assert!(door.enter(address(2)).is_some(), "others are not concerned");
    places.pop();
    assert!(door.enter(address(1)).is_some(), "a place that is given back is one");
    let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
    let _neighbours: Vec<_> = (0..64).map(|last| door.enter(v6(last)).unwrap()).collect();
    assert!(door.enter(v6(65)).is_none(), "a /64 counts as one address");
    let _own: Vec<_> = (0..200).map(|_| door.enter(IpAddr::from([127, 0, 0, 1])).unwrap()).collect();
}

/// A claim to be an authority counts for nothing before a frame has opened: the authority itself finds its places.
#[test]
fn an_authority_has_places_that_nobody_else_can_take() {
    let door = door(1000);
    let peer = Peer::Authority(1);
    let _claims: Vec<_> = (0..50)
        .map(|_| {
            let place = door.enter(address(1)).unwrap();
            assert!(place.claims(peer));
            place
        })
        .collect();
    let proven: Vec<_> = (0..=CONNECTIONS_PER_PEER_MAX).map(|_| door.enter(address(2)).unwrap()).collect();
    let (last, others) = proven.split_last().unwrap();
    assert!(others.iter().all(|place| place.claims(peer) && place.is_heard()));
    assert!(last.claims(peer) && !last.is_heard());
    assert!(last.claims(Peer::Authority(2)) && last.is_heard());
}

/// Anybody can say that it is a node: that must not keep the node itself out.
#[test]
fn a_claim_from_elsewhere_does_not_count() {
    let door = door(1000);
    let node = Peer::Node([1; 32]);
    let _claims: Vec<_> = (0..CONNECTIONS_PER_PEER_MAX)
        .map(|_| {
            let place = door.enter(address(1)).unwrap();
            assert!(place.claims(node));
            place
        })
        .collect();
    assert!(!door.enter(address(1)).unwrap().claims(node));
    assert!(door.enter(address(2)).unwrap().claims(node));
}

/// Who has brought nothing makes room first, whatever it says it is; then who only fetches; then nodes. Authorities stay.
#[tokio::test]
async fn who_has_shown_least_makes_room() {
    let door = door(5);
    let enter = |last: u8, act: &dyn Fn(&Place)| Served::at(&door, address(last), act);
    let authority = enter(1, &asks(Peer::Authority(0))).unwrap();
    let client = enter(2, &asks(Peer::Client)).unwrap();
    let node = enter(3, &asks(Peer::Node([1; 32]))).unwrap();
    let pretender = enter(4, &claims(Peer::Authority(1))).unwrap();
    let claimed = enter(5, &claims(Peer::Node([2; 32]))).unwrap();
    let mut newcomers = Vec::new();
    for (number, leaves) in [&pretender, &claimed, &client, &node].into_iter().enumerate() {
        assert!(leaves.is_there().await, "{number}");
        newcomers.push(enter(6, &asks(Peer::Authority(2))).unwrap());
        assert!(!leaves.is_there().await, "{number}");
    }
    assert!(enter(7, &silent).is_none(), "nobody who is left makes room");
    assert!(authority.is_there().await);
    for newcomer in &newcomers {
        assert!(newcomer.is_there().await);
    }
}

/// Sixteen addresses with all the places they may have do not turn a newcomer out, however many they are.
#[tokio::test]
async fn the_address_that_has_most_makes_room() {
    let door = door(64);
    let mut attackers = Vec::new();
    let mut attack = |last: u8| attackers.push(Served::at(&door, address(last), claims(Peer::Node([last; 32]))));
    (0..60).for_each(|number| attack(number % 4));
    let honest = Served::at(&door, address(200), claims(Peer::Node([9; 32]))).unwrap();
    (0..200).for_each(|number| attack(number % 4));
    assert!(honest.is_there().await);
}

/// Where authorities are, there is room whatever others do.
#[tokio::test]
async fn the_addresses_of_authorities_have_places_of_their_own() {
    let door = Door::new(100, BTreeSet::from([address(1)]), Metrics::new(authorities(3)).unwrap());
    let from_authority = Served::at(&door, address(1), silent).unwrap();
    let _others: Vec<_> = (0..300).map(|number| Served::at(&door, address(2 + number as u8 % 200), silent)).collect();
    assert!(from_authority.is_there().await);
    assert_eq!(door.inside().guests.len(), 1 + 100 - CONNECTIONS_PER_PEER_MAX);
}

/// Uploads and documents have one budget; those of the address that has most make room for the next.
#[tokio::test]
async fn bytes_under_way_are_bounded() {
    let (door, client) = (door(1000), Peer::Client);
    let quarter = BYTES_MAX / 4;
    let alone = Served::at(&door, address(9), takes(client, 2 * BYTES_MAX)).expect("one alone may");
    let mut others = Vec::new();
    for last in [1, 1, 2, 3] {
        others.push(Served::at(&door, address(last), takes(client, quarter)).unwrap());
    }
    assert!(!alone.is_there().await);
    let small = Served::at(&door, address(1), takes(client, SMALL_BYTES)).unwrap();
    assert!(others[0].is_there().await);
    let _next = Served::at(&door, address(4), takes(client, quarter)).unwrap();
    assert!(!others[0].is_there().await && small.is_there().await);
    assert!(others[1].is_there().await && others[2].is_there().await && others[3].is_there().await);
}

#[tokio::test]
async fn an_authority_has_two_large_messages_under_way() {
    let door = door(1000);
    let large = takes(Peer::Authority(1), LARGE_MESSAGE_BYTES + 1);
    let _two: Vec<_> = (0..LARGE_MESSAGES_MAX).map(|_| Served::at(&door, address(1), &large).unwrap()).collect();
    let third = door.enter(address(1)).unwrap();
    asks(Peer::Authority(1))(&third);
    assert!(!third.takes(LARGE_MESSAGE_BYTES + 1));
    assert!(third.takes(LARGE_MESSAGE_BYTES));
    let other = door.enter(address(1)).unwrap();
    takes(Peer::Authority(2), LARGE_MESSAGE_BYTES + 1)(&other);
}
