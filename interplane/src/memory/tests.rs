use super::*;
use rustix::mm::{MapFlags, ProtFlags};
use std::sync::atomic::Ordering;

#[test]
fn sealed_content_is_read_by_others_and_written_by_nobody() {
    let content: Vec<_> = (0..300_000u32).map(|at| at as u8).collect();
    let fd = seal("test", &content).expect("memfds work");
    let memory = SealedMemory::open(&fd, "test", 1 << 20).expect("the memfd is sealed");
    assert_eq!(&*memory, content);
    assert!(rustix::io::pwrite(&fd, b"x", 0).is_err());
    assert!(rustix::fs::ftruncate(&fd, 0).is_err());
    assert!(rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE).is_err());
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice, which it is expected to refuse.
    let writable = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, protection, MapFlags::SHARED, &fd, 0) };
    assert_eq!(writable, Err(Errno::PERM));
    assert!(SharedMemory::attach(&fd, "test").is_err());
    assert!(matches!(SealedMemory::open(&fd, "test", 1000), Err(MemoryError::Size { bytes: 300_000, .. })));
}

#[test]
fn what_is_not_sealed_is_not_mapped() {
    let fd = memfd("test").expect("memfds work");
    rustix::fs::ftruncate(&fd, 4096).expect("memfds grow");
    let not_sealed = |fd: &OwnedFd| matches!(SealedMemory::open(fd, "test", 4096), Err(MemoryError::NotSealed(_)));
    assert!(not_sealed(&fd));
    assert!(matches!(SharedMemory::attach(&fd, "test"), Err(MemoryError::NotSealed(_))));
    rustix::fs::fcntl_add_seals(&fd, FIXED_SIZE).expect("memfds take seals");
    assert!(not_sealed(&fd));
    // Nor is an ordinary file, which has no seals at all.
    let file = OwnedFd::from(tempfile::tempfile().expect("a file can be made"));
    rustix::fs::ftruncate(&file, 4096).expect("files grow");
    assert!(not_sealed(&file));
    assert!(matches!(SharedMemory::attach(&file, "test"), Err(MemoryError::NotSealed(_))));
    let (pipe, _other) = std::io::pipe().expect("pipes work");
    assert!(not_sealed(&pipe.into()));
}

#[test]
fn shared_memory_has_a_fixed_size_and_is_shared() {
    for bytes in [1, 8, 4096, HUGE_PAGE_BYTES + 4096, 3 * HUGE_PAGE_BYTES] {
        let (one, fd) = SharedMemory::create("test", bytes).expect("memfds work");
        let two = SharedMemory::attach(&fd, "test").expect("the size is fixed");
        assert_eq!((one.bytes(), two.bytes()), (bytes.next_multiple_of(8), bytes.next_multiple_of(8)));
        assert!(one.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
        let last = one.words().len() - 1;
        one.words()[last].store(7, Ordering::Relaxed);
        assert_eq!(two.words()[last].load(Ordering::Relaxed), 7);
        assert!(rustix::fs::ftruncate(&fd, 0).is_err());
        if bytes >= HUGE_PAGE_BYTES {
            assert_eq!(one.words().as_ptr().addr() % HUGE_PAGE_BYTES, 0);
        }
        one.populate();
        println!("{bytes} bytes collapsed: {}", one.populate_and_collapse());
        assert_eq!(two.words()[last].load(Ordering::Relaxed), 7);
        two.wipe();
        assert_eq!(one.words()[last].load(Ordering::Relaxed), 0);
    }
    assert!(matches!(SharedMemory::create("test", 0), Err(MemoryError::Size { .. })));
}

#[test]
fn bytes_go_in_and_out() {
    let memory = SharedMemory::heap(20);
    let content: Vec<_> = (1..=19).collect();
    memory.store(&content);
    let mut found = [0xff; 24];
    memory.load(&mut found);
    assert_eq!(found[..19], content);
    assert_eq!(found[19..], [0; 5]);
    assert!(!memory.populate_and_collapse());
}

/// No mapping is left behind: the reservation around an aligned one is given back.
#[test]
fn mappings_end_with_their_owners() {
    let (_, fd) = SharedMemory::create("kz-left", 3 * HUGE_PAGE_BYTES).expect("memfds work");
    let named = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps can be read");
        maps.lines().filter(|line| line.contains("kz-left")).count()
    };
    let memory = SharedMemory::attach(&fd, "test").expect("the size is fixed");
    assert_eq!(named(), 1);
    drop(memory);
    assert_eq!(named(), 0);
}
