use super::*;
use std::fs;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);

fn key(number: u8) -> Vec<u8> {
    vec![number; 40]
}

async fn changes(store: &Embedded, changes: impl IntoIterator<Item = Change>) -> Vec<Done> {
    let mut done = Vec::new();
    for change in changes {
        done.push(store.change(change).await.expect("the disk takes it"));
    }
    done
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let store = Embedded::open(&path).unwrap();
    let done = changes(
        &store,
        [
            Change::Add(ALICE, key(1)),
            Change::Add(ALICE, key(2)),
            Change::Trust(ALICE, key(2)),
            Change::Trust(BOB, key(3)),
            Change::Update(BOB, key(4)),
            Change::SetIdentity(ALICE, Some(key(5))),
        ],
    );
    assert_eq!(done.await, [Done::Yes, Done::Exists, Done::Exists, Done::Yes, Done::Yes, Done::Yes]);
    drop(store);
    let store = loop {
        // Its thread closes the file a moment after the last way to it is gone.
        match Embedded::open(&path) {
            Err(StoreError::InUse(_)) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            opened => break opened.unwrap(),
        }
    };
    assert!(matches!(Embedded::open(&path), Err(StoreError::InUse(_))));
    assert_eq!(store.link_key(ALICE).await.unwrap(), Some(key(1)));
    assert_eq!(store.link_key(BOB).await.unwrap(), Some(key(4)));
    assert_eq!(store.link_key(UserId([3; 32])).await.unwrap(), None);
    assert_eq!(store.identity_key(ALICE).await.unwrap(), Some(Some(key(5))));
    assert_eq!(store.identity_key(BOB).await.unwrap(), Some(None));
    let done = changes(
        &store,
        [Change::SetIdentity(ALICE, None), Change::Remove(ALICE), Change::Remove(ALICE), Change::Update(ALICE, key(1))],
    );
    assert_eq!(done.await, [Done::Yes, Done::Yes, Done::Unknown, Done::Unknown]);
    // Who comes back under the name has nothing of what was there before.
    assert_eq!(changes(&store, [Change::Add(ALICE, key(6))]).await, [Done::Yes]);
    assert_eq!(store.identity_key(ALICE).await.unwrap(), Some(None));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// Everything that waits is one transaction: a thousand names take about as long as a few.
#[tokio::test]
async fn many_names_cost_few_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("users.db")).unwrap();
    let all = (0..1000_u32).map(|number| {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        let store = store.clone();
        tokio::spawn(async move { (store.change(Change::Trust(UserId(name), key(1))).await, name) })
    });
    for done in all.collect::<Vec<_>>() {
        let (done, name) = done.await.unwrap();
        assert_eq!(done.unwrap(), Done::Yes);
        assert_eq!(store.link_key(UserId(name)).await.unwrap(), Some(key(1)));
    }
}

#[test]
fn nothing_is_written_into_what_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let mut bbolt = vec![0; 4096];
    bbolt[8] = 4;
    bbolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    let zeros = [&[0; 200_000][..], b"something"].concat();
    for (content, problem) in [
        (bbolt, "is a bbolt file of a reference server"),
        (b"#!/bin/sh\n".repeat(9), "is no user database"),
        (zeros, "is no user database"),
    ] {
        fs::write(&path, &content).unwrap();
        let error = Embedded::open(&path).err().expect("it is none").to_string();
        assert!(error.contains(problem) && error.contains("move it away"), "{error}");
        assert!(error.contains("Gateway.UserDB.Bolt.UserDB"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let error = Embedded::open(&folder.path().join("no/users.db")).err().expect("no folder").to_string();
    assert!(error.contains("check that the folder exists"), "{error}");
}

/// What another process is just making is its own.
#[test]
fn a_file_that_somebody_has_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    for zeros in [0, 5000] {
        fs::write(&path, vec![0; zeros]).unwrap();
        let other = fs::File::open(&path).unwrap();
        other.lock().unwrap();
        assert!(matches!(Embedded::open(&path), Err(StoreError::InUse(_))));
        assert_eq!(fs::read(&path).unwrap(), vec![0; zeros]);
    }
    // A making that was cut off is no file of anybody's.
    let store = Embedded::open(&path).unwrap();
    drop(store);
}
