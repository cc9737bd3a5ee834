//! What packages hold, and the Debian package on a host of its own: a root above this host's that is gone afterwards.

mod ansible;
mod bypass;
mod container;
mod life;
mod sealed;
mod systemd;

use crate::support::free_address;
use crate::support::program::{Outcome, finish_within, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(300);

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Runs one of the scripts in `deploy`.
#[track_caller]
fn script(name: &str, arguments: &[&str]) -> String {
    // As who keeps their own files to themselves.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(deploy().join(name)).args(arguments);
    // The strongest compression would take most of the test's time.
    finish_within(command.env("COMPRESSION", "gzip"), LONG).succeeded()
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_command_has_a_page_of_the_manual_and_completions() {
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name).display().to_string();
    run(["generate", "man", &path("man")]).succeeded();
    run(["generate", "completions", &path("completions")]).succeeded();
    let help = run(["--help"]).succeeded();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = list.lines().map_while(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"server") && commands.len() > 8, "{help}");
    for shell in ["katzensprung.bash", "_katzensprung", "katzensprung.fish"] {
        let text = fs::read_to_string(outside.path().join("completions").join(shell)).unwrap();
        for command in commands.iter().chain(&["validate-only"]) {
            assert!(text.contains(command), "{shell} knows nothing of {command}");
        }
    }
    for command in &commands {
        let page = fs::read_to_string(path(&format!("man/katzensprung-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    let pages = files_below(Path::new(&path("man")));
    for (part, why) in [("generate", "for packagers"), ("dataplane", "nobody types it"), ("help", "the parser's own")] {
        assert!(!pages.iter().any(|page| page.contains(part)), "a page of {part}, which is {why}");
    }
    let first = fs::read_to_string(path("man/katzensprung.1")).unwrap();
    assert!(first.contains(&format!("v{}", env!("CARGO_PKG_VERSION"))), "{first}");
    assert!(
        !first.contains(&crypto_simd::cpu::level().unwrap().to_string()),
        "the page tells of its builder's processor"
    );
    let blocked = path("man/katzensprung.1");
    run(["generate", "man", &blocked]).refused(&["cannot make the folder", &blocked]);
}

#[test]
fn packages_hold_what_the_units_and_pages_name() {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    script("stage", &[root.to_str().unwrap(), env!("CARGO_BIN_EXE_katzensprung")]);
    let files = files_below(&root);
    let units: Vec<_> = files.iter().filter(|file| file.ends_with(".service")).collect();
    assert_eq!(units.len(), 3, "{files:?}");
    for unit in units {
        let text = fs::read_to_string(root.join(unit)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/")).unwrap();
        assert!(files.iter().any(|file| line.starts_with(&format!("{file} "))), "{unit}: {line}");
        for named in text.split("Documentation=").nth(1).unwrap().lines().next().unwrap().split(' ') {
            let file = match named.strip_prefix("man:").and_then(|page| page.strip_suffix("(1)")) {
                Some(page) => format!("usr/share/man/man1/{page}.1.gz"),
                None => named.strip_prefix("file:///").unwrap().to_owned(),
            };
            assert!(files.contains(&file), "{unit} names {named}");
        }
        // What each user of a unit is, and where it may write, is said in three places.
        let user = text.lines().find_map(|line| line.strip_prefix("User=")).unwrap();
        let users = fs::read_to_string(root.join("usr/lib/sysusers.d/katzensprung.conf")).unwrap();
        let folders = fs::read_to_string(root.join("usr/lib/tmpfiles.d/katzensprung.conf")).unwrap();
        assert!(users.contains(&format!("u {user} ")), "{unit}: {user}");
        assert!(folders.contains(&format!("d /var/lib/{user} 0700 {user} {user}")), "{unit}: {user}");
        assert!(text.contains(&format!("StateDirectory={user}\n")), "{unit}: {user}");
    }
    assert!(fs::read(root.join("usr/share/doc/katzensprung/changelog.gz")).unwrap().starts_with(&[0x1f, 0x8b]));
}

/// Whether a command is there at all.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn the_debian_package_is_installed_started_upgraded_and_removed_without_the_loss_of_a_key() {
    if !has("dpkg-deb") {
        return testhost::lacks_tool("dpkg-deb");
    }
    if !rustix::process::geteuid().is_root() {
        return testhost::lacks("root", "only root can install packages");
    }
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().to_str().unwrap();
    let package = script("deb", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), folder]);
    fs::rename(package.trim(), outside.path().join("package.deb")).unwrap();
    let held = on_a_root_of_its_own(outside.path(), include_str!("package/inside.sh"));
    assert!(held.is_none_or(|held| held.len() >= 10));
}

#[test]
fn the_rpm_package_is_installed_upgraded_and_removed_without_the_loss_of_a_key() {
    if let Some(missing) = ["rpmbuild", "rpm"].into_iter().find(|tool| !has(tool)) {
        return testhost::lacks_tool(missing);
    }
    if !rustix::process::geteuid().is_root() {
        return testhost::lacks("root", "only root can install packages");
    }
    let outside = tempfile::tempdir().unwrap();
    let package = script("rpm", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), outside.path().to_str().unwrap()]);
    fs::rename(package.trim(), outside.path().join("package.rpm")).unwrap();
    let held = on_a_root_of_its_own(outside.path(), include_str!("package/rpm.sh"));
    assert!(held.is_none_or(|held| held.len() == 3));
}

/// Runs a script on a root above this host's, with the package that lies in the folder and a network's files; gives what
/// holds, if this host has such roots.
#[track_caller]
fn on_a_root_of_its_own(folder: &Path, inside: &str) -> Option<Vec<String>> {
    make_network(folder);
    fs::write(folder.join("inside.sh"), inside).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/package/outside.sh");
    let mut command = Command::new("unshare");
    // Whatever the package starts ends with the first process of the namespace.
    command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    // Other tests take ports of this host meanwhile; where `ip` can bring loopback up, it has one of its own.
    command.args(has("ip").then_some("--net"));
    command.arg("sh").arg(script).arg(folder);
    held(&mut command).inspect_err(|missing| testhost::lacks("mount_namespaces", missing.trim())).ok()
}

/// The files of a whole network, in the folder `network`.
fn make_network(folder: &Path) {
    let (network, port) = (folder.join("network"), free_address().port().to_string());
    let out = network.to_str().unwrap();
    run(["genconfig", "-b", out, "-o", out, "--wirekem", "xwing", "-v", "-n", "3", "-P", &port]).succeeded();
}

/// What a script prints of what holds; else why this host cannot run it.
#[track_caller]
fn held(command: &mut Command) -> Result<Vec<String>, String> {
    let outcome @ Outcome { status, .. } = &finish_within(command, LONG);
    if status.code() == Some(77) || outcome.stderr.contains("unshare:") {
        return Err(outcome.stderr.clone());
    }
    assert_eq!(status.code(), Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    let held: Vec<_> = outcome.stdout.lines().filter(|line| line.starts_with("HOLDS: ")).map(str::to_owned).collect();
    println!("{}", held.join("\n"));
    Ok(held)
}

fn lines_of(command: &mut Command) -> Vec<String> {
    let mut lines: Vec<_> = finish_within(command, LONG).succeeded().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn archive_and_rpm_hold_what_was_staged() {
    let outside = tempfile::tempdir().unwrap();
    let (folder, program) = (outside.path().to_str().unwrap(), env!("CARGO_BIN_EXE_katzensprung"));
    let root = outside.path().join("root");
    script("stage", &[root.to_str().unwrap(), program]);
    let staged = files_below(&root);
    let archive = script("tarball", &["--binary", program, folder]);
    let first = fs::read(archive.trim()).unwrap();
    let inside = lines_of(Command::new("tar").arg("-tzf").arg(archive.trim()));
    assert_eq!(inside, staged.iter().map(|file| format!("./{file}")).collect::<Vec<_>>());
    script("tarball", &["--binary", program, folder]);
    assert!(fs::read(archive.trim()).unwrap() == first, "the same tree makes another archive");
    if !has("rpmbuild") {
        return testhost::lacks_tool("rpmbuild");
    }
    let package = script("rpm", &["--binary", program, folder]);
    let query = |what: &str| lines_of(Command::new("rpm").args(["--query", "--package", what]).arg(package.trim()));
    let mut expected: Vec<_> = staged.iter().map(|file| format!("/{file}")).collect();
    expected.push("/etc/katzensprung".into());
    expected.sort();
    assert_eq!(query("--list"), expected);
    assert_eq!(query("--configfiles"), ["/etc/logrotate.d/katzensprung"]);
    assert!(query("--scripts").iter().any(|line| line.contains("kept $folder")));
}

#[test]
fn an_image_holds_all_that_its_program_asks_for() {
    let outside = tempfile::tempdir().unwrap();
    script("oci/context", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), outside.path().to_str().unwrap()]);
    let recipe = fs::read_to_string(outside.path().join("Containerfile")).unwrap();
    let arguments = |word: &str| {
        let lines = recipe.lines().filter_map(|line| line.split_once(' ').filter(|(first, _)| *first == word));
        lines.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(arguments("FROM"), ["scratch"]);
    let copied = arguments("COPY");
    assert_eq!(copied.len(), 2, "{recipe}");
    for line in copied {
        let words: Vec<_> = line.split(' ').filter(|word| !word.starts_with("--")).collect();
        assert!(outside.path().join(words[0]).is_dir(), "{line}");
    }
    let root = outside.path().join("root");
    let command: Vec<String> = serde_json::from_str(&arguments("ENTRYPOINT")[0]).unwrap();
    assert!(root.join(command[0].trim_start_matches('/')).is_file(), "{command:?}");
    let (user, group) = (fs::read_to_string(root.join("etc/passwd")).unwrap(), arguments("USER").remove(0));
    assert!(user.contains(&format!("x:{group}:")), "{user}");
    if !rustix::process::geteuid().is_root() {
        return testhost::lacks("root", "only root can change the root folder");
    }
    let inside = |arguments: &[&str]| {
        let user = format!("--userspec={group}");
        finish_within(Command::new("chroot").arg(user).arg(&root).args(&command).args(arguments), LONG)
    };
    assert!(inside(&["--version"]).succeeded().contains(env!("CARGO_PKG_VERSION")));
    let standard: Vec<String> = serde_json::from_str(&arguments("CMD")[0]).unwrap();
    let standard: Vec<_> = standard.iter().map(String::as_str).collect();
    inside(&standard).refused(&["error: /etc/katzensprung/katzenpost.toml", "cannot be read"]);
}
