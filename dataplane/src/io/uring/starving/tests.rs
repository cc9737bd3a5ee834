use super::*;

fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

#[test]
fn links_and_handshakes_take_turns_and_neither_waits_for_an_empty_queue() {
    let mut starving = Starving::default();
    (0..4).for_each(|index| starving.push(conn(index), false));
    (10..12).for_each(|index| starving.push(conn(index), true));
    let order: Vec<u32> = std::iter::from_fn(|| starving.pop()).map(|conn| conn.index).collect();
    assert_eq!(order, [10, 0, 11, 1, 2, 3]);
    assert!(starving.is_empty());
}
