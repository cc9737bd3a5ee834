use super::*;
use crate::dirauth::tests::authorities;

fn door(places: usize) -> Arc<Door> {
    Door::new(places, Metrics::new(authorities(3)).unwrap())
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

#[test]
fn one_peer_does_not_take_all_places() {
    let door = door(1000);
    let peer = Peer::Authority(1);
    let places: Vec<_> = (0..=CONNECTIONS_PER_PEER_MAX).map(|_| door.enter(address(1)).unwrap()).collect();
    let (last, others) = places.split_last().unwrap();
    assert!(others.iter().all(|place| place.is_of(peer)));
    assert!(!last.is_of(peer));
    assert!(last.is_of(Peer::Authority(2)));
}

/// Anybody can say that it is a node: that must not keep the node itself out.
#[test]
fn a_claim_from_elsewhere_does_not_count() {
    let door = door(1000);
    let node = Peer::Node([1; 32]);
    let _claims: Vec<_> = (0..CONNECTIONS_PER_PEER_MAX)
        .map(|_| {
            let place = door.enter(address(1)).unwrap();
            assert!(place.is_of(node));
            place
        })
        .collect();
    assert!(!door.enter(address(1)).unwrap().is_of(node));
    assert!(door.enter(address(2)).unwrap().is_of(node));
}

/// Whoever connects and says nothing, or only fetches, makes room for the next one, nodes if there is nobody else;
/// authorities stay.
#[tokio::test]
async fn the_oldest_stranger_makes_room() {
    let door = door(3);
    let enter = |last: u8, peer: Option<Peer>| {
        let place = door.enter(address(last))?;
        if let Some(peer) = peer {
            assert!(place.is_of(peer));
        }
        let number = place.number();
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(place);
        });
        door.served_by(number, task.abort_handle());
        Some(task)
    };
    let authority = enter(1, Some(Peer::Authority(0))).unwrap();
    let silent = enter(2, None).unwrap();
    let client = enter(3, Some(Peer::Client)).unwrap();
    let node = enter(4, Some(Peer::Node([1; 32]))).unwrap();
    assert!(silent.await.unwrap_err().is_cancelled());
    let second = enter(5, Some(Peer::Authority(1))).unwrap();
    assert!(client.await.unwrap_err().is_cancelled());
    assert!(!node.is_finished());
    let third = enter(6, Some(Peer::Authority(2))).unwrap();
    assert!(node.await.unwrap_err().is_cancelled());
    assert!(enter(7, None).is_none(), "nobody who is left makes room");
    assert!(![&authority, &second, &third].iter().any(|task| task.is_finished()));
}
