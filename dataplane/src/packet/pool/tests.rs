use super::*;

#[test]
fn a_slot_has_room_around_its_packet() {
    let mut slot = Slot::new(100, 3);
    assert_eq!(slot.command_mut().len(), 106);
    slot.packet_mut().fill(7);
    assert_eq!(slot.packet(), [7; 100]);
    assert_eq!(slot.command_mut()[5..=6], [0, 7]);
    assert_eq!(slot.home(), 3);
}

#[test]
fn a_list_gives_back_what_it_got() {
    let mut list = SlotList::default();
    for home in 0..5 {
        list.push(Slot::new(1, home));
    }
    assert_eq!(std::iter::from_fn(|| list.pop()).map(|slot| slot.home()).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
}

#[test]
fn a_long_list_can_be_dropped() {
    let mut list = SlotList::default();
    for _ in 0..300_000 {
        list.push(Slot::new(1, 0));
    }
    drop(list);
}

#[test]
fn a_pool_ends() {
    let mut pool = Pool::new(0, 2, 10);
    let first = pool.take().expect("two slots");
    let _second = pool.take().expect("two slots");
    assert!(pool.take().is_none());
    pool.give(first);
    assert_eq!((pool.free(), pool.total()), (1, 2));
}

#[test]
fn slots_are_made_when_they_are_needed_and_kept() {
    let packet_bytes = 1 << 20;
    let mut pool = Pool::new(0, 100, packet_bytes);
    assert_eq!((pool.made(), pool.free(), pool.total()), (15, 100, 100));
    for _ in 0..3 {
        let taken: Vec<_> = (0..20).map_while(|_| pool.take()).collect();
        assert_eq!((taken.len(), pool.made(), pool.free()), (20, 20, 80));
        taken.into_iter().for_each(|slot| pool.give(slot));
    }
    let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
    assert_eq!((all.len(), pool.made(), pool.free()), (100, 100, 0));
}
