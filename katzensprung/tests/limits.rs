//! What a host may refuse: limits, and outputs that nobody takes. It is said, and never a signal that ends the node.

use crate::support::folder::Folder;
use crate::support::program::{finish, program};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use rustix::process::Signal;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);

/// Every write to it fails as on a full disk.
fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("the kernel has it").into()
}

/// The program under a limit; none where the host has no `prlimit`.
fn limited(limit: &str) -> Option<Command> {
    if Command::new("prlimit").arg("--version").output().is_err() {
        println!("skipped: no prlimit here");
        return None;
    }
    let mut command = Command::new("prlimit");
    command.args([limit, "env", "-u", "KATZENPOST_CONFIG"]).arg(env!("CARGO_BIN_EXE_katzensprung"));
    Some(command)
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
        let Some(mut command) = limited(&format!("--nofile={number}:{number}")) else { return };
        let outcome = finish(command.arg("server").arg("-f").arg(folder.config()));
        outcome.refused(&[&format!("may have {number} open files"), "LimitNOFILE="]);
    }
}

#[test]
fn a_limit_of_file_sizes_is_told_of() {
    let folder = Folder::new();
    folder.generate_keys();
    // Shared memory is a file too; the log is not that long yet.
    let Some(mut command) = limited("--fsize=16384") else { return };
    let outcome = finish(command.arg("server").arg("-f").arg(folder.config()));
    outcome.refused(&["data plane: ", "File too large", "LimitFSIZE="]);
}

/// The log reaches the limit while the node runs.
#[test]
fn a_log_that_may_not_grow_does_not_end_the_node() {
    let site = Site::new(LONG);
    let log = site.folder.data("katzenpost.log");
    std::fs::write(&log, vec![b'\n'; 8 << 20]).unwrap();
    let Some(mut command) = limited("--fsize=8388608") else { return };
    command.arg("server");
    let mut node = site.start_node_as(command);
    wait_for("the complaint", SOON, || site.output().contains("File too large").then_some(()));
    for _ in 0..3 {
        assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
        node.signal(Signal::HUP);
    }
    node.stop();
}

/// Runs a program with one system call refused, as the seccomp profile of a container may: a filter of four instructions.
const WITHOUT_A_CALL: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (0x06, 0, 0, 0x00050000 | 1), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p).value)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// The program with a system call refused; none where that cannot be had.
fn without_call(number: i64) -> Option<Command> {
    let mut command = Command::new("python3");
    command.args(["-c", WITHOUT_A_CALL]).arg(number.to_string());
    if !finish(Command::new("python3").args(["-c", WITHOUT_A_CALL]).arg(number.to_string()).arg("/bin/true"))
        .status
        .success()
    {
        println!("skipped: no python3 or no seccomp here");
        return None;
    }
    command.arg(env!("CARGO_BIN_EXE_katzensprung"));
    Some(command)
}

/// `io_uring_setup`, `io_uring_enter`, `io_uring_register`: a ring that can be made is not yet one that works: packets go another way.
#[test]
fn io_uring_that_is_refused_in_parts_is_not_used() {
    for call in [425, 426, 427] {
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
