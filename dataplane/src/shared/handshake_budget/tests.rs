use super::*;

fn budget() -> Arc<HandshakeBudget> {
    let limits = Limits { connections: 5, handshakes_per_listener: 4, handshakes_per_address: 2, ..Limits::default() };
    Arc::new(HandshakeBudget::new(limits))
}

fn from(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().expect("an address"), 1234)
}

#[test]
fn one_source_cannot_take_everything() {
    let budget = budget();
    let kept: Vec<_> = (0..2).map(|_| budget.admit(from("2001:db8::1")).ok()).collect();
    assert_eq!(budget.admit(from("2001:db8::2")).err(), Some(AdmissionRefusal::AddressLimit));
    assert!(budget.admit(from("2001:db8:0:1::2")).is_ok());
    assert!(budget.admit(from("10.0.0.1")).is_ok());
    drop(kept);
    assert_eq!(budget.handshakes(), 0);
    assert!(budget.admit(from("2001:db8::2")).is_ok());
}

#[test]
fn handshakes_and_connections_have_limits_of_their_own() {
    let budget = budget();
    let mut connections = Vec::new();
    let mut handshakes = Vec::new();
    for host in 0..4 {
        let Ok((connection, handshake)) = budget.admit(from(&format!("10.0.0.{host}"))) else { panic!("no room") };
        connections.push(connection);
        handshakes.push(handshake);
    }
    assert_eq!(budget.admit(from("10.0.1.1")).err(), Some(AdmissionRefusal::HandshakeLimit));
    handshakes.clear();
    let Ok(_one_more) = budget.admit(from("10.0.1.1")) else { panic!("no room") };
    assert_eq!(budget.admit(from("10.0.1.2")).err(), Some(AdmissionRefusal::ConnectionLimit));
}
