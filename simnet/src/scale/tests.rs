//! What grows with shards and what does not.

use super::*;

/// As on a slow processor with narrow lanes: all of a packet is 20 us, of which 3 are the reader's and 4 the sender's.
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

fn geometry() -> Geometry {
    Geometry::nike("x25519", 200, 5, true).unwrap()
}

#[test]
fn one_shard_carries_what_its_stages_cost() {
    for row in simulate(&geometry(), &COSTS, 1, &[1, 2, 4, 8, 16], 1).unwrap() {
        eprintln!("{row:?}");
    }
    for row in simulate(&geometry(), &COSTS, 3, &[1, 2, 4, 8, 16, 64], 1).unwrap() {
        eprintln!("{row:?}");
    }
    for row in simulate(&geometry(), &COSTS, 16, &[1, 2, 4, 8, 16, 32, 64], 1).unwrap() {
        eprintln!("{row:?}");
    }
}
