//! Starts the program as a host does that refuses something.

use super::program::finish;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the child finds the number of the system call.
const VARIABLE: &str = "KATZENSPRUNG_TEST_REFUSED_CALL";
const EPERM: u32 = 1;

/// The program under limits, each as the shell's `ulimit` takes it. Arguments may follow.
pub fn limited(limits: &[&str]) -> Command {
    limited_copy(Path::new(env!("CARGO_BIN_EXE_katzensprung")), limits)
}

/// The same with a copy of the program.
pub fn limited_copy(program: &Path, limits: &[&str]) -> Command {
    let script: String = limits.iter().map(|limit| format!("ulimit {limit} && ")).collect();
    let mut command = Command::new("sh");
    command.args(["-c", &(script + "exec \"$@\""), "sh"]).arg(program).env_remove("KATZENPOST_CONFIG");
    command
}

/// Somebody who owns nothing.
const NOBODY: u32 = 65_534;

/// As whom a program runs here that is not to be root's: whoever runs the tests, or somebody who gets all of the folder.
/// Gives that user.
pub fn without_privileges<const N: usize>(folder: &Path, commands: [&mut Command; N]) -> u32 {
    let own = rustix::process::geteuid();
    if !own.is_root() {
        return own.as_raw();
    }
    give_away(folder);
    for command in commands {
        command.uid(NOBODY).gid(NOBODY);
    }
    NOBODY
}

/// A copy of the program in the folder: wherever the build lies, others may not be let in there.
pub fn copy_into(folder: &Path) -> PathBuf {
    let copy = folder.join("katzensprung");
    std::fs::copy(env!("CARGO_BIN_EXE_katzensprung"), &copy).expect("there is room");
    copy
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    if path.is_dir() {
        std::fs::read_dir(path).expect("a folder").flatten().for_each(|entry| give_away(&entry.path()));
    }
}

/// The program with a system call refused, as the seccomp profile of a container may; none where no filter can be had.
/// Arguments may follow.
pub fn without_call(number: i64) -> Option<Command> {
    let command = || {
        let mut command = Command::new(std::env::current_exe().expect("a test binary"));
        command.args(["--exact", "support::launcher::child_process", "--"]).env(VARIABLE, number.to_string());
        command.env_remove("KATZENPOST_CONFIG");
        command
    };
    let tried = finish(command().arg("--version"));
    if tried.status.success() {
        return Some(command());
    }
    testhost::lacks("seccomp", tried.stderr.trim());
    None
}

/// Not a test by itself: becomes the program, under a filter.
#[test]
fn child_process() {
    let Ok(number) = std::env::var(VARIABLE) else { return };
    let arguments: Vec<OsString> = std::env::args_os().skip_while(|argument| argument != "--").skip(1).collect();
    let calls = BTreeMap::from([(number.parse().expect("a number"), Vec::new())]);
    let this = std::env::consts::ARCH.try_into().expect("a known processor");
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(EPERM), this);
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a filter");
    apply_filter(&filter).expect("filters are allowed");
    // The harness has written into what is to be the program's output.
    let output = std::io::stdout().as_fd().try_clone_to_owned().map(File::from);
    output.and_then(|mut output| output.set_len(0).and_then(|()| output.rewind())).expect("a file");
    let error = Command::new(env!("CARGO_BIN_EXE_katzensprung")).args(arguments).env_remove(VARIABLE).exec();
    panic!("{error}");
}
