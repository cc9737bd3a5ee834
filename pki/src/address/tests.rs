use super::*;
use proptest::prelude::*;

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

/// Who may list a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Any,
    Gateway,
    No,
}
use Who::{Any, Gateway, No};

/// URLs and what the reference's check of descriptors (e042af3c9, Go 1.26) says of them.
const OBSERVED: &[(&str, Who)] = &[
    ("tcp://h%C3%A9:1", Any),
    ("tcp://[fe80::1%25a%41]:1", Any),
    ("tcp://[fe80::1%25a%5D]:1", No),
    ("tcp://[fe80::1%25a%5B]:1", No),
    ("tcp://[fe80::1%25a%3A]:1", Any),
    ("tcp://[fe80::1%25%C3%A9]:1", No),
    ("tcp://[fe80::1%25é]:1", Any),
    ("tcp://[fe80::1%25]:1", No),
    ("tcp://[fe80::1%25a%20b]:1", Any),
    ("tcp://[::1%41]:1", No),
    ("tcp://[1.2.3.4]:1", No),
    ("tcp://[::ffff:1.2.3.4]:1", Any),
    ("tcp://[::01.2.3.4]:1", No),
    ("tcp://[1:2:3:4:5:6:7::]:1", Any),
    ("tcp://[12345::]:1", No),
    ("tcp://h:1#\x01", Any),
    ("tcp://h:1#%zz", No),
    ("tcp://h:1\x01#a", No),
    ("tcp://h:1?\x7f", No),
    ("onion:%zz", Gateway),
    ("onion:/%zz", No),
    ("onion:x#%zz", No),
    ("onion:", Gateway),
    ("onion://", Gateway),
    ("onion://a]b", Gateway),
    ("tcp://a<b@h:1", No),
    ("tcp://a%41:b%@h:1", No),
    ("tcp://a%41:p@s@h:1", Any),
    ("tcp://é@h:1", No),
    ("tcp://@h:1", Any),
    ("tcp://a<b:1", Any),
    ("tcp://a^b:1", No),
    ("tcp://h%41:1", No),
    ("tcp://h%25:1", Any),
    ("tcp://h%7f:1", No),
    ("tcp://h:1/%zz", No),
    ("tcp://h:1/a?%zz", Any),
    ("tcp://h:1?", Any),
    ("tcp://:", Any),
    ("tcp://::", No),
    ("tcp://[::1]:1:2", No),
    ("tcp://[[::1]]:1", No),
    ("tcp://a[::1]:1", No),
    ("tcp://[::1]]:1", No),
    ("tcp:h:1", No),
    ("tcp:/h:1", No),
    ("tcp:///h:1", No),
    ("://h:1", No),
    ("1tcp://h:1", No),
    ("t_p://h:1", No),
    ("ws://h:99999999999", Any),
    ("quic://h:-1", No),
    ("tcp://h:1 ", No),
    ("tcp://h :1", No),
    ("tcp://h:1\\a", No),
    ("tcp://h\\a:1", No),
    ("TCP6://[::1]:", Any),
    ("tcp://h:１", No),
];

#[test]
fn urls_are_judged_as_by_the_reference() {
    for (url, expected) in OBSERVED {
        let found = match (check(url, false), check(url, true)) {
            (Ok(()), Ok(())) => Any,
            (Err(_), Ok(())) => Gateway,
            _ => No,
        };
        assert_eq!(found, *expected, "{url}");
    }
}

#[test]
fn escapes_are_undone() {
    let host = |url: &str| Url::parse(url).and_then(|url| Some(url.host_and_port()?.0.to_owned()));
    assert_eq!(host("tcp://[fe80::1%25eth0]:1").as_deref(), Some("fe80::1%eth0"));
    assert_eq!(host("tcp://h%C3%A9:1").as_deref(), Some("h\u{e9}"));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(text in "\\PC*") {
        let _ = check(&text, true);
    }

    #[test]
    fn url_like_text_is_judged_without_panic(text in "(tcp|onion)://[a-z@:%\\[\\]/#?0-9]{0,20}") {
        let _ = check(&text, true);
    }
}
