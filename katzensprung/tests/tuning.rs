//! How a host is set: looked at, changed on a made-up one, and taken back.

use crate::support::program::run;
use std::fs;
use std::path::Path;

const SWAPPINESS: &str = "proc/sys/vm/swappiness";

/// A host with one setting that should be otherwise.
fn host() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let set = |path: &str, text: &str| {
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("written");
    };
    set(SWAPPINESS, "60\n");
    set("proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1 0 -2\n");
    root
}

fn swappiness(root: &Path) -> String {
    fs::read_to_string(root.join(SWAPPINESS)).expect("there")
}

#[test]
fn this_host_can_be_looked_at() {
    let text = run(["tuning", "inspect"]).succeeded();
    for part in ["profile  ", "processors  ", "for katzensprung.toml:\n\n[dataplane]\nshards = "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let outcome = run(["tuning", "check"]);
    assert!(matches!(outcome.status.code(), Some(0 | 1)), "{outcome:?}");
    assert!(outcome.stdout.ends_with("stages are well\n") && outcome.stderr.is_empty(), "{outcome:?}");
    run(["tuning", "apply", "--dry-run"]).succeeded();
}

#[test]
fn what_is_found_is_changed_and_taken_back() {
    let root = host();
    let folder = root.path().display().to_string();
    let tuning = |words: &[&str]| run(["tuning"].iter().chain(words).copied().chain(["--root", &folder]));
    let found = tuning(&["check", "--stage", "swap"]);
    assert_eq!(found.status.code(), Some(1));
    for part in ["FIND  swap", "/proc/sys/vm/swappiness: 60; wanted: 10", "why ", "remedy ", "0 of 1 stages are well"] {
        assert!(found.stdout.contains(part), "{part} in {found:?}");
    }
    assert_eq!(tuning(&["apply", "--dry-run"]).succeeded(), "echo 10 > /proc/sys/vm/swappiness\n");
    assert_eq!(swappiness(root.path()), "60\n");
    assert_eq!(tuning(&["apply"]).succeeded(), "/proc/sys/vm/swappiness: 60 -> 10\n");
    assert_eq!(swappiness(root.path()), "10\n");
    assert!(root.path().join("var/lib/katzensprung/tuning.json").exists());
    tuning(&["check", "--stage", "swap"]).succeeded();
    assert_eq!(tuning(&["apply"]).succeeded(), "nothing to change\n");
    assert_eq!(tuning(&["undo"]).succeeded(), "/proc/sys/vm/swappiness: 10 -> 60\n");
    assert_eq!(swappiness(root.path()), "60\n");
    assert!(!root.path().join("var/lib/katzensprung/tuning.json").exists());
}

#[test]
fn what_an_operator_gets_wrong_is_said() {
    let root = host();
    let folder = root.path().display().to_string();
    run(["tuning", "check", "--profile", "zen9"]).refused(&["no hardware profile 'zen9'", "zen5", "generic"]);
    let state = root.path().join(SWAPPINESS).join("tuning.json").display().to_string();
    run(["tuning", "apply", "--root", &folder, "--state", &state]).refused(&[&state, "the state of earlier changes"]);
    assert_eq!(swappiness(root.path()), "60\n");
}
