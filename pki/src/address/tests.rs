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
