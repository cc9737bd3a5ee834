use super::*;
use config::address::HostNames;

fn resolved(urls: &[&str], families: Families) -> Vec<String> {
    let addresses: Vec<_> = urls.iter().map(|url| Address::parse(url, HostNames::Refused).unwrap()).collect();
    resolve(&addresses, families).unwrap().iter().map(ToString::to_string).collect()
}

const BOTH: Families = Families { v4: true, v6: true };
const V4: Families = Families { v4: true, v6: false };

#[test]
fn unspecified_addresses_mean_both_families_unless_the_scheme_says_one() {
    for url in ["tcp://[::]:1", "tcp://0.0.0.0:1"] {
        assert_eq!(resolved(&[url], BOTH), ["0.0.0.0:1", "[::]:1"]);
        assert_eq!(resolved(&[url], V4), ["0.0.0.0:1"], "a host without IPv6");
    }
    assert_eq!(resolved(&["tcp6://[::]:1"], BOTH), ["[::]:1"]);
    assert_eq!(resolved(&["tcp4://0.0.0.0:1"], BOTH), ["0.0.0.0:1"]);
    assert_eq!(resolved(&["tcp://0.0.0.0:1", "tcp://[::]:1", "tcp4://0.0.0.0:1"], BOTH), ["0.0.0.0:1", "[::]:1"]);
    assert_eq!(resolved(&["tcp://192.0.2.1:1", "tcp://[2001:db8::1]:1"], BOTH), ["192.0.2.1:1", "[2001:db8::1]:1"]);
}

#[test]
fn an_address_in_the_other_notation_is_the_same_address() {
    assert_eq!(resolved(&["tcp://[::ffff:127.0.0.1]:1", "tcp://127.0.0.1:1"], BOTH), ["127.0.0.1:1"]);
    assert_eq!(resolved(&["tcp://[::ffff:0.0.0.0]:1"], V4), ["0.0.0.0:1"]);
}

#[test]
fn both_wildcards_are_listened_at_together() {
    let port = std::net::TcpListener::bind("[::]:0").and_then(|listener| listener.local_addr());
    let Ok(port) = port.map(|address| address.port()) else {
        testhost::lacks("ipv6", "no address can be bound");
        return;
    };
    let url = format!("tcp://[::]:{port}");
    let addresses = resolve(&[Address::parse(&url, HostNames::Refused).unwrap()], Families::of_host()).unwrap();
    let listeners = bind_all(&addresses, Vec::new()).unwrap();
    assert_eq!(listeners.len(), addresses.len());
    for host in ["127.0.0.1", "[::1]"] {
        std::net::TcpStream::connect(format!("{host}:{port}")).unwrap();
    }
}
