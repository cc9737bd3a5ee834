//! Configuration files of older releases: what `config migrate` makes of them is valid, and what it cannot know it says.

use crate::support::folder::Folder;
use crate::support::program::{Outcome, finish, program};
use std::fs;
use std::path::Path;
use std::process::Command;

fn migrate(arguments: &[&str], file: &Path) -> Outcome {
    finish(program().args(["config", "migrate"]).args(arguments).arg(file))
}

/// A valid file of today, written as some years ago.
fn aged() -> (Folder, String) {
    let folder = Folder::new();
    folder.generate_keys();
    let today = fs::read_to_string(folder.config()).unwrap();
    let old = today.replace("tcp://", "").replace("[Server]\n", "[Server]\n  IsProvider = false\n");
    let old = format!("# kept\n{old}");
    fs::write(folder.config(), &old).unwrap();
    (folder, old)
}

#[test]
fn an_old_file_becomes_a_valid_one_by_patch_or_beside_it() {
    let (folder, old) = aged();
    let check = || finish(program().args(["config", "check"]).arg(folder.config()));
    assert_eq!(check().status.code(), Some(1), "an old file is none of today's");
    let outcome = migrate(&[], &folder.config());
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert!(outcome.stdout.starts_with("--- ") && outcome.stdout.contains("\n-  IsProvider = false\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("changed: Server.IsProvider = false: removed"), "{outcome:?}");
    assert_eq!(fs::read_to_string(folder.config()).unwrap(), old, "a diff changes nothing");

    let beside = folder.path().join("new.toml");
    let written = migrate(&["--output", beside.to_str().unwrap()], &folder.config());
    assert_eq!((written.status.code(), written.stdout.as_str()), (Some(0), ""), "{written:?}");
    let new = fs::read_to_string(&beside).unwrap();
    migrate(&["--output", beside.to_str().unwrap()], &folder.config()).refused(&["new.toml", "File exists"]);

    let diff = folder.path().join("diff");
    fs::write(&diff, &outcome.stdout).unwrap();
    match Command::new("patch").arg("--silent").arg(folder.config()).arg(&diff).status() {
        Err(_) => testhost::lacks_tool("patch"),
        Ok(status) => {
            assert!(status.success());
            assert_eq!(fs::read_to_string(folder.config()).unwrap(), new);
            let outcome = check();
            assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        }
    }
}

#[test]
fn what_only_its_operator_knows_is_asked() {
    let (folder, old) = aged();
    fs::write(folder.config(), old.replace("IsProvider = false", "IsProvider = true")).unwrap();
    let outcome = migrate(&[], &folder.config());
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("to be decided: a provider was a gateway and a service node in one"),
        "{outcome:?}"
    );
    let outcome = migrate(&["--provider-as", "gateway"], &folder.config());
    assert!(outcome.stdout.contains("\n+  IsGatewayNode = true\n"), "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let folder = Folder::new();
    let file = folder.path().join("replica.toml");
    fs::write(&file, "ReplicaID = 0\n").unwrap();
    migrate(&[], &file).refused(&["replica.toml", "a storage replica's", "does not check"]);
    fs::write(&file, "[Server\n").unwrap();
    migrate(&[], &file).refused(&["replica.toml", "TOML"]);
    migrate(&[], &folder.path().join("nothing")).refused(&["nothing"]);
}
