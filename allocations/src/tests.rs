use std::hint::black_box;

#[test]
fn counts_what_is_made_and_made_larger() {
    assert_eq!(crate::of(|| drop(black_box(vec![1_u8]))), 1);
    assert_eq!(crate::of(|| drop(black_box(vec![0_u8; 100]))), 1, "zeroed memory, too");
    assert_eq!(crate::of(|| black_box(vec![1_u8]).reserve_exact(1000)), 2);
    assert_eq!(crate::of(|| ()), 0);
}

#[test]
fn places_are_told_apart() {
    let before = [1, 2].map(crate::here);
    let all_before = crate::everywhere(2);
    crate::at(1, || {
        drop(black_box(vec![1_u8]));
        crate::at(2, || drop(black_box((vec![1_u8], vec![2_u8]))));
        drop(black_box(vec![1_u8]));
    });
    assert_eq!([1, 2].map(crate::here), [before[0] + 2, before[1] + 2]);
    assert!(crate::everywhere(2) >= all_before + 2, "threads of other tests may count there");
    std::thread::spawn(|| assert_eq!(crate::here(2), 0)).join().expect("a thread of its own");
}

#[test]
fn the_most_that_is_held_is_not_what_is_left() {
    let (kept, most) = crate::most_bytes_of(|| {
        drop(black_box(vec![1_u8; 50_000]));
        vec![1_u8; 100]
    });
    assert_eq!((kept.len(), most), (100, 50_000));
}
