use super::*;
use std::fs;
use std::time::Duration;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);

fn limits(letters_max: u64) -> Limits {
    let age_max = Duration::from_secs(3600);
    Limits { letter_bytes: 100, bytes_max: letters_max * 100, age_max, sweep_every: Limits::SWEEP_EVERY }
}

fn letters(user: UserId, numbers: impl Iterator<Item = u8>) -> Arc<Batch> {
    let letter = |number| ((user, [number; 16]), vec![number; 100]);
    Arc::new(Batch { keeps: numbers.map(letter).collect(), ..Batch::default() })
}

fn gone(user: UserId, numbers: impl Iterator<Item = u8>) -> Arc<Batch> {
    Arc::new(Batch { gone: numbers.map(|number| (user, [number; 16])).collect(), ..Batch::default() })
}

async fn held(file: &LetterFile, user: UserId) -> Vec<u8> {
    let letters = file.fetch(user).await.expect("it is read");
    letters.iter().for_each(|((of, surb_id), letter)| assert_eq!((*of, letter), (user, &vec![surb_id[0]; 100])));
    letters.iter().map(|((_, surb_id), _)| surb_id[0]).collect()
}

/// Its thread closes the file a moment after the last way to it is gone.
async fn opened(path: &Path, limits: Limits) -> LetterFile {
    loop {
        match LetterFile::open(path, limits) {
            Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => break opened.expect("a file"),
        }
    }
}

#[tokio::test]
async fn letters_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let file = LetterFile::open(&path, limits(1000)).unwrap();
    assert!(matches!(LetterFile::open(&path, limits(1)), Err(StoreError::InUse(_))));
    assert_eq!(file.write(&letters(ALICE, 0..70)).await.unwrap().kept, [Kept::Yes; 70]);
    // What is written twice is there once.
    assert_eq!(file.write(&letters(ALICE, 3..4)).await.unwrap().kept, [Kept::Yes]);
    file.write(&letters(BOB, 5..7)).await.unwrap();
    file.write(&gone(ALICE, [0, 2, 77].into_iter())).await.unwrap();
    assert_eq!(held(&file, ALICE).await.len(), FETCHED_MAX);
    drop(file);
    let file = opened(&path, limits(1000)).await;
    assert_eq!(held(&file, ALICE).await, [1].into_iter().chain(3..66).collect::<Vec<u8>>());
    assert_eq!(held(&file, BOB).await, [5, 6]);
    // Numbers go on where they were.
    file.write(&letters(BOB, 7..8)).await.unwrap();
    file.write(&Arc::new(Batch { forgotten: vec![ALICE], ..Batch::default() })).await.unwrap();
    assert_eq!((held(&file, ALICE).await, held(&file, BOB).await), (vec![], vec![5, 6, 7]));
    drop(file);
    let file = opened(&path, limits(1000)).await;
    assert_eq!((held(&file, ALICE).await, held(&file, BOB).await), (vec![], vec![5, 6, 7]));
    // Of another size, after a change of the geometry: nothing could deliver them.
    drop(file);
    let other = Limits { letter_bytes: 99, ..limits(1000) };
    assert_eq!(held(&opened(&path, other).await, BOB).await, Vec::<u8>::new());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn there_are_limits_for_one_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let file = LetterFile::open(&path, limits(10)).unwrap();
    let written = file.write(&letters(ALICE, 0..12)).await.unwrap();
    assert_eq!(written.kept[9..], [Kept::Yes, Kept::StoreFull, Kept::StoreFull]);
    let written = file.write(&letters(BOB, 0..6)).await.unwrap();
    assert_eq!((written.displaced, written.kept[4..].to_vec()), (5, vec![Kept::Yes, Kept::StoreFull]));
    assert_eq!((held(&file, ALICE).await, held(&file, BOB).await), ((0..5).collect(), (0..5).collect::<Vec<u8>>()));
    drop(file);
    // A lower limit holds for what is there.
    let file = opened(&path, limits(4)).await;
    let swept = file.sweep().await.unwrap();
    assert_eq!((swept.displaced, swept.bytes), (6, 400));
    assert_eq!((held(&file, ALICE).await.len(), held(&file, BOB).await.len()), (2, 2));
    drop(file);
    let file = opened(&path, Limits { age_max: Duration::ZERO, ..limits(10) }).await;
    assert_eq!(file.sweep().await.unwrap(), Swept { expired: 4, ..Swept::default() });
    drop(file);
    assert_eq!(held(&opened(&path, limits(10)).await, ALICE).await, Vec::<u8>::new());
    let full = Limits { letter_bytes: 0, ..limits(1000) };
    let file = opened(&path, full).await;
    let many = (0..600_u32).map(|number| {
        let mut surb_id = [0; 16];
        surb_id[..4].copy_from_slice(&number.to_le_bytes());
        ((ALICE, surb_id), Vec::new())
    });
    let written = file.write(&Arc::new(Batch { keeps: many.collect(), ..Batch::default() })).await.unwrap();
    assert_eq!(written.kept.iter().filter(|kept| **kept == Kept::MailboxFull).count(), 600 - MAILBOX_LETTERS_MAX);
}

/// A clock that is ahead for a minute costs no letter, and none that came meanwhile keeps older ones.
#[test]
fn a_clock_that_jumps_costs_no_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut thread = Thread::open(&folder.path().join("spool.db"), limits(1000)).unwrap();
    thread.write(&letters(ALICE, 0..5)).unwrap();
    let (now, at) = (unix_seconds(), Instant::now());
    assert_eq!(thread.sweep_at(now, at).unwrap().expired, 0);
    let after = |seconds| at + Duration::from_secs(seconds);
    assert_eq!(thread.sweep_at(now + 30 * 24 * 3600, after(60)).unwrap().expired, 0);
    assert_eq!(thread.sweep_at(now + 120, after(120)).unwrap(), Swept { bytes: 500, ..Swept::default() });
    // By a clock that goes on as it should they are too old in the end.
    for seconds in (180..=3600).step_by(60) {
        thread.sweep_at(now + seconds, after(seconds)).unwrap();
    }
    assert_eq!(thread.sweep_at(now + 7300, after(7300)).unwrap().expired, 5);
}

/// A file that is cut short says what to do.
#[test]
fn a_spool_that_is_cut_short_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    drop(Thread::open(&path, limits(1)).unwrap());
    for length in [64, 9] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let error = Thread::open(&path, limits(1)).err().expect("it is damaged").to_string();
        assert!(error.contains("is damaged") && error.contains("move it away"), "{length}: {error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), length);
    }
}

#[test]
fn an_old_spool_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut bbolt = vec![0; 4096];
    bbolt[8] = 4;
    bbolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    for (content, problem) in
        [(bbolt, "is a bbolt file of a reference server"), (b"#!/bin/sh\n".repeat(9), "is no spool")]
    {
        fs::write(&path, &content).unwrap();
        let error = LetterFile::open(&path, limits(1)).err().expect("it is none").to_string();
        assert!(error.contains(problem) && error.contains("move it away"), "{error}");
        assert!(error.contains("Gateway.SpoolDB.Bolt.SpoolDB"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

/// A disk that is full costs nothing that was written, and whatever could not be is written when there is room.
#[tokio::test]
async fn a_full_disk_is_no_end() {
    let Some(disk) = testhost::disk::SmallDisk::mount(8 << 20) else { return };
    let path = disk.path().join("spool.db");
    let limits = Limits { letter_bytes: 3000, bytes_max: 1 << 30, ..limits(1) };
    let file = LetterFile::open(&path, limits).unwrap();
    let batch = |round: u32| {
        let letter = |number: u32| {
            let mut surb_id = [0; 16];
            surb_id[..8].copy_from_slice(&u64::from(round * 100 + number).to_le_bytes());
            ((UserId([round as u8; 32]), surb_id), vec![round as u8; 3000])
        };
        Arc::new(Batch { keeps: (0..50).map(letter).collect(), ..Batch::default() })
    };
    let mut rounds = 0;
    let error = loop {
        match file.write(&batch(rounds)).await {
            Ok(written) => assert_eq!(written.kept, [Kept::Yes; 50]),
            Err(error) => break error.to_string(),
        }
        rounds += 1;
        assert!(rounds < 200, "the disk does not fill");
    };
    assert!(rounds > 3 && error.contains("No space left") && error.contains("free some space"), "{rounds}: {error}");
    // It stays so, and what is there can be read.
    for _ in 0..3 {
        assert!(file.write(&batch(rounds)).await.is_err());
        assert_eq!(file.fetch(UserId([0; 32])).await.unwrap().len(), 50);
    }
    // What removes letters is not refused for want of room.
    let forgotten = Batch { forgotten: vec![UserId([1; 32])], ..Batch::default() };
    file.write(&Arc::new(forgotten)).await.expect("it takes no room");
    disk.resize(64 << 20);
    assert_eq!(file.write(&batch(rounds)).await.unwrap().kept, [Kept::Yes; 50]);
    drop(file);
    let file = opened(&path, limits).await;
    for round in 0..=rounds {
        let letters = if round == 1 { 0 } else { 50 };
        assert_eq!(file.fetch(UserId([round as u8; 32])).await.unwrap().len(), letters, "{round}");
    }
    drop(file);
    while matches!(LetterFile::open(&path, limits), Err(StoreError::InUse(_))) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
