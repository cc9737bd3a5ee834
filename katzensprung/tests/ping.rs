//! `ping`: what a user can get wrong, and what is said where there is no network.

use crate::support::program::{Outcome, finish, program, run};
use crypto_simd::pem;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{kem, signature};
use sphinx::Geometry;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A configuration file for a network whose only gateway is at that port.
fn write_config(folder: &Path, port: u16) -> PathBuf {
    let keys = || {
        let identity = signature::by_name("Ed25519").expect("built in");
        let link = kem::by_name("XWING").expect("built in");
        let identity = identity.load(&identity.generate(&mut OsRandom)).expect("a fresh key");
        let link = link.load(&link.generate(&mut OsRandom)).expect("a fresh key");
        let text = |block_type: String, key: &[u8]| pem::encode(&block_type, key).expect("not all zero");
        (
            text(pem::public_key_type("Ed25519"), identity.public_key()),
            text(pem::public_key_type("XWING"), link.public_key()),
        )
    };
    let ((gateway, gateway_link), (authority, authority_link)) = (keys(), keys());
    let geometry = Geometry::nike("x25519", 2000, 5, true).expect("a geometry").to_toml();
    let text = format!(
        "PKISignatureScheme = \"Ed25519\"\nWireKEMScheme = \"XWING\"\n\n{geometry}\n[PinnedGateways]\n  \
         [[PinnedGateways.Gateways]]\n    Name = \"gateway1\"\n    WireKEMScheme = \"XWING\"\n    \
         PKISignatureScheme = \"Ed25519\"\n    IdentityKey = \"\"\"\n{gateway}\"\"\"\n    \
         LinkKey = \"\"\"\n{gateway_link}\"\"\"\n    Addresses = [\"tcp://127.0.0.1:{port}\"]\n\n[VotingAuthority]\n  \
         [[VotingAuthority.Peers]]\n    Identifier = \"auth1\"\n    PKISignatureScheme = \"Ed25519\"\n    \
         WireKEMScheme = \"XWING\"\n    IdentityPublicKey = \"\"\"\n{authority}\"\"\"\n    \
         LinkPublicKey = \"\"\"\n{authority_link}\"\"\"\n    Addresses = [\"tcp://127.0.0.1:1\"]\n"
    );
    let path = folder.join("client.toml");
    fs::write(&path, text).expect("a file");
    path
}

/// A port at which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[track_caller]
fn told(outcome: &Outcome, status: i32, parts: &[&str]) {
    assert_eq!(outcome.status.code(), Some(status), "{outcome:?}");
    assert!(parts.iter().all(|part| outcome.stderr.contains(part)), "{parts:?} in {outcome:?}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
}

#[test]
fn a_network_that_is_not_there_is_told_of_with_a_status_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = write_config(folder.path(), free_port());
    let config = config.to_str().expect("UTF-8");
    let outcome = run(["ping", "-c", config, "--wait", "1"]);
    told(&outcome, 2, &["no link to a gateway within 1 s", "gateway1", "refused"]);
    assert_eq!(outcome.stdout, "Control-C to abort...\n");
    let link = folder.path().join("ping");
    symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).expect("a link");
    let outcome = finish(Command::new(&link).args(["--config", config, "-s", "echo", "-n", "3", "--wait", "1"]));
    told(&outcome, 2, &["no link to a gateway within 1 s"]);
}

#[test]
fn what_is_wrong_in_the_file_is_one_line_with_place_and_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = write_config(folder.path(), 1);
    let good = fs::read_to_string(&config).expect("the file");
    let refused = |from: &str, to: &str, parts: &[&str]| {
        assert!(good.contains(from), "{from}");
        fs::write(&config, good.replacen(from, to, 1)).expect("a file");
        run(["ping", "-c", config.to_str().expect("UTF-8")]).refused(parts);
    };
    refused(
        "tcp://127.0.0.1:1\"",
        "tcp://gateway:1\"",
        &["client.toml", "PinnedGateways.Gateways[0].Addresses[0]", "IP"],
    );
    refused("PacketLength = 3082", "PacketLength = 3000", &["client.toml", "SphinxGeometry.PacketLength", "; copy ["]);
    refused(
        "[VotingAuthority]",
        "[UpstreamProxy]\nType = \"socks5\"\n[VotingAuthority]",
        &["UpstreamProxy.Type", "not supported"],
    );
    fs::write(&config, "[Server]\nIdentifier = \"mix1\"\n").expect("a file");
    run(["ping", "-c", config.to_str().expect("UTF-8")]).refused(&["a server's (katzenpost.toml)", "client.toml"]);
    let absent = folder.path().join("absent.toml");
    run(["ping", "-c", absent.to_str().expect("UTF-8")]).refused(&["absent.toml", "cannot be read"]);
}

#[test]
fn what_is_wrong_in_the_arguments_is_told() {
    run(["ping"]).refused(&["  --config <CONFIG>"]);
    run(["ping", "-c", "x", "-n", "0"]).refused(&["invalid value '0'", "--count"]);
    run(["ping", "-c", "x", "--log-level", "LOUD"]).refused(&["invalid value 'LOUD'", "--log-level"]);
    run(["ping", "-c", "x", "--thin"]).refused(&["--thin", "leave it out"]);
    let folder = tempfile::tempdir().expect("a folder");
    let config = write_config(folder.path(), 1);
    let epochs = finish(program().env("KATZENPOST_EPOCH_DURATION", "soon").arg("ping").arg("-c").arg(config));
    epochs.refused(&["KATZENPOST_EPOCH_DURATION", "soon"]);
}
