//! The allocator as a program has it.
#![allow(missing_docs, reason = "a test binary has no public interface")]

mod memory;

use memory::read;
use secret_memory::{SecretAllocator, is_secret, protect_stack, protection, within};

#[global_allocator]
static ALLOCATOR: SecretAllocator = SecretAllocator;

/// Fields of the mapping that an address lies in.
fn flags_of(address: usize) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("/proc is there");
    let mut inside = false;
    for line in maps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        if let Some((from, to)) = range
            && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
        {
            inside = (from..to).contains(&address);
        } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            return flags.split_whitespace().map(str::to_owned).collect();
        }
    }
    panic!("no mapping has {address:#x}");
}

#[test]
fn what_is_made_inside_lies_in_the_arena_until_it_is_dropped() {
    let key = within(|| (0..200_u8).collect::<Vec<_>>());
    assert!(is_secret(&key));
    assert_eq!(key, (0..200).collect::<Vec<_>>());
    let copy = key.clone();
    assert!(!is_secret(&copy), "a copy made outside is an ordinary one");
    let nested = within(|| within(|| Box::new([1_u8; 5000])));
    assert!(is_secret(&*nested));
    let after = vec![0_u8; 4];
    assert!(!is_secret(&after), "the scope has ended");
}

#[test]
fn a_secret_that_grows_stays_in_the_arena() {
    let mut key = within(|| vec![9_u8; 16]);
    key.extend_from_slice(&[9; 100_000]);
    assert!(is_secret(&key));
    assert!(key.iter().all(|byte| *byte == 9));
    let mut plain = vec![5_u8; 16];
    within(|| plain.extend_from_slice(&[5; 1000]));
    assert!(is_secret(&plain), "what grows inside may have got a secret");
    assert!(plain.iter().all(|byte| *byte == 5));
}

#[test]
fn all_sizes_and_alignments_are_served() {
    #[repr(align(64))]
    struct Aligned([u8; 64]);
    let boxes: Vec<_> = (0..100).map(|at| within(|| Box::new(Aligned([at; 64])))).collect();
    assert!(boxes.iter().all(|one| (std::ptr::from_ref(&**one) as usize).is_multiple_of(64)));
    assert!(boxes.iter().zip(0..).all(|(one, at)| one.0 == [at; 64]));
    for bytes in (0..24).map(|power| 1_usize << power).chain([3, 17, 4097, 100_001]) {
        let content = within(|| vec![3_u8; bytes]);
        assert_eq!(content.len(), bytes);
        assert_eq!(is_secret(&content), bytes <= 8 << 20, "{bytes}");
    }
}

#[test]
fn threads_do_not_disturb_each_other() {
    std::thread::scope(|scope| {
        for byte in 0..4_u8 {
            scope.spawn(move || {
                for round in 0..2000_usize {
                    let key = within(|| vec![byte; 1 + round % 300]);
                    std::thread::yield_now();
                    assert!(is_secret(&key) && key.iter().all(|found| *found == byte));
                }
            });
        }
    });
}

#[test]
fn pages_and_stacks_are_locked_and_left_out_of_dumps() {
    let key = within(|| vec![1_u8; 32]);
    let flags = flags_of(key.as_ptr() as usize);
    assert!(flags.iter().any(|flag| flag == "dd"), "{flags:?}");
    let local = std::thread::spawn(|| {
        protect_stack();
        let on_stack = 0_u8;
        flags_of(std::ptr::from_ref(&on_stack) as usize)
    });
    let stack = local.join().expect("the thread ends well");
    assert!(stack.iter().any(|flag| flag == "dd"), "{stack:?}");
    if protection().locked {
        assert!(flags.iter().chain(&stack).filter(|flag| *flag == "lo").count() == 2, "{flags:?} {stack:?}");
    } else {
        testhost::lacks("locked_memory", "the kernel does not lock pages");
    }
}

#[test]
fn the_stack_of_a_scope_is_wiped() {
    #[inline(never)]
    fn leave_something() -> usize {
        let mut key = [0x5a_u8; 16_384];
        std::hint::black_box(&mut key);
        key.as_ptr() as usize
    }
    #[inline(never)]
    fn find_something(near: usize) -> usize {
        // The frame that held it is gone: read through the kernel, which knows no frames.
        let found = read(near, 16_384);
        // Single bytes of that value stand in addresses, too.
        found.chunk_by(|one, next| one == next).filter(|run| run[0] == 0x5a).map(<[u8]>::len).max().unwrap_or(0)
    }
    let left = std::thread::spawn(|| {
        let unwiped = leave_something();
        let before = find_something(unwiped);
        let wiped = within(leave_something);
        (before, find_something(wiped))
    });
    let (before, after) = left.join().expect("the thread ends well");
    assert!(before > 1000, "the test sees what is left on a stack: {before}");
    assert!(after < 16, "{after}");
}
