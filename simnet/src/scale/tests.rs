//! What grows with shards and what does not: by the seed and the costs alone.

use super::*;

/// All of a packet is 20 us, of which its reader has 3 and its sender 4.
const COSTS: Costs = Costs {
    poll_ns: 500,
    receive_ns: 500,
    open_ns: 2_000,
    look_up_ns: 500,
    unwrap_ns: 12_000,
    route_ns: 500,
    delay_ns: 500,
    seal_ns: 2_000,
    send_ns: 1_500,
    hand_over_ns: 0,
    lanes: 8,
};

fn rows(costs: &Costs, links: usize, shards: &[usize]) -> Vec<Row> {
    let geometry = Geometry::nike("x25519", 200, 5, true).expect("a sound geometry");
    simulate(&geometry, costs, links, shards, 1).expect("a run in which nothing is dropped")
}

#[test]
fn a_shard_carries_what_its_stages_cost_and_links_of_their_own_let_all_shards_work() {
    let found = rows(&COSTS, 3, &[1, 3]);
    assert!((found[0].packets_per_second - 50_000.0).abs() < 1_500.0, "{found:?}");
    assert!(found[1].efficiency > 0.95, "{found:?}");
    assert!(found.iter().all(|row| row.limit == Limit::Processors && row.usage.mean > 0.95), "{found:?}");
}

#[test]
fn one_link_stops_where_its_shard_is_full_and_a_seed_gives_the_same_again() {
    let found = rows(&COSTS, 1, &[1, 2, 8, 16]);
    assert!(found[1].to_one_shard > 1.5, "{found:?}");
    let [eight, sixteen] = &found[2..] else { panic!("{found:?}") };
    assert!((sixteen.packets_per_second / eight.packets_per_second - 1.0).abs() < 0.01, "{found:?}");
    for row in [eight, sixteen] {
        assert!(row.usage.most > 0.95 && row.usage.mean < 0.7, "{row:?}");
        assert_ne!(row.limit, Limit::Processors, "{row:?}");
        // No more than whoever does nothing but read it.
        assert!(row.packets_per_second < 1e9 / 3_000.0, "{row:?}");
    }
    assert_eq!(rows(&COSTS, 1, &[1, 2, 8, 16]), found);
}

#[test]
fn what_a_full_shard_does_most_is_what_limits() {
    let cheap = Costs { unwrap_ns: 1_000, ..COSTS };
    for (costs, limit) in
        [(Costs { open_ns: 20_000, ..cheap }, Limit::Reading), (Costs { seal_ns: 20_000, ..cheap }, Limit::Sending)]
    {
        let found = rows(&costs, 1, &[1, 4]);
        assert_eq!(found[1].limit, limit, "{found:?}");
        assert!(found[1].packets_per_second < 1e9 / 20_000.0, "{found:?}");
    }
}

#[test]
fn bytes_from_other_processors_cost_time_where_there_are_others() {
    let dear = rows(&Costs { hand_over_ns: 5_000, ..COSTS }, 3, &[1, 3]);
    let free = rows(&COSTS, 3, &[1, 3]);
    assert_eq!(dear[0].packets_per_second, free[0].packets_per_second);
    // Two of three packets leave from another shard than that which has unwrapped them.
    assert!(dear[1].packets_per_second < 0.9 * free[1].packets_per_second, "{dear:?}\n{free:?}");
}

fn behind_a_card(card: CardOptions, rates: &[f64]) -> Vec<CardRow> {
    let geometry = Geometry::nike("x25519", 200, 5, true).expect("a sound geometry");
    simulate_card(&geometry, &COSTS, (4, 2), card, rates, 1).expect("a run in which the node drops nothing")
}

const CARD: CardOptions =
    CardOptions { bits_per_second: 100_000_000_000, queues: 2, ring_frames: 1024, burst_packets: 32 };

#[test]
fn behind_a_card_shards_carry_what_comes_until_they_are_full_and_peers_keep_back_the_rest() {
    // Two shards of 50,000 packets/s each.
    let [half, twice] = behind_a_card(CARD, &[50_000.0, 200_000.0]).try_into().expect("two rows");
    assert!((half.packets_per_second / 50_000.0 - 1.0).abs() < 0.1, "{half:?}");
    assert_eq!((half.lost_share, half.held_back_share), (0.0, 0.0), "{half:?}");
    assert!(half.usage.mean < 0.7, "{half:?}");
    assert!(twice.packets_per_second < 110_000.0 && twice.usage.mean > 0.9, "{twice:?}");
    assert_eq!(behind_a_card(CARD, &[50_000.0])[0], half);
}

#[test]
fn a_ring_that_is_smaller_than_a_burst_loses_the_rest_of_it_though_the_shards_have_time() {
    let [small] = behind_a_card(CardOptions { ring_frames: 16, ..CARD }, &[50_000.0]).try_into().expect("one row");
    assert!(small.lost_share > 0.2 && small.ring_frames_most == 16, "{small:?}");
    assert!(small.usage.mean < 0.7, "{small:?}");
}
