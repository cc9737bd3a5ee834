use super::*;

/// The groups of `count` messages as (lanes, messages).
fn cut(kernels: &[(usize, usize)], lengths: &[usize]) -> Vec<(usize, Range<usize>)> {
    let kernels: Vec<_> =
        kernels.iter().map(|(lanes, worth)| Some(Kernel { lanes: *lanes, worth: *worth, call: () })).collect();
    let groups = groups(&kernels, lengths.len(), |index| lengths[index]);
    groups.map(|(kernel, group)| (kernel.map_or(1, |kernel| kernel.lanes), group)).collect()
}

#[test]
fn the_widest_kernel_that_pays_takes_a_group() {
    assert_eq!(cut(&[], &[1, 1]), [(1, 0..1), (1, 1..2)]);
    assert_eq!(cut(&[(16, 4)], &[9; 20]), [(16, 0..16), (16, 16..20)]);
    assert_eq!(cut(&[(16, 5), (2, 2)], &[9; 20]), [(16, 0..16), (2, 16..18), (2, 18..20)]);
    assert_eq!(cut(&[(16, 5), (2, 2)], &[9; 3]), [(2, 0..2), (1, 2..3)]);
    assert_eq!(cut(&[(16, 0)], &[9]), [(1, 0..1)]);
}

#[test]
fn one_long_message_is_not_worth_many_lanes() {
    assert_eq!(cut(&[(4, 2)], &[9, 1, 1, 1]), [(1, 0..1), (4, 1..4)]);
    assert_eq!(cut(&[(4, 2)], &[9, 9, 1, 1]), [(4, 0..4)]);
}

#[test]
fn no_messages_are_no_groups() {
    assert!(cut(&[(4, 0)], &[]).is_empty());
}
