use super::*;
use config::sealing::KEY_BYTES_MIN;
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, nike};
use interplane::{Insert, ReplaySet};
use std::os::unix::fs::{PermissionsExt, symlink};

const NOW: Epoch = Epoch(1000);

fn x25519() -> Scheme {
    Scheme::Nike(nike::by_name("x25519").unwrap())
}

fn key(scheme: Scheme, seed: u8) -> Zeroizing<Vec<u8>> {
    scheme.generate(&mut SeededRandom::new(&[seed; 32]))
}

fn tag(number: u8) -> [u8; 32] {
    [number; 32]
}

/// A folder of its own with the keys of these epochs, each of which has seen one tag.
fn kept(scheme: Scheme, epochs: &[u64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (keys, sets) = left(scheme, epochs);
    let (count, outcome) = keep(&folder.path().join("keys"), scheme, &keys, &sets, None);
    outcome.unwrap();
    assert_eq!(count, epochs.len());
    folder
}

fn left(scheme: Scheme, epochs: &[u64]) -> (PrivateMixKeys, BTreeMap<Epoch, OwnedFd>) {
    let keys = epochs.iter().map(|epoch| (*epoch, key(scheme, *epoch as u8))).collect();
    let sets = epochs.iter().map(|epoch| {
        let (set, fd) = ReplaySet::create(*epoch, 128, [1; 16]).unwrap();
        assert_eq!(set.insert(&tag(*epoch as u8)), Insert::New);
        (Epoch(*epoch), fd)
    });
    (keys, sets.collect())
}

/// What is there, and not any more.
fn taken(folder: &Path, scheme: Scheme) -> Kept {
    let kept = look(folder, scheme, NOW, None, &[]).unwrap();
    kept.consume().unwrap();
    kept
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn keys_come_back_once_with_what_was_seen() {
    for scheme in [x25519(), Scheme::Kem(kem::by_name("Xwing").unwrap())] {
        let root = kept(scheme, &[999, 1000, 1003]);
        let folder = root.path().join("keys");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert!(names(&folder).iter().all(|name| fs::metadata(folder.join(name)).unwrap().mode() & 0o777 == 0o600));
        let taken = taken(&folder, scheme);
        assert!(taken.findings.is_empty(), "{:?}", taken.findings);
        let expected: PrivateMixKeys = [999, 1000, 1003].map(|epoch| (epoch, key(scheme, epoch as u8))).into();
        assert_eq!(taken.mix_keys, expected);
        for (epoch, fd) in &taken.replay_sets {
            assert_eq!(ReplaySet::attach(fd).unwrap().insert(&tag(epoch.0 as u8)), Insert::Seen);
        }
        assert_eq!(taken.replay_sets.len(), 3);
        assert!(names(&folder).is_empty());
        assert!(
            look(&folder, scheme, NOW, None, &[]).unwrap().mix_keys.is_empty(),
            "a crash must not bring a key back"
        );
    }
}

/// server.md 4.5.
#[test]
fn files_are_the_references() {
    let root = kept(x25519(), &[1000]);
    let bytes = fs::read(root.path().join("keys/mixkey-1000.bin")).unwrap();
    assert_eq!(bytes[..5], *b"KMK1\0");
    assert_eq!(bytes[5..], **key(x25519(), 1000_u64 as u8));
}

#[test]
fn a_key_of_the_reference_is_taken_and_said() {
    let root = kept(x25519(), &[999, 1000, 1001]);
    let folder = root.path().join("keys");
    for epoch in [999, 1000] {
        fs::remove_file(folder.join(format!("replays-{epoch}.bin"))).unwrap();
    }
    let taken = taken(&folder, x25519());
    assert_eq!((taken.mix_keys.len(), taken.replay_sets.len()), (3, 1));
    assert!(taken.findings[0].starts_with("2 of the mix keys in "), "{:?}", taken.findings);
    assert!(taken.findings[0].contains("once more until epoch 1001"), "{:?}", taken.findings);
    assert_eq!(taken.findings.len(), 1, "one line says it");
}

#[test]
fn other_epochs_go_and_other_files_stay() {
    let root = kept(x25519(), &[998, 1001, 1004]);
    let folder = root.path().join("keys");
    for other in ["mixkey-.bin", "mixkey-12.bin.old", "mixkey-+5.bin", "note"] {
        fs::write(folder.join(other), "x").unwrap();
    }
    let taken = taken(&folder, x25519());
    assert_eq!(taken.mix_keys.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1001]);
    assert_eq!(names(&folder), ["mixkey-+5.bin", "mixkey-.bin", "mixkey-12.bin.old", "note"]);
}

#[test]
fn what_is_no_key_stops_the_start_and_stays() {
    let path = |root: &tempfile::TempDir| root.path().join("keys/mixkey-1000.bin");
    for (content, reason) in [
        (&b"KMK1"[..], "is truncated"),
        (b"", "is truncated"),
        (b"KMK2\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "invalid header"),
        (b"KMK1\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "different scheme"),
        (b"KMK1\0short", "holds no key"),
    ] {
        let root = kept(x25519(), &[1000]);
        fs::write(path(&root), content).unwrap();
        let error = look(&root.path().join("keys"), x25519(), NOW, None, &[]).err().expect(reason).to_string();
        assert!(error.contains(reason) && error.contains("mixkey-1000.bin"), "{error}");
        assert!(path(&root).exists());
    }
}

#[test]
fn a_key_whose_seen_packets_cannot_be_read_is_not_used() {
    let root = kept(x25519(), &[1000, 1001]);
    let folder = root.path().join("keys");
    let file = folder.join("replays-1000.bin");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let taken = taken(&folder, x25519());
    assert_eq!(taken.mix_keys.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1001]);
    assert!(taken.findings[0].contains("epoch 1000 gets a new key"), "{:?}", taken.findings);
    assert!(names(&folder).is_empty());
}

#[test]
fn a_damaged_file_costs_no_other_key() {
    let root = kept(x25519(), &[1000, 1001, 1002]);
    let folder = root.path().join("keys");
    let before = names(&folder).len();
    fs::write(folder.join("mixkey-1002.bin"), "KM").unwrap();
    assert!(matches!(look(&folder, x25519(), NOW, None, &[]), Err(KeptError::Truncated(_))));
    assert_eq!(names(&folder).len(), before);
    // A pipe would keep the start waiting, whoever has put it there.
    fs::remove_file(folder.join("mixkey-1002.bin")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.join("mixkey-1002.bin")).status().unwrap().success());
    assert!(matches!(look(&folder, x25519(), NOW, None, &[]), Err(KeptError::Os { .. })));
    fs::remove_file(folder.join("mixkey-1002.bin")).unwrap();
    fs::create_dir(folder.join("mixkey-1.bin")).unwrap();
    fs::write(folder.join("mixkey-01001.bin"), "KM").unwrap();
    assert_eq!(taken(&folder, x25519()).mix_keys.len(), 2);
}

/// The reference leaves our sets where they are, and writes the same keys anew.
#[test]
fn a_key_that_was_written_since_has_no_set() {
    let root = kept(x25519(), &[1000]);
    let folder = root.path().join("keys");
    let file = folder.join("mixkey-1000.bin");
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, content).unwrap();
    let taken = taken(&folder, x25519());
    assert_eq!((taken.mix_keys.len(), taken.replay_sets.len()), (1, 0));
    assert!(names(&folder).is_empty());
}

#[test]
fn a_set_of_another_key_is_not_its_set() {
    let root = kept(x25519(), &[1000]);
    let folder = root.path().join("keys");
    let mut other = b"KMK1\0".to_vec();
    other.extend_from_slice(&key(x25519(), 77));
    fs::write(folder.join("mixkey-1000.bin"), other).unwrap();
    let taken = taken(&folder, x25519());
    assert_eq!((taken.mix_keys.len(), taken.replay_sets.len()), (1, 0));
}

#[test]
fn a_folder_that_others_may_write_is_not_used() {
    let root = kept(x25519(), &[1000]);
    let folder = root.path().join("keys");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    let taken = taken(&folder, x25519());
    assert!(taken.mix_keys.is_empty() && taken.findings[0].contains("not this user's alone"), "{:?}", taken.findings);
    let (keys, sets) = left(x25519(), &[1000]);
    assert!(matches!(keep(&folder, x25519(), &keys, &sets, None), (0, Err(KeptError::Shared(_)))));
    // A link leads wherever its owner wants.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let link = root.path().join("link");
    symlink(&folder, &link).unwrap();
    assert!(matches!(keep(&link, x25519(), &keys, &sets, None), (0, Err(KeptError::Shared(_)))));
    // A file where the folder should be, or what is in a folder of somebody else, is no reason not to start.
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(look(&file, x25519(), NOW, None, &[]).unwrap().findings[0].contains("not this user's alone"));
    assert!(look(&root.path().join("nothing"), x25519(), NOW, None, &[]).unwrap().mix_keys.is_empty());
}

#[test]
fn what_cannot_be_written_whole_is_not_there_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, mut sets) = left(x25519(), &[1000, 1001, 1002]);
    // One without a set, one whose set is none.
    sets.remove(&Epoch(1000));
    sets.insert(Epoch(1001), File::open("/dev/null").unwrap().into());
    // And what a stop has left that was killed.
    fs::write(folder.path().join(".mixkey-999.bin"), "KMK1\0secret").unwrap();
    let (count, outcome) = keep(folder.path(), x25519(), &keys, &sets, None);
    assert!(count == 1 && outcome.is_err());
    assert_eq!(names(folder.path()), ["mixkey-1002.bin", "replays-1002.bin"]);
}

fn seal(seed: u8) -> SealKey {
    SealKey::new(&[seed; KEY_BYTES_MIN], "a test").unwrap()
}

/// The same as [`kept`], sealed.
fn kept_sealed(scheme: Scheme, epochs: &[u64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (keys, sets) = left(scheme, epochs);
    let (count, outcome) = keep(&folder.path().join("keys"), scheme, &keys, &sets, Some(&seal(1)));
    outcome.unwrap();
    assert_eq!(count, epochs.len());
    folder
}

#[test]
fn sealed_keys_come_back_once_with_what_was_seen_and_are_not_to_be_seen_meanwhile() {
    for scheme in [x25519(), Scheme::Kem(kem::by_name("Xwing").unwrap())] {
        let root = kept_sealed(scheme, &[999, 1000, 1003]);
        let folder = root.path().join("keys");
        assert_eq!(names(&folder), ["sealed-1000.bin", "sealed-1003.bin", "sealed-999.bin"]);
        let bytes = fs::read(folder.join("sealed-1000.bin")).unwrap();
        let private = key(scheme, 1000_u64 as u8);
        assert!(!bytes.windows(private.len()).any(|bytes| *bytes == **private));
        let kept = look(&folder, scheme, NOW, Some(&seal(1)), &[]).unwrap();
        kept.consume().unwrap();
        assert!(kept.findings.is_empty() && names(&folder).is_empty(), "{:?}", kept.findings);
        let expected: PrivateMixKeys = [999, 1000, 1003].map(|epoch| (epoch, key(scheme, epoch as u8))).into();
        assert_eq!(kept.mix_keys, expected);
        for (epoch, fd) in &kept.replay_sets {
            assert_eq!(ReplaySet::attach(fd).unwrap().insert(&tag(epoch.0 as u8)), Insert::Seen);
        }
        assert_eq!(kept.replay_sets.len(), 3);
    }
}

#[test]
fn what_cannot_be_unsealed_stops_the_start_and_stays() {
    let root = kept_sealed(x25519(), &[1000, 1001]);
    let folder = root.path().join("keys");
    let refused = |seal: Option<&SealKey>, parts: &[&str]| {
        let before = names(&folder);
        let error = look(&folder, x25519(), NOW, seal, &[]).err().expect("an error").to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(names(&folder), before);
    };
    refused(None, &["sealed-1000.bin is sealed", "LoadCredentialEncrypted=katzensprung-seal", "remove the file"]);
    refused(Some(&seal(2)), &["sealed-1000.bin was sealed with another", "or on another machine", "remove the file"]);
    let file = folder.join("sealed-1001.bin");
    let good = fs::read(&file).unwrap();
    for cut in [0, 5, 40, good.len() - 1] {
        fs::write(&file, &good[..cut]).unwrap();
        refused(Some(&seal(1)), &["sealed-1001.bin was sealed", "or is damaged"]);
    }
    // One epoch's key under another's name.
    fs::copy(folder.join("sealed-1000.bin"), &file).unwrap();
    refused(Some(&seal(1)), &["sealed-1001.bin was sealed"]);
    fs::write(&file, good).unwrap();
    assert_eq!(look(&folder, x25519(), NOW, Some(&seal(1)), &[]).unwrap().mix_keys.len(), 2);
    // Of other epochs nothing stays, whether it can be opened or not.
    assert!(look(&folder, x25519(), Epoch(2000), None, &[]).unwrap().mix_keys.is_empty());
    assert!(names(&folder).is_empty());
}

#[test]
fn unsealed_keys_are_the_references_with_our_sets() {
    let root = kept_sealed(x25519(), &[1000, 1001]);
    let folder = root.path().join("keys");
    assert!(matches!(unseal(&folder, x25519(), &seal(2)), Err(KeptError::Unsealable(_))));
    assert_eq!(names(&folder), ["sealed-1000.bin", "sealed-1001.bin"], "nothing is lost");
    assert_eq!(unseal(&folder, x25519(), &seal(1)).unwrap(), [1000, 1001]);
    assert_eq!(names(&folder), ["mixkey-1000.bin", "mixkey-1001.bin", "replays-1000.bin", "replays-1001.bin"]);
    assert!(unseal(&folder, x25519(), &seal(1)).unwrap().is_empty());
    assert!(unseal(&root.path().join("nothing"), x25519(), &seal(1)).unwrap().is_empty());
    let taken = taken(&folder, x25519());
    assert!(taken.findings.is_empty(), "{:?}", taken.findings);
    assert_eq!((taken.mix_keys.len(), taken.replay_sets.len()), (2, 2));
}

/// A credential that was changed between a stop and a start costs nothing that the service manager has as well.
#[test]
fn what_cannot_be_unsealed_is_no_loss_where_it_is_held_already() {
    let root = kept_sealed(x25519(), &[1000, 1001]);
    let folder = root.path().join("keys");
    let error = look(&folder, x25519(), NOW, Some(&seal(2)), &[1000]).err().expect("an error").to_string();
    assert!(error.contains("sealed-1001.bin"), "{error}");
    for seal in [Some(seal(2)), None] {
        let kept = look(&folder, x25519(), NOW, seal.as_ref(), &[1000, 1001]).unwrap();
        assert!(kept.mix_keys.is_empty() && kept.replay_sets.is_empty());
        assert!(kept.findings.len() == 2 && kept.findings[1].contains("has kept the key of epoch 1001 too"));
        assert_eq!(names(&folder).len(), 2, "not before all is well");
    }
    look(&folder, x25519(), NOW, Some(&seal(2)), &[1000, 1001]).unwrap().consume().unwrap();
    assert!(names(&folder).is_empty());
}

/// Killed when the clear files were there, and the sealed one still.
#[test]
fn an_unsealing_that_was_interrupted_is_gone_on_with() {
    let root = kept_sealed(x25519(), &[1000, 1001]);
    let folder = root.path().join("keys");
    let sealed = fs::read(folder.join("sealed-1000.bin")).unwrap();
    unseal(&folder, x25519(), &seal(1)).unwrap();
    fs::write(folder.join("sealed-1000.bin"), &sealed).unwrap();
    assert_eq!(unseal(&folder, x25519(), &seal(1)).unwrap(), [1000]);
    let clear = ["mixkey-1000.bin", "mixkey-1001.bin", "replays-1000.bin", "replays-1001.bin"];
    assert_eq!(names(&folder), clear);
    // The same key, written since by who keeps no sets: nobody can say what it has seen.
    fs::write(folder.join("sealed-1000.bin"), &sealed).unwrap();
    let key_file = folder.join("mixkey-1000.bin");
    let content = fs::read(&key_file).unwrap();
    fs::remove_file(&key_file).unwrap();
    fs::write(&key_file, content).unwrap();
    File::open(&key_file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(matches!(unseal(&folder, x25519(), &seal(1)), Err(KeptError::Both { .. })));
    // And another key.
    fs::write(&key_file, [&b"KMK1\0"[..], &key(x25519(), 77)[..]].concat()).unwrap();
    assert!(matches!(unseal(&folder, x25519(), &seal(1)), Err(KeptError::Both { .. })));
    assert!(folder.join("sealed-1000.bin").exists());
}

/// The reference takes no notice of what is sealed, makes keys of its own, and leaves those.
#[test]
fn a_key_that_was_written_beside_a_sealed_one_counts() {
    let root = kept_sealed(x25519(), &[1000]);
    let folder = root.path().join("keys");
    let mut other = b"KMK1\0".to_vec();
    other.extend_from_slice(&key(x25519(), 77));
    fs::write(folder.join("mixkey-1000.bin"), &other).unwrap();
    assert!(matches!(unseal(&folder, x25519(), &seal(1)), Err(KeptError::Both { .. })));
    // Whether the sealed one could be opened makes no difference.
    let taken = taken(&folder, x25519());
    assert_eq!(taken.mix_keys, [(1000, key(x25519(), 77))]);
    assert!(
        taken.findings[0].contains("sealed-1000.bin, and counts: the sealed key is removed"),
        "{:?}",
        taken.findings
    );
    assert!(names(&folder).is_empty());
    // And a stop never leaves both.
    let (keys, sets) = left(x25519(), &[1000]);
    for (seal, names_then) in [
        (Some(seal(1)), &["sealed-1000.bin"][..]),
        (None, &["mixkey-1000.bin", "replays-1000.bin"][..]),
        (Some(seal(1)), &["sealed-1000.bin"][..]),
    ] {
        keep(&folder, x25519(), &keys, &sets, seal.as_ref()).1.unwrap();
        assert_eq!(names(&folder), names_then);
    }
}
