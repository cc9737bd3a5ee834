//! A service node: what it publishes, what operators order, and that no plugin outlives it.

use super::LONG;
use crate::support::program::{program, run};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A node with two services that are built in.
fn site() -> Site {
    let site = Site::new(LONG);
    site.folder.edit("[Server]\n", "[Server]\n  IsServiceNode = true\n");
    let services = "[ServiceNode]\n  [[ServiceNode.Kaetzchen]]\n    Capability = \"echo\"\n    Endpoint = \"+echo\"\n  \
                    [[ServiceNode.Kaetzchen]]\n    Capability = \"testdest\"\n    Endpoint = \"+testdest\"\n\n[Management]";
    site.folder.edit("[Management]", services);
    site
}

#[test]
fn services_are_published_stopped_and_started() {
    let site = site();
    let authority = site.start_authority();
    let mut node = site.start_node();
    let descriptor = authority.wait_for_post(site.next_epoch(), SOON).descriptor();
    assert!(descriptor.is_service_node && !descriptor.is_gateway_node);
    let endpoints: Vec<_> = descriptor.endpoints().collect();
    assert_eq!(endpoints, [("echo", "+echo"), ("testdest", "+testdest")]);
    assert_eq!(descriptor.kaetzchen_advertized_data, Some(Default::default()));
    let orders = [
        ("STOP_KAETZCHEN echo", "250 echo"),
        ("STOP_KAETZCHEN echo", "554 Transaction failed"),
        ("START_KAETZCHEN echo", "250 echo"),
        ("START_KAETZCHEN nothing", "554 Transaction failed"),
        ("START_KAETZCHEN", "501 Syntax error in parameters or arguments"),
    ];
    let answers = site.manage(&orders.map(|(order, _)| order));
    assert_eq!(answers[1..], orders.map(|(_, answer)| answer.to_string()));
    node.stop();
    site.is_quiet();
}

#[test]
fn a_plugin_that_cannot_be_started_is_a_start_error() {
    let site = site();
    let plugin = "[[ServiceNode.CBORPluginKaetzchen]]\n    Capability = \"none\"\n    Endpoint = \"none\"\n    \
                  Command = \"/nonexistent/plugin\"\n\n[Management]";
    site.folder.edit("[Management]", plugin);
    let outcome = site.folder.serve(&[]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    for expected in ["ServiceNode.CBORPluginKaetzchen", "/nonexistent/plugin", "Command"] {
        assert!(outcome.stderr.contains(expected), "{expected}: {outcome:?}");
    }
    assert_eq!(site.data_plane(), None, "the data plane is not left behind");
}

/// A shell stands for the control plane, which is killed, and `sleep` for the plugin.
#[test]
fn a_plugin_does_not_outlive_what_has_started_it() {
    let itself = program().get_program().to_owned();
    let text = "\"$0\" plugin --parent $$ -- sleep 1000 & echo $!; wait";
    let mut shell = Command::new("sh").arg("-c").arg(text).arg(itself).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let process = line.trim().to_owned();
    let stat = || std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    wait_for("the program", SOON, || stat().contains("(sleep)").then_some(()));
    shell.kill().expect("it runs");
    shell.wait().expect("a child");
    // Whoever inherits it may not have looked after it yet.
    wait_for("its end", SOON, || (!stat().contains("(sleep)") || stat().contains(") Z ")).then_some(()));
    let orphan = run(["plugin", "--parent", "1", "--", "true"]);
    assert!(orphan.status.code() == Some(1) && orphan.stderr.contains("has ended"), "{orphan:?}");
    let process = std::process::id().to_string();
    let missing = run(["plugin", "--parent", &process, "--", "/nonexistent/plugin"]);
    assert!(missing.stderr.contains("cannot start /nonexistent/plugin"), "{missing:?}");
}
