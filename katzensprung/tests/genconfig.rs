//! `genconfig` where it cannot go on: all of a network's files, or none; what was there stays.

use crate::support::launcher::limited;
use crate::support::program::{Outcome, finish, run};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILES: usize = 60;

fn words(out: &Path) -> Vec<String> {
    let out = out.to_str().unwrap().to_owned();
    ["genconfig", "-b", &out, "-o", &out, "--wirekem", "xwing", "-v"].map(str::to_owned).into()
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let of = |entry: fs::DirEntry| match entry.path().is_dir() {
        true => files(&entry.path()),
        false => BTreeSet::from([entry.path()]),
    };
    entries.flatten().flat_map(of).collect()
}

/// A run that may write small files only.
fn unable(out: &Path) -> Outcome {
    finish(limited(&["-f 1"]).args(words(out)))
}

#[test]
fn what_fails_halfway_leaves_nothing_and_the_next_run_is_whole() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    unable(&out).refused(&["cannot make", "auth1", "File too large"]);
    assert!(!out.exists(), "{:?}", files(&out));
    // Somebody's folder stays, with what is in it.
    fs::create_dir_all(out.join("mix1")).unwrap();
    fs::write(out.join("mix1/notes"), "mine").unwrap();
    unable(&out).refused(&["cannot make"]);
    assert_eq!(files(&out), BTreeSet::from([out.join("mix1/notes")]));
    run(words(&out)).succeeded();
    assert!(files(&out).len() >= FILES && out.join("mix6/link.private.pem").exists(), "{:?}", files(&out));
    assert_eq!(fs::read_to_string(out.join("mix1/notes")).unwrap(), "mine");
    assert!(!out.join(".unfinished").exists() && !out.join(".finished").exists());
}

#[test]
fn what_a_killed_run_has_left_goes_first() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    run(words(&out)).succeeded();
    let all = files(&out);
    // Half of it was in its place, the other half was not yet; and somebody has put something beside it.
    for (number, path) in all.iter().enumerate() {
        let staged = out.join(".unfinished").join(path.strip_prefix(&out).unwrap());
        fs::create_dir_all(staged.parent().unwrap()).unwrap();
        fs::hard_link(path, &staged).unwrap();
        if number % 2 == 1 {
            fs::remove_file(path).unwrap();
        }
    }
    fs::write(out.join("gateway1/notes"), "mine").unwrap();
    run(words(&out)).succeeded();
    let mut expected = all;
    expected.insert(out.join("gateway1/notes"));
    assert_eq!(files(&out), expected);
    let checked = ["auth1/authority.toml", "gateway1/katzenpost.toml"].map(|file| out.join(file));
    run(["config".as_ref(), "check".as_ref()].into_iter().chain(checked.iter().map(|path| path.as_os_str())))
        .succeeded();
}

#[test]
fn a_file_that_is_there_is_an_error_before_anything_is_written() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    fs::create_dir_all(out.join("mix6")).unwrap();
    fs::write(out.join("mix6/katzenpost.toml"), "mine").unwrap();
    run(words(&out)).refused(&["mix6/katzenpost.toml", "nothing is overwritten", "move away"]);
    assert_eq!(files(&out), BTreeSet::from([out.join("mix6/katzenpost.toml")]));
    assert_eq!(fs::read_to_string(out.join("mix6/katzenpost.toml")).unwrap(), "mine");
    // Another run is at work there.
    let held = fs::File::open(&out).unwrap();
    held.lock().unwrap();
    run(words(&out)).refused(&["cannot make", "another command writes there"]);
}

#[test]
fn schemes_that_can_be_had_are_named_with_the_option() {
    for (option, name, has, has_not) in [
        ("--nike", "x25518", "x25519", "ctidh"),
        ("--kem", "kyber", "XWING", "mceliece"),
        ("--pkiScheme", "rsa", "Ed25519", "Falcon"),
    ] {
        let outcome = run(["genconfig", "-b", "/x", "-o", "/nonexistent/x", "--wirekem", "xwing", option, name]);
        outcome.refused(&[option, name, "built in are: ", has]);
        assert!(!outcome.stderr.contains(has_not), "{outcome:?}");
    }
    let outcome = run(["testnet", "--sphinx", "kyber"]);
    outcome.refused(&["--sphinx", "kyber", "NIKEs x25519", "KEMs x25519", "XWING"]);
    assert!(!outcome.stderr.contains("mceliece"), "{outcome:?}");
}

#[test]
fn more_memory_for_messages_than_there_is_is_refused_at_a_gateway_alone() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    run(words(&out)).succeeded();
    let own =
        |member: &str| fs::write(out.join(member).join("katzensprung.toml"), "[dataplane]\nspool_mib = 1000000\n");
    let serve = |member: &str, word: &str| {
        let file = out.join(member).join("katzenpost.toml");
        run(["server", "-f", file.to_str().unwrap(), word])
    };
    own("gateway1").unwrap();
    own("mix1").unwrap();
    serve("gateway1", "-g").refused(&["messages for clients 1048 GB", "write dataplane.spool_mib = ", "or less"]);
    serve("mix1", "-g").succeeded();
}
