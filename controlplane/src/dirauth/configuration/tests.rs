use super::*;
use config::address::HostNames;

fn addresses(urls: &[&str]) -> Vec<Address> {
    urls.iter().map(|url| Address::parse(url, HostNames::Allowed).unwrap()).collect()
}

fn network(own: &[&str], dials_v4: bool, dials_v6: bool) -> Network {
    let addresses = addresses(own);
    let listen = addresses.clone();
    Network { addresses, listen, metrics: None, dials_v4, dials_v6, host_names: HostNames::Allowed }
}

/// pki.md 9.7: addresses of a family that the own ones do not show, or that is disabled, are not dialled.
#[test]
fn only_addresses_that_can_be_reached_are_dialled() {
    const V4: &str = "tcp://192.0.2.1:1";
    const V6: &str = "tcp://[2001:db8::1]:1";
    const NAME: &str = "tcp://auth2:1";
    let left = |network: &Network, others: &[&str]| {
        let others = addresses(others);
        let left = reachable(&others, Families::of(network));
        left.iter().map(|address| address.url().to_owned()).collect::<Vec<_>>()
    };
    let (only_v4, both) =
        (network(&["tcp://192.0.2.9:1"], true, true), network(&["tcp://192.0.2.9:1", V6], true, true));
    assert_eq!(left(&only_v4, &[V6, V4, NAME]), [V4, NAME]);
    assert_eq!(left(&both, &[V6, V4, NAME]), [V6, V4, NAME]);
    assert_eq!(left(&network(&[V4, V6], false, true), &[V4, V6]), [V6]);
    assert_eq!(left(&network(&["tcp://auth1:1"], true, true), &[V4, V6]), [V4, V6], "a name may be of either");
    assert_eq!(left(&only_v4, &[V6]), [V6], "the only one is tried");
    assert_eq!(left(&network(&[V4], false, false), &[V4, V6]), [V4, V6]);
}
