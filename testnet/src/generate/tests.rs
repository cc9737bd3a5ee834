use super::*;
use crate::layout::{NetworkTransport, Ports, Shape};
use crate::settings::{Decoys, SHARED_PROFILE, geometry};
use crypto_simd::schemes::{kem, signature};
use pki::voting::Parameters;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

fn settings(sphinx: &str, layers: usize) -> Settings {
    Settings {
        geometry: geometry(sphinx, 2000, layers).unwrap(),
        wire_kem: kem::by_name("xwing").unwrap(),
        signature: signature::by_name("Ed25519").unwrap(),
        rates: Parameters { mu: 0.005, lambda_p: 0.001, lambda_l: 0.0005, lambda_m: 0.2, lambda_r: 1.0 },
        is_topology_fixed: true,
        decoys: Decoys { clients: true, mixes: false, gateways: false },
        log_level: "NOTICE".into(),
        allow_hostnames: true,
        lateness_ms_max: 0,
        keeps_mix_keys: false,
        own_file: Some(SHARED_PROFILE),
    }
}

fn shape() -> Shape {
    Shape { authorities: 3, layers: 3, mixes: 6, gateways: 1, services: 1 }
}

fn files() -> BTreeMap<String, String> {
    let (settings, layout) =
        (settings("x25519", 3), Layout::new(&shape(), Ports::After(30_000), str::to_owned).unwrap());
    let network = Network::new(&settings, &layout, Path::new("/a \"folder\""), &Known::new()).unwrap();
    let files = network.files().unwrap().into_iter();
    files.map(|file| (file.path.to_str().unwrap().to_owned(), file.text.to_string())).collect()
}

#[test]
fn ports_are_counted_as_the_reference_counts_them() {
    let layout = Layout::new(&shape(), Ports::After(30_000), str::to_owned).unwrap();
    let of = |name: &str| {
        layout.members.iter().find(|member| member.name == name).map(|member| (member.port, member.metrics_port))
    };
    // The example of pki.md 14.1.
    assert_eq!(of("auth1"), Some((30_001, 30_002)));
    assert_eq!(of("auth3"), Some((30_005, 30_006)));
    assert_eq!(of("gateway1"), Some((30_007, 30_009)));
    assert_eq!(of("servicenode1"), Some((30_010, 30_012)));
    assert_eq!(of("mix1"), Some((30_014, 30_016)));
    assert!(Layout::new(&shape(), Ports::After(65_520), str::to_owned).is_err());
}

#[test]
fn free_ports_differ() {
    let layout = Layout::new(&shape(), Ports::Free(Ipv4Addr::LOCALHOST.into()), |_| "127.0.0.1".into()).unwrap();
    let mut ports: BTreeSet<u16> =
        layout.members.iter().flat_map(|member| [member.port, member.metrics_port]).collect();
    ports.insert(layout.client_port);
    assert_eq!(ports.len(), 2 * layout.members.len() + 1);
}

#[test]
fn mixes_are_dealt_to_layers_by_their_names_as_text() {
    let shape = Shape { mixes: 12, ..shape() };
    let layout = Layout::new(&shape, Ports::After(30_000), str::to_owned).unwrap();
    let of = |layer: usize| {
        let mixes = layout.of(|role| role == Role::Mix(layer));
        mixes.map(|member| member.name.as_str()).collect::<Vec<_>>()
    };
    // Sorted: mix1 mix10 mix11 mix12 mix2 mix3 ...
    assert_eq!(of(0), ["mix1", "mix4", "mix7", "mix12"]);
    assert_eq!(of(1), ["mix2", "mix5", "mix8", "mix10"]);
    assert_eq!(of(2), ["mix3", "mix6", "mix9", "mix11"]);
}

#[test]
fn everybody_has_files_and_keys() {
    let files = files();
    for name in ["auth1", "auth2", "auth3", "gateway1", "servicenode1", "mix1", "mix6"] {
        let file = if name.starts_with("auth") { "authority.toml" } else { "katzenpost.toml" };
        for file in [file, "identity.private.pem", "identity.public.pem", "link.private.pem", "link.public.pem"] {
            assert!(files.contains_key(&format!("{name}/{file}")), "{name}/{file}");
        }
        assert_eq!(files.contains_key(&format!("{name}/katzensprung.toml")), !name.starts_with("auth"));
    }
    assert!(files.contains_key("client/client.toml") && files.contains_key("client/thinclient.toml"));
    assert!(files["mix1/katzenpost.toml"].contains(r#"DataDir = "/a \"folder\"/mix1""#));
}

#[test]
fn a_network_is_reached_over_what_was_asked_for() {
    let settings = settings("x25519", 3);
    let texts = |transport| {
        let layout = Layout::new(&shape(), Ports::After(30_000), |_| "127.0.0.1".into()).unwrap().over(transport);
        let network = Network::new(&settings, &layout, Path::new("/folder"), &Known::new()).unwrap();
        let files = network.files().unwrap().into_iter();
        files
            .filter(|file| file.path.extension().is_some_and(|ending| ending == "toml"))
            .map(|file| file.text.to_string())
            .collect::<String>()
    };
    let (tcp, quic, mixed) =
        (texts(NetworkTransport::Tcp), texts(NetworkTransport::Quic), texts(NetworkTransport::Mixed));
    assert!(tcp.contains("Addresses = [\"tcp://127.0.0.1:30001\"]") && !tcp.contains("quic://"));
    assert!(quic.contains("Addresses = [\"quic://127.0.0.1:30001\"]") && !quic.contains("tcp://"));
    for urls in [
        "[\"tcp://127.0.0.1:30001\"]",
        "[\"quic://127.0.0.1:30003\"]",
        "[\"tcp://127.0.0.1:30005\", \"quic://127.0.0.1:30005\"]",
    ] {
        assert!(mixed.contains(&format!("Addresses = {urls}")), "{urls}");
    }
}

#[test]
fn all_authorities_have_the_same_topology() {
    let files = files();
    let topology = |name: &str| files[&format!("{name}/authority.toml")].split_once("[Topology]").unwrap().1.to_owned();
    assert_eq!(topology("auth1"), topology("auth2"));
    assert_eq!(topology("auth1").matches("[[Topology.Layers]]").count(), 3);
    assert_eq!(topology("auth1").matches("[[Topology.Layers.Nodes]]").count(), 6);
}

#[test]
fn nothing_is_overwritten_and_known_identities_stay() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("xwing", 5);
    let layout = Layout::new(&Shape { layers: 5, mixes: 5, ..shape() }, Ports::After(30_000), str::to_owned).unwrap();
    let network = |known: &Known| Network::new(&settings, &layout, folder.path(), known).unwrap().files().unwrap();
    let first = network(&Known::new());
    write(folder.path(), &first).unwrap();
    let error = write(folder.path(), &network(&Known::new())).unwrap_err();
    assert!(error.to_string().contains("nothing is overwritten"), "{error}");
    // The very same files are no mistake.
    write(folder.path(), &first).unwrap();
    let scheme = settings.signature;
    let pair = KeyPair::of_signature(scheme, scheme.generate(&mut crypto_simd::random::OsRandom)).unwrap();
    let known = Known::from([("mix2".to_owned(), pair.clone())]);
    let text = |files: &[TextFile]| {
        let file = files.iter().find(|file| file.path == Path::new("mix2/identity.public.pem")).unwrap();
        file.text.to_string()
    };
    assert_eq!(text(&network(&known)), text(&network(&known)));
    assert_ne!(text(&network(&known)), text(&first));
}
