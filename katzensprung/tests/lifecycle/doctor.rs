//! `doctor`: a node from inside and from outside, when all is well and when not.

use super::LONG;
use crate::support::program::{Outcome, finish, program, run};
use crate::support::site::{SOON, Site};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

/// The command in the network's epochs.
#[track_caller]
fn doctor(site: &Site, words: &[&str]) -> (Outcome, Vec<(String, String, String)>) {
    let mut command = program();
    command.args(["doctor", "--json"]).args(words);
    command.env(pki::epoch::PERIOD_VARIABLE, format!("{}ns", site.network.clock.period().as_nanos()));
    let outcome = finish(&mut command);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let text = |look: &Value, key: &str| look[key].as_str().expect("text").to_owned();
    let looks = report["looks"].as_array().expect("a list").iter();
    let looks: Vec<_> = looks.map(|look| (text(look, "what"), text(look, "verdict"), text(look, "seen"))).collect();
    let bad = looks.iter().filter(|(_, verdict, _)| verdict == "fail").count();
    assert_eq!(report["must_be_mended"], bad, "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(i32::from(bad > 0)), "{outcome:?}");
    (outcome, looks)
}

#[track_caller]
fn has(looks: &[(String, String, String)], what: &str, verdict: &str, part: &str) {
    let is_it = |(of, how, seen): &&(String, String, String)| of == what && how == verdict && seen.contains(part);
    assert!(looks.iter().any(|look| is_it(&look)), "{what} {verdict} {part}: {looks:#?}");
}

#[test]
fn a_node_that_works_is_well_from_inside_and_from_outside() {
    let site = Site::new(LONG);
    let config = site.folder.config().display().to_string();
    let authority = site.start_authority();
    // Before it runs: its address is free, and it is registered.
    let (_, looks) = doctor(&site, &["-f", &config]);
    has(&looks, "address", "ok", "can be listened on");
    let mut node = site.start_node();
    authority.wait_for_post(site.next_epoch(), SOON);
    site.wait_for_document();
    let (outcome, looks) = doctor(&site, &["-f", &config]);
    assert_eq!(outcome.status.code(), Some(0), "{looks:#?}");
    for (what, part) in [
        ("configuration", "katzenpost.toml"),
        ("keys", "identity.private.pem has mode 0600"),
        ("keys", "link.private.pem has mode 0600"),
        ("disk", "can be written in"),
        ("address", "is in use, and a node of this DataDir runs"),
        ("authority", "has the document of epoch"),
        ("clock", "from those of 1 authorities"),
        ("consensus", "'measured' is in the document"),
    ] {
        has(&looks, what, "ok", part);
    }
    for what in ["open files", "locked memory", "memory", "io", "host"] {
        assert!(looks.iter().any(|(of, _, _)| of == what), "{what}: {looks:#?}");
    }

    let address = format!("tcp://{}", site.folder.address);
    let (outcome, looks) = doctor(&site, &["-f", &config, "--from-outside", &address]);
    assert_eq!(outcome.status.code(), Some(0), "{looks:#?}");
    let id = fs::read_to_string(site.folder.data("katzenpost.log")).expect("a log");
    let (_, id) = id.split_once("identity public key hash is: ").expect("the line");
    has(&looks, "IPv4", "ok", "accepts connections");
    has(&looks, "handshake", "ok", &format!("node {} answers", &id[..64]));
    has(&looks, "consensus", "ok", "'measured' in epoch");
    has(&looks, "link key", "ok", "lists");
    // Without a configuration, only the connection.
    let (_, looks) = doctor(&site, &["--from-outside", &address]);
    assert_eq!(looks.len(), 2, "{looks:#?}");
    has(&looks, "handshake", "ok", "not tried");
    node.stop();
    // What the document lists is gone.
    let (_, looks) = doctor(&site, &["-f", &config, "--from-outside", &address]);
    has(&looks, "IPv4", "fail", "cannot connect");
    assert_eq!(looks.len(), 1, "{looks:#?}");
}

#[test]
fn what_is_wrong_with_a_node_is_found_at_once() {
    let site = Site::new(LONG);
    let config = site.folder.config().display().to_string();
    let taken = TcpListener::bind(site.folder.address).expect("a free address");
    fs::set_permissions(site.folder.data("identity.private.pem"), Permissions::from_mode(0o644)).expect("ours");
    let link = site.folder.data("link.public.pem");
    let other = Site::new(LONG);
    fs::copy(other.folder.data("link.public.pem"), &link).expect("ours");
    // The authority is not there.
    let (_, looks) = doctor(&site, &["-f", &config]);
    has(&looks, "configuration", "fail", "is not the public key of");
    has(&looks, "keys", "fail", "chmod 0600");
    has(&looks, "address", "fail", "is another node running?");
    has(&looks, "authority", "warning", "cannot connect");
    has(&looks, "clock", "warning", "no authority could be asked");
    has(&looks, "consensus", "fail", "no authority has given the document");
    // Nobody is asked, and nothing has changed.
    let (_, offline) = doctor(&site, &["-f", &config, "--offline"]);
    assert!(!offline.iter().any(|(what, _, _)| what == "authority" || what == "clock"), "{offline:#?}");
    drop(taken);
    let (_, looks) = doctor(&site, &["-f", &config, "--offline"]);
    has(&looks, "address", "ok", "can be listened on");
    // For people: one line for each, and what it comes to.
    let text = run(["doctor", "--offline", "-f", &config]);
    assert_eq!(text.status.code(), Some(1), "{text:?}");
    assert!(text.stdout.lines().any(|line| line.starts_with("FAIL  keys ")), "{text:?}");
    assert!(text.stdout.lines().last().is_some_and(|line| line.contains("must be mended")), "{text:?}");
}

#[test]
fn whether_datagrams_can_go_past_the_kernel_is_looked_at_where_they_are_to() {
    let site = Site::new(LONG);
    let config = site.folder.config().display().to_string();
    let own = fs::read_to_string(site.folder.own_config()).expect("the file");
    let (_, looks) = doctor(&site, &["-f", &config, "--offline"]);
    assert!(!looks.iter().any(|(what, _, _)| what == "datagrams"), "{looks:#?}");
    let nowhere = "there is no network interface \"nowhere\"";
    for (interface, part) in [("lo", "lo has no addresses of Ethernet"), ("nowhere", nowhere)] {
        let text = format!("{own}datagrams = \"xdp\"\ninterface = \"{interface}\"\n");
        fs::write(site.folder.own_config(), text).expect("ours");
        let (_, looks) = doctor(&site, &["-f", &config, "--offline"]);
        has(&looks, "datagrams", "warning", part);
        has(&looks, "datagrams", "warning", "the kernel's sockets will carry them");
    }
}

#[test]
fn what_answers_and_is_no_node_is_told() {
    let site = Site::new(LONG);
    let config = site.folder.config().display().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free address");
    let at = silent.local_addr().expect("an address").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().expect("a connection");
        std::io::Write::write_all(&mut stream, &[b'x'; 100_000]).ok();
    });
    let (_, looks) = doctor(&site, &["-f", &config, "--from-outside", &at]);
    server.join().expect("no panic");
    has(&looks, "IPv4", "ok", "accepts connections");
    has(&looks, "handshake", "fail", "does not speak the link protocol");
    for wrong in ["nonsense", "ws://127.0.0.1:1", "127.0.0.1", ":1"] {
        run(["doctor", "--from-outside", wrong]).refused(&[wrong, "is no address"]);
    }
    run(["doctor", "--from-outside", &at, "-f", "/nonexistent.toml"]).refused(&["/nonexistent.toml"]);
}
