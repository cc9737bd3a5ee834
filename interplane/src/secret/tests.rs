use super::*;

fn secrets() -> Secrets {
    let key = |bytes: &[u8]| SecretBytes::new(bytes).expect("pages can be had");
    Secrets {
        link_private_key: key(&[7; 2400]),
        mix_keys: vec![(Epoch(10), key(&[1; 32])), (Epoch(11), key(&[2; 5000])), (Epoch(12), key(&[]))],
    }
}

#[test]
fn secrets_cross_and_are_wiped() {
    let file = secrets().to_file().expect("memfds work");
    let found = Secrets::open(&file).expect("the secrets decode");
    assert_eq!(found.link_private_key.expose(), [7; 2400]);
    let keys: Vec<_> = found.mix_keys.iter().map(|(epoch, key)| (epoch.0, key.expose())).collect();
    assert_eq!(keys, [(10, &[1; 32][..]), (11, &[2; 5000]), (12, &[])]);
    println!("locked: file {}, keys {}", file.is_locked(), found.is_locked());

    let other = file.as_fd().try_clone_to_owned().expect("descriptors can be copied");
    drop(file);
    let memory = SharedMemory::attach(&other, NAME).expect("the memory is there");
    assert!(memory.words().iter().all(|word| word.load(std::sync::atomic::Ordering::Relaxed) == 0));
    assert!(matches!(Secrets::open(&other), Err(MemoryError::Content(_))));
    // What was read before is a copy.
    assert_eq!(found.link_private_key.expose(), [7; 2400]);
}

#[test]
fn kept_secrets_stay_for_the_other_plane() {
    let file = secrets().to_file().expect("memfds work").kept_elsewhere();
    let fd = file.as_fd().try_clone_to_owned().expect("descriptors can be copied");
    drop(file);
    assert!(Secrets::open(&fd).is_ok());
    let other = fd.try_clone().expect("descriptors can be copied");
    let copy = fd.try_clone().expect("a descriptor");
    drop(SecretFile::adopt(copy).expect("the memory is sound"));
    assert!(Secrets::open(&fd).is_ok(), "a living data plane's secrets are gone");
    drop(SecretFile::adopt(fd).expect("the memory is sound").wipe_when_dropped());
    assert!(Secrets::open(&other).is_err());
}

#[test]
fn garbage_is_an_error() {
    for content in [&[][..], &[0xff; 8], &[0xff; 100], &[3, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]] {
        let (memory, fd) = SharedMemory::create(NAME, content.len().max(1)).expect("memfds work");
        memory.store(content);
        assert!(matches!(Secrets::open(&fd), Err(MemoryError::Content(_))), "{content:?}");
    }
    let (_memory, fd) = SharedMemory::create(NAME, BYTES_MAX + 1).expect("memfds work");
    assert!(matches!(Secrets::open(&fd), Err(MemoryError::Size { .. })));
    assert!(SecretBytes::new(&[0; KEY_BYTES_MAX + 1]).is_err());
}

#[test]
fn debug_output_holds_no_key() {
    let text = format!("{:?}", SecretBytes::new(&[171, 205, 239]).expect("pages can be had"));
    assert!(!text.contains("171") && !text.contains("abcdef"), "{text}");
}
