use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

#[test]
fn urls_of_descriptors() {
    for good in ["tcp://127.0.0.1:1", "tcp6://[::1]:1", "ws://h:1/p?q#f", "QUIC://h:", "tcp://h:70000", "tcp://u@h:1"] {
        assert_eq!(check(good, false), Ok(()), "{good}");
    }
    assert_eq!(check("onion://abc.onion", true), Ok(()));
    for bad in
        ["", ":", "tcp", "127.0.0.1:1", "tcp://h:x", "tcp://h", "tcp:h:1", "tcp://a:b:1", "tcp://[::1]", "tcp://[::1"]
    {
        assert!(check(bad, true).is_err(), "{bad}");
    }
    for bad in ["tcp://h:1\n", "tcp://a b:1", "tcp://h:1/%zz", "tcp://[x]:1", "onion://abc.onion:1", "http://h:1"] {
        assert!(check(bad, false).is_err(), "{bad}");
    }
}

#[test]
fn configured_urls_become_the_map() {
    let urls = ["tcp://192.0.2.1:30", "tcp://[2001:db8:0::1]:31", "tcp://mix.example:32", "quic://192.0.2.1:33"];
    let onions = ["onion://abc.onion:34", "onion://abc.example:35"];
    let urls: Vec<String> = urls.iter().chain(&onions).map(|url| url.to_string()).collect();
    let map = advertised(&urls, |host| {
        assert_eq!(host, "mix.example");
        vec![Ipv4Addr::new(192, 0, 2, 9).into(), Ipv6Addr::LOCALHOST.into()]
    })
    .unwrap();
    assert_eq!(map["tcp4"], ["tcp://192.0.2.1:30", "tcp://192.0.2.9:32"]);
    assert_eq!(map["tcp6"], ["tcp://[2001:db8::1]:31", "tcp://[::1]:32"]);
    assert_eq!(map["quic"], ["quic://192.0.2.1:33"]);
    assert_eq!(map["onion"], ["onion://abc.onion:34"]);
    assert_eq!(advertised(&["ws://h:1".into()], |_| vec![]), Err(AddressError::Scheme("ws://h:1".into())));
    assert_eq!(advertised(&["tcp://h:1".into()], |_| vec![]), Err(AddressError::Unresolved("tcp://h:1".into())));
    assert_eq!(advertised(&[], |_| vec![]), Err(AddressError::None));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(text in "\\PC*") {
        let _ = check(&text, true);
        let _ = advertised(&[text], |_| vec![]);
    }

    #[test]
    fn url_like_text_is_judged_without_panic(text in "(tcp|onion)://[a-z@:%\\[\\]/#?0-9]{0,20}") {
        let _ = check(&text, true);
    }
}
