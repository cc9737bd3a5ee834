use super::*;
use crate::process::store_file::{BBOLT_MAGIC, BBOLT_MAGIC_AT, REDB_MAGIC};
use std::os::unix::fs::PermissionsExt;

fn keys(epoch: u64) -> Vec<StoreKey> {
    let (epoch, id) = (Epoch(epoch), [7; 32]);
    let message = |kind| StoreKey::Message { epoch, kind, author: id };
    vec![
        StoreKey::Descriptor { epoch, id },
        StoreKey::ReplicaDescriptor { epoch, id },
        StoreKey::Document { epoch },
        message(MessageKind::Vote),
        message(MessageKind::Reveal),
        message(MessageKind::Certificate),
        message(MessageKind::Signature),
    ]
}

#[test]
fn what_was_put_is_there_after_a_restart_until_it_is_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for key in keys(300).into_iter().chain(keys(301)) {
        store.put(key, b"first"[..].into());
        store.save().unwrap();
        store.put(key, format!("{key:?}").into_bytes().into());
    }
    store.save().unwrap();
    drop(store);
    let mode = dir.path().join(STORE_FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut store = Store::open(dir.path()).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.len(), 14);
    assert!(loaded.iter().all(|(key, value)| format!("{key:?}").as_bytes() == value));
    store.prune(Epoch(301)).unwrap();
    let mut left: Vec<_> = store.load().unwrap().into_iter().map(|(key, _)| key).collect();
    left.sort();
    let mut expected = keys(301);
    expected.sort();
    assert_eq!(left, expected);
}

/// Nothing that is there is overwritten, and each file gets its own answer.
#[test]
fn files_that_are_no_store_are_left_alone() {
    let mut bbolt = vec![0; 64];
    bbolt[BBOLT_MAGIC_AT..BBOLT_MAGIC_AT + 4].copy_from_slice(BBOLT_MAGIC);
    let cases: [(&[u8], &str); 3] = [
        (&bbolt, "bbolt file of the reference's dirauth; move it away"),
        (b"something else that an operator keeps here", "is not an authority's store; move it away"),
        (&[REDB_MAGIC, &[0; 8192]].concat(), "is damaged"),
    ];
    for (content, text) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STORE_FILE);
        std::fs::write(&path, content).unwrap();
        let error = Store::open(dir.path()).err().expect("it is no store").to_string();
        assert!(error.contains(text) && error.contains(STORE_FILE), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

/// The last thing that is written when a store is made is its mark.
#[test]
fn a_store_whose_making_was_cut_off_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(STORE_FILE), vec![0; 70_000]).unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.put(keys(1)[0], b"value"[..].into());
    store.save().unwrap();
    assert_eq!(store.load().unwrap().len(), 1);
}

#[test]
fn a_second_process_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).err().expect("it is in use").to_string();
    assert!(error.contains("in use by another process"), "{error}");
}
