//! Datagrams past the kernel, with whole nodes in network namespaces of their own: that they go there, what a killed data plane
//! leaves, and what happens where it is refused.

use crate::support::folder::Folder;
use crate::support::program::{Outcome, finish_within};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// More than all of it takes on a host that does much else.
const LONG: Duration = Duration::from_secs(120);

/// What the shell does in a network namespace: a virtual interface of one queue with an address for the node to listen on, the node,
/// and the steps in `$4`. Whoever cannot have the interface ends with 77.
const IN_A_NETWORK: &str = r#"
ip link add wire numrxqueues 1 numtxqueues 1 type veth peer name other numrxqueues 1 numtxqueues 1 || exit 77
ip addr add 10.77.0.2/24 dev wire && ip link set wire up && ip link set other up && ip link set lo up || exit 77
log=$3
"$1" server -f "$2" &
node=$!
data_plane() { for f in /proc/[0-9]*/status; do grep -qs "^PPid:[[:space:]]*$node\$" $f && f=${f#/proc/} && echo ${f%%/*}; done; }
# Waits for the nth line with this text.
logged() {
    for i in $(seq 1500); do
        [ -e "$log" ] && [ "$(grep -c "$1" "$log")" -ge $2 ] && return
        kill -0 $node || exit 3
        sleep 0.02
    done
    kill -KILL $node
    exit 4
}
eval "$4"
kill -TERM $node
wait $node
"#;

/// Runs a node with these lines below `[dataplane]`, and the steps; gives what the steps have printed, and the log. None where the
/// host has no such networks.
fn run(own: &str, steps: &str) -> Option<(Outcome, String)> {
    let folder = Folder::new();
    folder.edit(&format!("tcp://{}", folder.address), "quic://10.77.0.2:30004");
    fs::write(folder.own_config(), format!("[dataplane]\nslots = 1024\n{own}")).unwrap();
    folder.generate_keys();
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", IN_A_NETWORK, "sh", env!("CARGO_BIN_EXE_katzensprung")]);
    command.arg(folder.config()).arg(folder.data("katzenpost.log")).arg(steps);
    let outcome = finish_within(&mut command, LONG);
    if outcome.status.code() == Some(77) || outcome.stderr.contains("unshare:") {
        testhost::lacks("network_namespaces", outcome.stderr.trim());
        return None;
    }
    let log = fs::read_to_string(folder.data("katzenpost.log")).unwrap_or_default();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}\n{log}");
    Some((outcome, log))
}

const XDP: &str = "shards = 1\ndatagrams = \"xdp\"\ninterface = \"wire\"\n";

/// Whether this host has AF_XDP; a log that says why not is no fault of the node.
fn has_xdp(log: &str) -> bool {
    let refused =
        log.lines().find(|line| line.contains("is not supported by this kernel") || line.contains("needs CAP_"));
    if let Some(line) = refused {
        testhost::lacks("af_xdp", line);
    }
    refused.is_none()
}

/// Whether this host lets datagrams go past the kernel; it is said where not.
pub fn is_possible() -> bool {
    run(XDP, "logged 'datagrams' 1").is_some_and(|(_, log)| has_xdp(&log))
}

#[test]
fn a_killed_data_plane_leaves_the_interface_free_for_the_next() {
    let steps = r#"
logged 'datagrams' 1
ip link show wire | grep prog/xdp
kill -KILL $(data_plane)
logged 'datagrams' 2
ip link show wire | grep prog/xdp
for plane in $(data_plane) $node; do kill -KILL $plane; done
for i in $(seq 500); do ip link show wire | grep -q prog/xdp || break; sleep 0.02; done
ip link show wire | grep prog/xdp || echo free
exit 0
"#;
    let Some((outcome, log)) = run(XDP, steps) else { return };
    if !has_xdp(&log) {
        return;
    }
    let lines: Vec<_> = outcome.stdout.lines().map(str::trim).collect();
    assert_eq!(lines.len(), 3, "{outcome:?}\n{log}");
    assert!(lines[..2].iter().all(|line| line.starts_with("prog/xdp")) && lines[2] == "free", "{outcome:?}");
    assert_eq!(
        log.matches("datagrams: AF_XDP at wire, in the driver, with copies, for 1 of 1 shards").count(),
        2,
        "{log}"
    );
    assert!(!log.contains("the kernel's sockets carry datagrams"), "{log}");
}

#[test]
fn where_it_is_refused_the_kernel_carries_datagrams_and_the_log_says_why() {
    for (own, why) in [
        (
            "shards = 1\ndatagrams = \"xdp\"\ninterface = \"nowhere\"\n",
            "there is no network interface \"nowhere\": `ip link` names them",
        ),
        ("shards = 1\ndatagrams = \"xdp\"\ninterface = \"lo\"\n", "lo has no addresses of Ethernet"),
    ] {
        let Some((_, log)) = run(own, "logged 'Started' 1; logged 'sockets carry datagrams' 1") else { return };
        let line = log.lines().find(|line| line.contains("the kernel's sockets carry datagrams, not AF_XDP: "));
        assert!(line.is_some_and(|line| line.contains(" WARN ") && line.contains(why)), "{log}");
    }
}

#[test]
fn shards_without_a_queue_stay_with_the_kernel() {
    let own = "shards = 2\nbackend = \"epoll\"\ndatagrams = \"xdp\"\ninterface = \"wire\"\n";
    let Some((_, log)) = run(own, "logged 'datagrams: ' 1; logged 'sockets carry datagrams' 1") else { return };
    if has_xdp(&log) {
        assert!(log.contains("input and output: epoll"), "{log}");
        assert!(log.contains("datagrams: AF_XDP at wire, in the driver, with copies, for 1 of 2 shards"), "{log}");
        assert!(log.contains("not AF_XDP: from shard 1 on: wire has no queue 1: "), "{log}");
    }
}
