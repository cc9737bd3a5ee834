use super::*;

#[test]
fn under_ci_only_what_is_named_may_be_left_out() {
    assert_eq!(verdict("ipv6", false, ""), Ok(()));
    assert_eq!(verdict("ipv6", true, "io_uring, ipv6"), Ok(()));
    for allowed in ["", "io_uring", "ipv66", "no ipv6"] {
        assert!(verdict("ipv6", true, allowed).is_err(), "{allowed}");
    }
}

#[test]
fn a_tool_is_told_by_its_whole_name() {
    assert!(is_among("promtool", "dpkg-deb, promtool"));
    for names in ["", "promtool2", "prom tool"] {
        assert!(!is_among("promtool", names), "{names}");
    }
}
