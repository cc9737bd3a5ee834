use super::*;
use crate::io::ConnId;

const NODE: NodeId = [1; 32];

fn admission() -> Arc<Admission> {
    let limits = Limits {
        connections: 9,
        handshakes_of_neighbours: 3,
        handshakes_of_strangers: 4,
        handshakes_per_address: 2,
        ..Limits::default()
    };
    Arc::new(Admission::new(limits))
}

fn from(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().expect("an address"), 1234)
}

fn seat(index: u32) -> Seat {
    Seat { shard: 0, conn: ConnId { index, generation: 0 } }
}

fn admit(admission: &Arc<Admission>, text: &str) -> Result<Admitted, AdmissionRefusal> {
    admission.admit(from(text), seat(0))
}

/// Admits a peer that sends its first message.
fn heard(admission: &Arc<Admission>, text: &str) -> Admitted {
    let admitted = admit(admission, text).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
    admitted.handshake.heard();
    admitted
}

#[test]
fn one_source_cannot_take_everything() {
    let admission = admission();
    let kept: Vec<_> = (0..2).map(|_| heard(&admission, "2001:db8::1")).collect();
    assert_eq!(admit(&admission, "2001:db8::2").err(), Some(AdmissionRefusal::AddressLimit));
    assert!(admit(&admission, "2001:db8:0:1::2").is_ok());
    assert!(admit(&admission, "10.0.0.1").is_ok());
    drop(kept);
    assert_eq!(admission.handshakes(), 0);
    assert!(admit(&admission, "2001:db8::2").is_ok());
}

#[test]
fn handshakes_and_connections_have_limits_of_their_own() {
    let admission = admission();
    let (mut connections, mut handshakes) = (Vec::new(), Vec::new());
    for host in 0..4 {
        let Admitted { connection, handshake, .. } = heard(&admission, &format!("10.0.0.{host}"));
        connections.push(connection);
        handshakes.push(handshake);
    }
    assert_eq!(admit(&admission, "10.0.1.1").err(), Some(AdmissionRefusal::HandshakeLimit));
    handshakes.clear();
    for host in 0..4 {
        connections.push(heard(&admission, &format!("10.0.1.{host}")).connection);
    }
    assert_eq!(admit(&admission, "10.0.1.2").err(), Some(AdmissionRefusal::ConnectionLimit));
}

#[test]
fn the_newest_takes_the_place_of_the_oldest_that_is_silent() {
    let admission = admission();
    let speaks = heard(&admission, "10.0.0.0");
    let silent: Vec<_> = (1..4).map(|host| admission.admit(from(&format!("10.0.0.{host}")), seat(host)).ok()).collect();
    let newest = admit(&admission, "10.0.1.1").ok().and_then(|admitted| {
        let evicted = admitted.evicted;
        admitted.handshake.heard();
        Some(admitted).zip(evicted)
    });
    let Some((newest, evicted)) = newest else { panic!("nobody made room") };
    assert_eq!(evicted, (seat(1), AdmissionRefusal::HandshakeLimit));
    assert_eq!(admission.handshakes(), 4);
    // Whoever lost its place has nothing to give back.
    drop(silent);
    assert_eq!(admission.handshakes(), 2);
    drop((speaks, newest));
    assert_eq!(admission.handshakes(), 0);
}

#[test]
fn whoever_has_spoken_keeps_its_place_only_while_this_node_computes() {
    let admission = admission();
    let peers = [0, 1, 2, 3].map(|host| heard(&admission, &format!("10.0.0.{host}")));
    assert_eq!(admit(&admission, "10.0.1.1").err(), Some(AdmissionRefusal::HandshakeLimit));
    // The first has spoken again meanwhile.
    [0, 2, 1].iter().for_each(|peer: &usize| peers[*peer].handshake.answered());
    peers[0].handshake.heard();
    let newer = ["10.0.1.1", "10.0.1.2"].map(|address| heard(&admission, address));
    assert!(newer.iter().all(|admitted| admitted.evicted.is_some()));
    assert_eq!(admit(&admission, "10.0.1.3").err(), Some(AdmissionRefusal::HandshakeLimit));
    // Those whose places they have got have nothing to give back.
    let [first, second, third, fourth] = peers;
    drop((second, third));
    assert_eq!(admission.handshakes(), 4);
    drop((first, fourth, newer));
    assert_eq!(admission.handshakes(), 0);
}

#[test]
fn strangers_leave_the_neighbours_budget_alone() {
    let admission = admission();
    admission.know([(NODE, from("10.1.0.1").ip()), ([2; 32], from("10.1.0.2").ip()), (NODE, from("2001:db8::1").ip())]);
    let strangers: Vec<_> = (0..4).map(|host| heard(&admission, &format!("10.0.0.{host}"))).collect();
    let neighbours = ["10.1.0.1", "10.1.0.2", "2001:db8::9"].map(|address| heard(&admission, address));
    assert!(neighbours.iter().all(|admitted| admitted.handshake.is_of_neighbour() && admitted.evicted.is_none()));
    assert!(strangers.iter().all(|admitted| !admitted.handshake.is_of_neighbour()));
    assert_eq!(admit(&admission, "10.1.0.1").err(), Some(AdmissionRefusal::HandshakeLimit));
}

#[test]
fn a_neighbour_is_known_where_it_was_authenticated_as_long_as_documents_list_it() {
    let admission = admission();
    admission.know([(NODE, from("10.1.0.1").ip())]);
    assert!(!heard(&admission, "10.9.0.1").handshake.is_of_neighbour());
    admission.remember(NODE, from("10.9.0.1"));
    assert!(heard(&admission, "10.9.0.1").handshake.is_of_neighbour());
    admission.know([([2; 32], from("10.1.0.2").ip())]);
    assert!(!heard(&admission, "10.9.0.1").handshake.is_of_neighbour());
}

#[test]
fn several_nodes_behind_one_address_have_a_share_each() {
    let admission = admission();
    admission.know([(NODE, from("10.1.0.1").ip()), ([2; 32], from("10.1.0.1").ip())]);
    let kept: Vec<_> = (0..3).map(|_| heard(&admission, "10.1.0.1")).collect();
    assert_eq!(kept.len(), 3);
    assert_eq!(admit(&admission, "10.1.0.1").err(), Some(AdmissionRefusal::HandshakeLimit));
}

#[test]
fn an_eighth_of_all_connections_is_for_neighbours() {
    let limits = Limits { connections: 16, handshakes_per_address: 99, ..Limits::default() };
    let admission = Arc::new(Admission::new(limits));
    admission.know([(NODE, from("10.1.0.1").ip())]);
    let strangers: Vec<_> = (0..13).map(|host| heard(&admission, &format!("10.0.0.{host}"))).collect();
    // One from a neighbour's address that turns out to be a client has none of the neighbours' places.
    let mut client = heard(&admission, "10.1.0.1");
    assert_eq!(client.connection.count_as_client(), Ok(()));
    assert_eq!(admit(&admission, "10.0.1.1").err(), Some(AdmissionRefusal::ConnectionLimit));
    let mut second = heard(&admission, "10.1.0.1");
    assert_eq!(second.connection.count_as_client(), Err(AdmissionRefusal::ConnectionLimit));
    drop(second);
    let neighbours = [(); 2].map(|()| heard(&admission, "10.1.0.1"));
    assert_eq!(admit(&admission, "10.1.0.1").err(), Some(AdmissionRefusal::ConnectionLimit));
    drop((strangers, client, neighbours));
    let counts = lock(&admission.counts);
    assert_eq!((counts.connections, counts.strangers), (0, 0));
}

/// A network that stays behind one address must not lock its neighbours there out.
#[test]
fn one_address_has_so_many_connections_at_a_time() {
    let limits = Limits { connections_per_address: 2, handshakes_per_address: 9, ..Limits::default() };
    let admission = Arc::new(Admission::new(limits));
    let mut kept: Vec<_> = (0..2).map(|_| heard(&admission, "2001:db8::1")).collect();
    assert_eq!(admit(&admission, "2001:db8::2").err(), Some(AdmissionRefusal::AddressConnections));
    assert!(admit(&admission, "2001:db8:0:1::2").is_ok());
    kept.pop();
    assert!(admit(&admission, "2001:db8::2").is_ok());
    admission.know([(NODE, from("2001:db8::7").ip())]);
    assert!(admit(&admission, "2001:db8::2").is_ok(), "a neighbour may be there");
    let mut client = heard(&admission, "2001:db8::2");
    assert_eq!(client.connection.count_as_client(), Ok(()), "the second one, itself included");
    let mut client_too_many = heard(&admission, "2001:db8::2");
    assert_eq!(client_too_many.connection.count_as_client(), Err(AdmissionRefusal::AddressConnections));
    drop((client, client_too_many));
    drop(kept);
    assert!(lock(&admission.counts).connections_from.is_empty());
    let unlimited = Arc::new(Admission::new(Limits { connections_per_address: 0, ..limits }));
    let kept: Vec<_> = (0..9).map(|_| admit(&unlimited, "10.0.0.1").is_ok()).collect();
    assert!(kept.iter().all(|is_admitted| *is_admitted));
}
