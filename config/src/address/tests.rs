use super::*;
use HostNames::{Allowed, Refused};

fn parse(url: &str, names: HostNames) -> Result<Address, AddressError> {
    Address::parse(url, names)
}

#[test]
fn good_addresses() {
    for (url, transport, host, port) in [
        ("tcp://192.0.2.1:3219", Transport::Tcp, "192.0.2.1", 3219),
        ("TCP://192.0.2.1:0", Transport::Tcp, "192.0.2.1", 0),
        ("tcp4://192.0.2.1:65535", Transport::Tcp4, "192.0.2.1", 65535),
        ("tcp6://[2001:db8::1]:1", Transport::Tcp6, "2001:db8::1", 1),
        ("quic://[::1]:30001", Transport::Quic, "::1", 30001),
        ("tcp://user@192.0.2.1:22/path?query#part", Transport::Tcp, "192.0.2.1", 22),
    ] {
        let address = parse(url, Refused).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((address.transport, address.port), (transport, port), "{url}");
        assert_eq!(address.host, Host::Ip(host.parse().expect("an IP literal")), "{url}");
        assert_eq!(address.url(), url);
    }
    let name = parse("tcp://mix-1.example:3219", Allowed).expect("names are allowed");
    assert_eq!(name.host, Host::Name("mix-1.example".into()));
    let onion = parse("onion://abc.onion:80", Refused).expect("onion names are always allowed");
    assert!(!onion.can_listen() && name.can_listen());
}

#[test]
fn bad_addresses() {
    let text = |url: &str| url.to_string();
    for (url, names, expected) in [
        ("192.0.2.1:3219", Refused, AddressError::NotUrl(text("192.0.2.1:3219"))),
        ("", Refused, AddressError::NotUrl(text(""))),
        ("://x", Refused, AddressError::NotUrl(text("://x"))),
        ("tcp://", Refused, AddressError::NoPort(text("tcp://"))),
        ("tcp://:3219", Refused, AddressError::NotUrl(text("tcp://:3219"))),
        ("tcp://192.0.2.1", Refused, AddressError::NoPort(text("tcp://192.0.2.1"))),
        ("tcp://192.0.2.1:", Refused, AddressError::NoPort(text("tcp://192.0.2.1:"))),
        ("tcp://192.0.2.1:70000", Refused, AddressError::BadPort(text("tcp://192.0.2.1:70000"))),
        ("tcp://192.0.2.1:+22", Refused, AddressError::BadPort(text("tcp://192.0.2.1:+22"))),
        ("tcp://192.0.2.1:http", Refused, AddressError::BadPort(text("tcp://192.0.2.1:http"))),
        ("tcp://mix1:3219", Refused, AddressError::HostName(text("tcp://mix1:3219"))),
        ("tcp://a b:3219", Allowed, AddressError::NotUrl(text("tcp://a b:3219"))),
        ("tcp://::1:3219", Refused, AddressError::NotUrl(text("tcp://::1:3219"))),
        ("tcp://[::1]3219", Refused, AddressError::NotUrl(text("tcp://[::1]3219"))),
        ("tcp://[fe80::1%25eth0]:1", Refused, AddressError::NotUrl(text("tcp://[fe80::1%25eth0]:1"))),
        ("quic://192.0.2.1:1/%nt", Refused, AddressError::NotUrl(text("quic://192.0.2.1:1/%nt"))),
        ("tcp4://[::1]:1", Refused, AddressError::Family(text("tcp4://[::1]:1"))),
        ("tcp6://192.0.2.1:1", Refused, AddressError::Family(text("tcp6://192.0.2.1:1"))),
        (
            "http://192.0.2.1:22",
            Allowed,
            AddressError::UnsupportedScheme { url: text("http://192.0.2.1:22"), scheme: text("http") },
        ),
    ] {
        let error = parse(url, names).expect_err(url);
        assert_eq!(error, expected, "{url}");
        assert!(!error.remedy().is_empty());
    }
    assert_eq!(parse(&format!("tcp://{}:1", "a".repeat(3000)), Allowed), Err(AddressError::TooLong));
}

#[test]
fn host_and_port() {
    let ip = |text: &str| Some(Host::Ip(text.parse().expect("an IP literal")));
    assert_eq!(parse_host_port("127.0.0.1:6543", Refused), Ok((ip("127.0.0.1"), 6543)));
    assert_eq!(parse_host_port("[::1]:1", Refused), Ok((ip("::1"), 1)));
    assert_eq!(parse_host_port(":6543", Allowed), Ok((None, 6543)));
    assert_eq!(parse_host_port("mix1:6543", Allowed), Ok((Some(Host::Name("mix1".into())), 6543)));
    for (text, names) in
        [("mix1:1", Refused), (":1", Refused), ("127.0.0.1", Refused), ("127.0.0.1:http", Allowed), ("a/b:1", Allowed)]
    {
        let error = parse_host_port(text, names).expect_err(text);
        assert!(!error.remedy().is_empty() && !error.to_string().contains("URL"));
    }
}

/// server.md 8.3.1 and 13, point 12.
#[test]
fn the_descriptor_address_map() {
    let addresses: Vec<Address> = [
        "tcp://[2a02:898:246:64::34:78]:4242",
        "tcp://192.0.2.1:3219",
        "tcp://[::ffff:192.0.2.2]:3219",
        "tcp://dual.example:1",
        "tcp6://dual.example:2",
        "quic://192.0.2.1:3219",
        "onion://abc.onion:80",
        "onion://not-onion:80",
    ]
    .iter()
    .map(|url| parse(url, Allowed).unwrap_or_else(|error| panic!("{url}: {error}")))
    .collect();
    let resolve = |name: &str| {
        assert_eq!(name, "dual.example");
        Ok::<_, ()>(vec!["198.51.100.7".parse().expect("IPv4"), "2001:db8::7".parse().expect("IPv6")])
    };
    let map = advertised(&addresses, resolve).expect("everything resolves");
    let expected = BTreeMap::from([
        (
            "tcp4".to_string(),
            vec![
                "tcp://192.0.2.1:3219".to_string(),
                "tcp://192.0.2.2:3219".to_string(),
                "tcp://198.51.100.7:1".to_string(),
            ],
        ),
        (
            "tcp6".to_string(),
            vec![
                "tcp://[2a02:898:246:64::34:78]:4242".to_string(),
                "tcp://[2001:db8::7]:1".to_string(),
                "tcp://[2001:db8::7]:2".to_string(),
            ],
        ),
        ("quic".to_string(), vec!["quic://192.0.2.1:3219".to_string()]),
        ("onion".to_string(), vec!["onion://abc.onion:80".to_string()]),
    ]);
    assert_eq!(map, expected);
    assert_eq!(advertised(&addresses, |_| Err("no resolver")), Err("no resolver"));
}

#[test]
fn the_first_global_address() {
    let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().expect("an IP literal")).collect::<Vec<IpAddr>>();
    let host =
        ips(&["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.1.1", "2001:db8::1", "203.0.113.9"]);
    assert_eq!(first_global_ipv4(&host), Some("203.0.113.9".parse().expect("IPv4")));
    assert_eq!(first_global_ipv4(&ips(&["172.32.0.1"])), Some("172.32.0.1".parse().expect("IPv4")));
    assert_eq!(first_global_ipv4(&host[..6]), None);
}
