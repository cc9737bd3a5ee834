//! What plugins want to be published.

use super::*;
use pki::cbor::Value;
use pki::descriptor::Services;

fn stream(folder: &TempDir, behaviour: &str) -> PluginService {
    let protocol = PluginProtocol::Stream { asks_parameters: true };
    PluginService { protocol, ..plugin(folder, "mirror", behaviour) }
}

fn http(folder: &TempDir, behaviour: &str) -> PluginService {
    plugin(folder, "mirror", &format!("http-{behaviour}"))
}

/// As a descriptor would list them.
fn published(site: &Site) -> Vec<(String, Vec<u8>)> {
    let services = Services::from(&site.board.offer().borrow().services);
    let (_, parameters) = services.iter().find(|(name, _)| *name == "mirror").expect("it answers");
    let parameters = parameters.expect("there is an endpoint");
    parameters.iter().map(|(name, item)| (name.to_owned(), item.as_bytes().to_vec())).collect()
}

#[tokio::test]
async fn what_a_plugin_tells_is_published_beside_its_endpoint() {
    let endpoint = ("endpoint".to_owned(), Value::from("+mirror").encode());
    let version = ("version".to_owned(), Value::from("1").encode());
    let limits = ("limits".to_owned(), vec![0x82, 1, 2]);
    for (form, published_before) in [
        (stream as fn(&TempDir, &str) -> PluginService, vec![limits, version.clone(), endpoint.clone()]),
        (http, vec![version, endpoint.clone()]),
    ] {
        let folder = folder();
        let entry = form(&folder, "tells");
        let mut site = start(folder, vec![entry]).await.expect("it starts");
        assert_eq!(published(&site), published_before);
        let id = site.ask(0, b"hello");
        assert_eq!(site.answers(1).await, [(id, b"hello".to_vec())]);
        assert!(!site.log().contains(" WARN "), "{}", site.log());
        // One that is stopped is not published at all.
        assert!(site.plugins.services().stop("mirror").await);
        site.until_told("the stop", |services| !has_plugin(0)(services)).await;
        assert!(!site.board.offer().borrow().services.contains_key("mirror"));
        site.plugins.shut_down().await;
    }
}

/// It works all the same, and the log says why nothing more is published. `echo` is what the reference's echo plugin does.
#[tokio::test]
async fn a_plugin_that_cannot_tell_has_its_endpoint_published() {
    for (form, behaviour, reason) in [
        (stream as fn(&TempDir, &str) -> PluginService, "echo", "answers with something else"),
        (stream, "tells-nonsense", "no CBOR map"),
        (stream, "tells-never", "not answered within"),
        (http, "tells-nothing", "status 404"),
        (http, "tells-nonsense", "no CBOR map"),
        (http, "tells-much", "longer than"),
    ] {
        let folder = folder();
        let entry = form(&folder, behaviour);
        let mut site = start(folder, vec![entry]).await.expect("it starts");
        assert_eq!(published(&site), [("endpoint".to_owned(), Value::from("+mirror").encode())], "{behaviour}");
        let id = site.ask(0, b"hello");
        assert_eq!(site.answers(1).await, [(id, b"hello".to_vec())], "{behaviour}");
        site.plugins.shut_down().await;
        let log = std::fs::read_to_string(site.folder.path().join("log")).expect("a log");
        assert!(log.lines().any(|line| line.contains(" WARN ") && line.contains(reason)), "{behaviour}: {log}");
    }
}

#[tokio::test]
async fn a_plugin_that_ends_over_the_question_is_a_start_error() {
    for (form, behaviour) in
        [(stream as fn(&TempDir, &str) -> PluginService, "tells-and-ends"), (http, "tells-never"), (http, "no-http")]
    {
        let folder = folder();
        let entry = form(&folder, behaviour);
        let error = start(folder, vec![entry]).await.err().expect("it cannot be used");
        assert!(matches!(error, ChildError::Parameters { .. }), "{behaviour}: {error}");
        assert!(error.to_string().contains("ServiceNode.CBORPluginKaetzchen.Protocol"), "{error}");
    }
}

#[test]
fn there_are_limits() {
    let many: Vec<_> = (0..65_u64).map(|number| (number.to_string().as_str().into(), number.into())).collect();
    let long = vec![("a".into(), "b".repeat(super::super::parameters::BYTES_MAX).as_str().into())];
    for map in [many, long] {
        let read = super::super::parameters::read(&Value::Map(map).encode());
        assert!(matches!(read, Err(super::super::parameters::ParametersError::TooMuch { .. })), "{read:?}");
    }
    for nonsense in [&b""[..], b"\xa1\x01\x01", b"\x80", b"\xff", b"\xa1aa"] {
        assert!(super::super::parameters::read(nonsense).is_err(), "{nonsense:?}");
    }
    assert_eq!(super::super::parameters::read(b"\xf6"), Ok(Default::default()));
}
