use super::*;

#[test]
fn addresses_are_read_as_they_are_meant() {
    let target = |address: &str| Target::new(address, "mix", &[("service", "m 1")]);
    let good = target("http://localhost:4040").unwrap();
    assert_eq!(good.authority, "localhost:4040");
    assert!(good.path.starts_with("/ingest?name=mix%7Bservice%3Dm%201%7D&format=folded&"), "{}", good.path);
    assert_eq!(target("http://[::1]:4040/").unwrap(), Target { authority: "[::1]:4040".into(), ..good });
    let prefixed = target("http://profiles/a/b/").unwrap();
    assert_eq!(prefixed.authority, "profiles:80");
    assert!(prefixed.path.starts_with("/a/b/ingest?"), "{}", prefixed.path);
    for bad in ["", "localhost:4040", "https://localhost", "http://", "http:///x", "http://a b", "http://me:pw@host"] {
        let error = target(bad).unwrap_err();
        assert!(error.contains("PYROSCOPE_SERVER_ADDRESS") && error.contains("http://HOST:PORT"), "{error}");
    }
}
