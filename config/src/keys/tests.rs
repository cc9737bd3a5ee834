use super::*;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, signature};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

fn ed25519() -> SignatureScheme {
    SignatureScheme(signature::by_name("Ed25519").expect("built in"))
}

fn xwing() -> KemScheme {
    KemScheme(kem::by_name("XWING").expect("built in"))
}

fn random() -> SeededRandom {
    SeededRandom::new(&[7; 32])
}

/// A parent for DataDir that goes away with the test.
fn parent() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(parent: &tempfile::TempDir) -> DataDir {
    DataDir::open(&parent.path().join("data")).expect("DataDir opens")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

fn names(dir: &DataDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name != LOCK_FILE_NAME)
        .collect();
    names.sort();
    names
}

#[test]
fn pairs_are_made_once_and_read_again() {
    let parent = parent();
    let dir = open(&parent);
    assert_eq!(mode(dir.path()), 0o700);
    let made = identity(&dir, ed25519(), &mut random()).expect("made");
    let made_link = link(&dir, xwing(), &mut random()).expect("made");
    assert!(made.created && made_link.created);
    let files = ["identity.private.pem", "identity.public.pem", "link.private.pem", "link.public.pem"];
    assert_eq!(names(&dir), files);
    for file in files {
        assert_eq!(mode(&dir.path().join(file)), 0o600, "{file}");
    }
    let text = fs::read_to_string(dir.path().join("link.private.pem")).expect("text");
    assert!(
        text.starts_with("-----BEGIN XWING PRIVATE KEY-----\n") && text.ends_with("-----END XWING PRIVATE KEY-----\n")
    );
    let read = identity(&dir, ed25519(), &mut random()).expect("read");
    assert!(!read.created && read.findings.is_empty());
    assert_eq!((&read.private, &read.public), (&made.private, &made.public));
    let read = link(&dir, xwing(), &mut random()).expect("read");
    assert_eq!((&read.private, &read.public), (&made_link.private, &made_link.public));
    assert_eq!(format!("{read:?}"), "KeyPair { created: false, .. }");
}

#[test]
fn data_dir_is_a_real_folder_for_its_owner_alone() {
    let parent = parent();
    let path = parent.path().join("data");
    fs::create_dir(&path).expect("made");
    for mode in [0o755, 0o750, 0o500, 0o1700, 0o2700] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("mode set");
        let error = DataDir::open(&path).expect_err("refused");
        assert!(matches!(error, KeyError::Permissions { mode: found, .. } if found == mode), "{error}");
        let command = if mode == 0o2700 { "run chmod 00700 /" } else { "run chmod 0700 /" };
        let error = error.to_string();
        assert!(error.contains("has invalid permissions") && error.contains(command), "{error}");
    }
    // GNU chmod, which keeps a setgid bit that it is not told of.
    let done = std::process::Command::new("chmod").arg("00700").arg(&path).status().expect("chmod");
    assert!(done.success() && DataDir::open(&path).is_ok());
    assert!(matches!(DataDir::look(&path), Ok(())));
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("mode set");
    let link = parent.path().join("link");
    symlink(&path, &link).expect("linked");
    let file = parent.path().join("file");
    fs::write(&file, "").expect("written");
    for other in [link, file] {
        assert!(matches!(DataDir::open(&other), Err(KeyError::NotDirectory(_))));
    }
    let orphan = DataDir::open(&parent.path().join("missing/data")).expect_err("no parent");
    assert!(orphan.to_string().contains("cannot be created") && orphan.to_string().contains("the folder above"));
}

#[test]
fn chmod_is_advised_only_where_nobody_else_is_at_home() {
    let parent = parent();
    let path = parent.path().join("data");
    fs::create_dir(&path).expect("made");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("mode set");
    let refusal = || DataDir::open(&path).expect_err("refused").to_string();
    fs::create_dir(path.join("lost+found")).expect("made");
    assert!(refusal().contains("run chmod 0700"), "a fresh disk: {}", refusal());
    fs::write(path.join("passwd"), "").expect("written");
    assert!(refusal().contains("not a folder of this node's own") && !refusal().contains("chmod"), "{}", refusal());
    assert_eq!(DataDir::look(&path).expect_err("refused").to_string(), refusal());
    fs::write(path.join("link.private.pem"), "").expect("written");
    assert!(refusal().contains("run chmod 0700"), "a node's: {}", refusal());
    for folder in ["/", "/etc"] {
        let error = DataDir::open(Path::new(folder)).expect_err("refused").to_string();
        assert!(error.contains("give DataDir one of its own") && !error.contains("chmod"), "{error}");
    }
    assert!(DataDir::look(&parent.path().join("missing")).is_ok());
}

#[test]
fn a_folder_of_another_user_is_told_as_such() {
    let parent = parent();
    let path = parent.path().join("data");
    drop(DataDir::open(&path).expect("DataDir opens"));
    assert!(DataDir::check_owner(&path).is_ok());
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        testhost::lacks("root", "only root can give a folder away");
        return;
    }
    let error = DataDir::check_owner(&path).expect_err("another's").to_string();
    assert!(error.contains("belongs to user 65534, and this runs as user 0"), "{error}");
    let dir = DataDir::open(&path).expect("root can");
    assert_eq!(dir.findings().iter().map(|finding| finding.code).collect::<Vec<_>>(), ["data-dir-owner"]);
    // A key of the folder's owner is as it should be; one of a third user is to be given to that owner.
    identity(&dir, ed25519(), &mut random()).expect("made");
    let private = dir.path().join("identity.private.pem");
    for (owner, expected) in [(65_534, vec![]), (65_533, vec!["key-owner"])] {
        std::os::unix::fs::chown(&private, Some(owner), None).expect("given away");
        let read = identity(&dir, ed25519(), &mut random()).expect("read");
        assert_eq!(read.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), expected);
        assert!(read.findings.iter().all(|finding| finding.remedy.starts_with("run chown 65534 /")));
    }
}

#[test]
fn a_folder_made_below_a_setgid_one_has_mode_0700() {
    let parent = parent();
    fs::set_permissions(parent.path(), Permissions::from_mode(0o2700)).expect("mode set");
    let dir = open(&parent);
    assert_eq!(mode(dir.path()), 0o700);
}

#[test]
fn a_second_node_is_refused() {
    let parent = parent();
    let dir = open(&parent);
    let error = DataDir::open(dir.path()).expect_err("locked");
    assert!(matches!(error, KeyError::Locked { .. }));
    assert!(error.to_string().contains(&format!("in use by another node (process {})", std::process::id())), "{error}");
    drop(dir);
    open(&parent);
}

#[test]
fn a_private_key_that_is_lost_is_never_replaced() {
    for (name, advice) in [("identity", "registered anew"), ("link", "to have a new link key made")] {
        let parent = parent();
        let dir = open(&parent);
        identity(&dir, ed25519(), &mut random()).expect("made");
        link(&dir, xwing(), &mut random()).expect("made");
        fs::remove_file(dir.path().join(format!("{name}.private.pem"))).expect("removed");
        let before = names(&dir);
        let error = match name {
            "identity" => identity(&dir, ed25519(), &mut random()).expect_err("refused"),
            _ => link(&dir, xwing(), &mut random()).expect_err("refused"),
        };
        let text = error.to_string();
        assert!(text.contains("must either both exist or not exist") && text.contains("restore"), "{text}");
        assert!(text.contains(advice) && !text.contains(" away"), "{text}");
        assert_eq!(names(&dir), before);
    }
}

#[test]
fn a_public_key_that_is_lost_is_made_again() {
    for scheme in ["Ed25519", "Ed25519-Sphincs+"] {
        let scheme = SignatureScheme(signature::by_name(scheme).expect("built in"));
        let parent = parent();
        let dir = open(&parent);
        let made = identity(&dir, scheme, &mut random()).expect("made");
        let public = dir.path().join("identity.public.pem");
        let text = fs::read(&public).expect("read");
        fs::remove_file(&public).expect("removed");
        // Half of one that a full disk cut off.
        fs::write(dir.path().join("identity.public.pem.new"), &text[..30]).expect("written");
        let again = identity(&dir, scheme, &mut random()).expect("made again");
        assert_eq!((&again.private, &again.public, again.created), (&made.private, &made.public, false));
        assert_eq!(again.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["public-key-missing"]);
        assert_eq!((fs::read(&public).expect("read"), mode(&public)), (text, 0o600));
        assert_eq!(names(&dir), ["identity.private.pem", "identity.public.pem"]);
        assert!(identity(&dir, scheme, &mut random()).expect("read").findings.is_empty());
    }
}

#[test]
fn a_public_key_that_cannot_be_written_keeps_nobody_from_running() {
    let parent = parent();
    let dir = open(&parent);
    let made = identity(&dir, ed25519(), &mut random()).expect("made");
    let public = dir.path().join("identity.public.pem");
    fs::remove_file(&public).expect("removed");
    // As a full disk is one: nothing can be made under that name.
    fs::create_dir(dir.path().join("identity.public.pem.new")).expect("made");
    let read = identity(&dir, ed25519(), &mut random()).expect("the private key is enough");
    assert_eq!((&read.private, &read.public), (&made.private, &made.public));
    assert_eq!(read.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["public-key-missing"]);
    assert!(read.findings[0].problem.contains("cannot be made again: "), "{}", read.findings[0]);
    assert!(!fs::exists(public).expect("seen"));
}

#[test]
fn a_pipe_in_place_of_a_key_holds_nobody_up() {
    let parent = parent();
    let dir = open(&parent);
    identity(&dir, ed25519(), &mut random()).expect("made");
    let private = dir.path().join("identity.private.pem");
    fs::remove_file(&private).expect("removed");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &private, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let error = identity(&dir, ed25519(), &mut random()).expect_err("refused");
    assert!(error.to_string().contains("is not a regular file"), "{error}");
}

#[test]
fn bad_key_files_are_told_by_name() {
    let parent = parent();
    let dir = open(&parent);
    identity(&dir, ed25519(), &mut random()).expect("made");
    link(&dir, xwing(), &mut random()).expect("made");
    let private = dir.path().join("identity.private.pem");
    let public = dir.path().join("identity.public.pem");
    let good = (fs::read(&private).expect("read"), fs::read(&public).expect("read"));
    let link_text = fs::read(dir.path().join("link.private.pem")).expect("read");
    let mut cut = good.0.clone();
    cut.truncate(60);
    let short = b"-----BEGIN ED25519 PRIVATE KEY-----\nAAEC\n-----END ED25519 PRIVATE KEY-----\n".to_vec();
    for (content, expected) in [
        (b"".to_vec(), "no PEM block"),
        (b"\xff\xfe".to_vec(), "no PEM block"),
        (link_text, "XWING PRIVATE KEY"),
        (cut, "malformed"),
        (short, "not a Ed25519 key"),
        (vec![b'a'; 5 << 20], "too long"),
    ] {
        fs::write(&private, &content).expect("written");
        let text = identity(&dir, ed25519(), &mut random()).expect_err("refused").to_string();
        assert!(text.contains(expected) && text.contains("identity.private.pem"), "{text}");
        assert_eq!(fs::read(&private).expect("read"), content, "never overwritten");
    }
    fs::write(&private, &good.0).expect("written");
    let other = parent.path().join("other");
    let other = DataDir::open(&other).expect("DataDir opens");
    identity(&other, ed25519(), &mut SeededRandom::new(&[8; 32])).expect("made");
    fs::copy(other.path().join("identity.public.pem"), &public).expect("copied");
    let error = identity(&dir, ed25519(), &mut random()).expect_err("refused");
    assert!(matches!(error, KeyError::Mismatch { .. }), "{error}");
    fs::write(&public, &good.1).expect("written");
    identity(&dir, ed25519(), &mut random()).expect("good again");
}

#[test]
fn a_key_that_others_may_use_is_a_warning() {
    let parent = parent();
    let dir = open(&parent);
    identity(&dir, ed25519(), &mut random()).expect("made");
    let private = dir.path().join("identity.private.pem");
    for (mode, text) in [(0o644, "others may read the key"), (0o666, "others may read or replace the key")] {
        fs::set_permissions(&private, Permissions::from_mode(mode)).expect("mode set");
        let read = identity(&dir, ed25519(), &mut random()).expect("read");
        let found: Vec<_> = read.findings.iter().map(|finding| (finding.code, finding.severity)).collect();
        assert_eq!(found, [("key-permissions", Severity::Warning)]);
        assert!(read.findings[0].problem.contains(text), "{}", read.findings[0]);
    }
    fs::set_permissions(&private, Permissions::from_mode(0o600)).expect("mode set");
    if std::os::unix::fs::chown(&private, Some(65_534), None).is_err() {
        testhost::lacks("root", "only root can give a file away");
        return;
    }
    let read = identity(&dir, ed25519(), &mut random()).expect("read");
    assert_eq!(read.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["key-owner"]);
}

#[test]
fn a_pair_cut_off_between_its_renames_is_completed() {
    let parent = parent();
    let dir = open(&parent);
    let made = identity(&dir, ed25519(), &mut random()).expect("made");
    let public = dir.path().join("identity.public.pem");
    let new = dir.path().join("identity.public.pem.new");
    fs::rename(&public, &new).expect("as after a crash");
    let read = identity(&dir, ed25519(), &mut SeededRandom::new(&[9; 32])).expect("completed");
    assert!(!read.created && read.public == made.public);
    assert_eq!(names(&dir), ["identity.private.pem", "identity.public.pem"]);
    assert!(read.findings.is_empty());
    // A leftover that belongs to another key completes nothing.
    fs::remove_file(&public).expect("removed");
    let other = DataDir::open(&parent.path().join("other")).expect("DataDir opens");
    identity(&other, ed25519(), &mut SeededRandom::new(&[8; 32])).expect("made");
    fs::copy(other.path().join("identity.public.pem"), &new).expect("copied");
    let read = identity(&dir, ed25519(), &mut random()).expect("made again");
    assert!(read.public == made.public && read.findings.len() == 1);
    assert_eq!(names(&dir), ["identity.private.pem", "identity.public.pem"]);
}

#[test]
fn leftovers_of_a_pair_that_never_was_are_replaced() {
    let parent = parent();
    let dir = open(&parent);
    fs::write(dir.path().join("identity.private.pem.new"), "half a k").expect("written");
    fs::write(dir.path().join("identity.public.pem.new"), "").expect("written");
    assert!(identity(&dir, ed25519(), &mut random()).expect("made").created);
    assert_eq!(names(&dir), ["identity.private.pem", "identity.public.pem"]);
}

/// Writes the private half and finds the disk full at the public one.
fn full_at_public(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    if path.ends_with("identity.public.pem.new") {
        files::write_new(path, &bytes[..bytes.len() / 2])?;
        let source = rustix::io::Errno::NOSPC.into();
        return Err(KeyError::Io { path: path.into(), done: "written", source });
    }
    files::write_new(path, bytes)
}

#[test]
fn a_full_disk_leaves_nothing() {
    let parent = parent();
    let dir = open(&parent);
    let pair = PairFiles::new(dir.path(), "identity");
    let error = create(&dir, &pair, &ed25519(), &mut random(), full_at_public).expect_err("full");
    assert!(
        error.to_string().contains("free some space") && error.to_string().contains("identity.public.pem"),
        "{error}"
    );
    assert_eq!(names(&dir), Vec::<String>::new());
    assert!(identity(&dir, ed25519(), &mut random()).expect("made").created);
}

#[test]
fn a_name_that_is_taken_is_never_replaced() {
    let parent = parent();
    let dir = open(&parent);
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&from, "new").expect("written");
    fs::write(&to, "old").expect("written");
    assert!(matches!(files::rename_new(&from, &to), Err(KeyError::Io { .. })));
    assert_eq!(fs::read_to_string(&to).expect("read"), "old");
    assert!(matches!(files::write_new(&to, b"x"), Err(KeyError::Io { .. })));
    assert_eq!(fs::read_to_string(&to).expect("read"), "old");
}

/// What systemd opens for a unit (`LoadCredentialEncrypted=`) is seen by the unit alone.
#[test]
fn a_private_key_may_be_a_link_to_a_credential_of_the_unit() {
    let parent = parent();
    let dir = open(&parent);
    identity(&dir, ed25519(), &mut random()).expect("made");
    link(&dir, xwing(), &mut random()).expect("made");
    let private = dir.path().join("identity.private.pem");
    fs::remove_file(&private).expect("removed");
    symlink("/run/credentials/katzensprung-is-not-there/identity", &private).expect("linked");
    assert!(look(dir.path(), ed25519(), xwing()).is_ok(), "others do not see it");
    let error = identity(&dir, ed25519(), &mut random()).expect_err("no other key is made").to_string();
    assert!(error.contains("start the unit") && error.contains("LoadCredentialEncrypted="), "{error}");
    assert!(files::exists(&private).is_ok_and(|there| there));
    // Any other link that leads nowhere is a mistake.
    fs::remove_file(&private).expect("removed");
    symlink("/nowhere/identity", &private).expect("linked");
    let error = look(dir.path(), ed25519(), xwing()).expect_err("refused").to_string();
    assert!(error.contains("cannot be opened") && !error.contains("unit"), "{error}");
}

#[test]
fn nodes_are_kept_out_of_a_folder_without_a_trace() {
    let parent = parent();
    let path = parent.path().join("data");
    assert!(DataDir::keep_out(&path).expect("nobody is there").is_none() && !path.exists());
    fs::create_dir(&path).expect("made");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("mode set");
    let kept_out = DataDir::keep_out(&path).expect("nobody is there");
    assert!(kept_out.is_some() && fs::read_dir(&path).expect("a folder").next().is_none());
    assert!(matches!(DataDir::open(&path), Err(KeyError::Locked { .. })));
    drop(kept_out);
    let node = DataDir::open(&path).expect("free");
    assert!(matches!(DataDir::keep_out(&path), Err(KeyError::Locked { .. })));
    drop(node);
    assert!(DataDir::keep_out(&path).is_ok());
}
