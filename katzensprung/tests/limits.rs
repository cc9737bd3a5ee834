//! What a host may refuse: limits, and outputs that nobody takes. It is said, and never a signal that ends the node.

use crate::support::folder::Folder;
use crate::support::launcher::{limited, without_call};
use crate::support::program::{finish, finish_within, program};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::Signal;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);
/// More than a network takes on a host that does much else.
const NETWORK: Duration = Duration::from_secs(600);

/// In what `ulimit -f` counts.
const SHELLS_BLOCK_BYTES: u32 = 512;

/// `io_uring_setup`, which begins the ring.
const IO_URING_SETUP: i64 = 425;

/// Every write to it fails as on a full disk.
fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("the kernel has it").into()
}

#[test]
fn outputs_that_nobody_takes_end_nothing_by_a_signal() {
    let folder = Folder::new();
    let code = |command: &mut Command| command.stdin(Stdio::null()).status().expect("it starts").code();
    let with = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments);
        command
    };
    let config = folder.config().display().to_string();
    // The exit status still says that it failed.
    assert_eq!(code(with(&["server", "-f", "/missing.toml"]).stderr(full_disk())), Some(1));
    assert_eq!(code(with(&["geometry"]).stdout(full_disk()).stderr(Stdio::null())), Some(1));
    let validate = ["server", "--validate-only", "-f", &config];
    assert_eq!(code(with(&validate).stdout(full_disk()).stderr(Stdio::null())), Some(1));
    // A warning that nobody reads is no reason not to start.
    folder.edit("Level = ", "Levle = ");
    assert_eq!(code(with(&["server", "-g", "-f", &config]).stderr(full_disk())), Some(0));
}

#[test]
fn a_log_file_that_takes_nothing_is_told_of_elsewhere() {
    let site = Site::new(LONG);
    site.folder.edit("\"katzenpost.log\"", "\"/dev/full\"");
    let mut node = site.start_node();
    let output = || site.output();
    wait_for("the complaint", SOON, || output().contains("cannot write the log file /dev/full").then_some(()));
    assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
    node.stop();
    assert_eq!(output().lines().count(), 1, "once for all lines: {}", output());
    assert!(output().contains("No space left on device"), "{}", output());
}

#[test]
fn too_few_open_files_are_refused_with_their_remedy() {
    let folder = Folder::new();
    folder.generate_keys();
    for number in [12, 16, 32] {
        let mut command = limited(&[&format!("-n {number}")]);
        let outcome = finish(command.arg("server").arg("-f").arg(folder.config()));
        outcome.refused(&[&format!("may have {number} open files"), "LimitNOFILE="]);
    }
}

#[test]
fn a_limit_of_file_sizes_is_told_of() {
    let folder = Folder::new();
    folder.generate_keys();
    // Shared memory is a file too; the log is not that long yet.
    let mut command = limited(&[&format!("-f {}", 16_384 / SHELLS_BLOCK_BYTES)]);
    let outcome = finish(command.arg("server").arg("-f").arg(folder.config()));
    outcome.refused(&["data plane: ", "File too large", "LimitFSIZE="]);
}

/// The log reaches the limit while the node runs.
#[test]
fn a_log_that_may_not_grow_does_not_end_the_node() {
    let site = Site::new(LONG);
    let log = site.folder.data("katzenpost.log");
    std::fs::write(&log, vec![b'\n'; 8 << 20]).unwrap();
    let mut command = limited(&[&format!("-f {}", (8 << 20) / SHELLS_BLOCK_BYTES)]);
    command.arg("server");
    let mut node = site.start_node_as(command);
    wait_for("the complaint", SOON, || site.output().contains("File too large").then_some(()));
    for _ in 0..3 {
        assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
        node.signal(Signal::HUP);
    }
    node.stop();
}

/// `io_uring_setup`, `io_uring_enter`, `io_uring_register`: a ring that can be made is not yet one that works: packets go another way.
#[test]
fn io_uring_that_is_refused_in_parts_is_not_used() {
    for call in IO_URING_SETUP..=IO_URING_SETUP + 2 {
        let site = Site::new(LONG);
        let Some(mut command) = without_call(call) else { return };
        command.arg("server");
        let mut node = site.start_node_as(command);
        site.wait_for_log("input and output: epoll, because: io_uring_", 1);
        site.wait_for_log("Started.", 1);
        let _authority = site.start_authority();
        site.wait_for_document();
        let _served = site.link();
        node.stop();
        site.is_quiet();
    }
}

/// Gateway, mixes, service node and authorities alike: whoever needs no ring works, and says what it does without.
#[test]
fn a_whole_network_works_where_io_uring_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let Some(mut command) = without_call(IO_URING_SETUP) else { return };
    command.args(["testnet", "--pings", "10", "--keep", "--json", "--dir"]).arg(&folder);
    let outcome = finish_within(&mut command, NETWORK);
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("\"pings_received\":10"), "{outcome:?}");
    for node in ["gateway1", "servicenode1", "mix1", "mix2", "mix3"] {
        let log = fs::read_to_string(folder.join(node).join("katzenpost.log")).unwrap();
        let told = ["input and output: epoll, because: io_uring_setup", "seccomp profile", "dataplane.backend"];
        assert!(told.iter().all(|part| log.contains(part)), "{node}: {log}");
    }
}

/// A shard that cannot begin: the node is not started, and says which knob or limit is to be changed.
#[test]
fn shards_that_cannot_begin_are_refused_with_their_remedy() {
    let with = |own: &str| {
        let folder = Folder::new();
        folder.generate_keys();
        fs::write(folder.own_config(), format!("[dataplane]\nshards = 1\nslots = 1024\n{own}\n")).unwrap();
        folder
    };
    let refused = |folder: &Folder, command: &mut Command, parts: &[&str]| {
        finish(command.arg("server").arg("-f").arg(folder.config())).refused(parts);
        let log = fs::read_to_string(folder.data("katzenpost.log")).unwrap();
        assert!(!log.contains("Started."), "{log}");
        assert!(!folder.data("dataplane.sock").exists());
    };
    let elsewhere = with("pin_cpus = [1000]");
    refused(&elsewhere, &mut program(), &["dataplane.pin_cpus names processor 1000", "it may use "]);
    for backend in ["uring", "glommio"] {
        let Some(mut command) = without_call(IO_URING_SETUP) else { return };
        let folder = with(&format!("backend = \"{backend}\""));
        refused(&folder, &mut command, &["io_uring_setup", "seccomp profile", "set dataplane.backend to \"epoll\""]);
    }
    let folder = with("backend = \"glommio\"");
    let outcome = finish(limited(&["-l 0"]).arg("server").arg("-f").arg(folder.config()));
    if outcome.stderr.contains("io_uring_setup") {
        return testhost::lacks("io_uring", outcome.stderr.trim());
    }
    outcome.refused(&["this process may lock 0", "raise LimitMEMLOCK= (ulimit -l)"]);
}

/// A doctor with as few descriptors as a process can begin with.
#[test]
fn a_doctor_without_descriptors_says_so() {
    let folder = Folder::new();
    let doctor = |descriptors: u32, more: &[&str]| {
        let mut command = limited(&[&format!("-n {descriptors}")]);
        finish(command.args(["doctor", "-f"]).arg(folder.config()).args(more))
    };
    for descriptors in 4..=12 {
        for more in [&["--offline"][..], &["--from-outside", "127.0.0.1:1"]] {
            let outcome = doctor(descriptors, more);
            assert_eq!(outcome.status.code(), Some(1), "{descriptors}: {outcome:?}");
            assert!(!outcome.stderr.contains("panicked"), "{descriptors}: {outcome:?}");
        }
    }
    doctor(7, &["--offline"]).refused(&["this process may have 7 open files", "ulimit -n"]);
}
