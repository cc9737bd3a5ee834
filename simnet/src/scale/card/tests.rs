//! The hash against published values, and rings by hand.

use super::*;

const NODE: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, 4), 30_000);

fn flow(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

fn card(ring_frames: usize, burst_packets: usize, shards: usize) -> Card {
    let options = CardOptions { bits_per_second: 10_000_000_000, queues: shards, ring_frames, burst_packets };
    let flows = [flow("192.0.2.10:40000"), flow("192.0.2.11:40001")];
    Card::new(options, 100_000.0, shards, &flows, NODE, SeededRandom::new(&[7; 32]))
}

#[test]
fn the_hash_is_the_one_that_cards_have() {
    // Microsoft, "Verifying the RSS hash calculation".
    for (from, to, expected) in [
        ("66.9.149.187:2794", "161.142.100.80:1766", 0x51cc_c178),
        ("199.92.111.2:14230", "65.69.140.83:4739", 0xc626_b0ea),
        ("24.19.198.95:12898", "12.22.207.184:38024", 0x5c2b_394a),
    ] {
        assert_eq!(hash(flow(from), flow(to)), expected, "{from} {to}");
    }
}

#[test]
fn a_burst_comes_at_the_speed_of_the_line_and_the_next_one_by_the_rate() {
    let mut card = card(1024, 4, 1);
    card.begin(Instant::default());
    let mut at = Vec::new();
    while let Some(coming) = card.next(Instant(100_000), 3_124) {
        at.push(coming.at.0);
    }
    // 3,124 bytes in three frames with 90 bytes around each: 2,715 ns at 10 Gbit/s; 40 us between bursts of four.
    assert_eq!(at.len(), 12, "{at:?}");
    assert!((2_700..2_720).contains(&at[0]) && (2_700..2_720).contains(&(at[1] - at[0])), "{at:?}");
    assert_eq!((at[4] - at[0], at[8] - at[4]), (40_000, 40_000), "{at:?}");
}

#[test]
fn a_full_ring_loses_and_only_the_shard_of_a_queue_empties_it() {
    let mut card = card(8, 1, 2);
    let coming = |link| Coming { link, at: Instant(10) };
    let (first, second) = (card.queues[0], card.queues[1]);
    for _ in 0..2 {
        assert!(card.has_room(&coming(0), 3_124));
        card.put(&coming(0), vec![0; 3_124]);
    }
    assert!(!card.has_room(&coming(0), 3_124));
    assert_eq!((card.tally().lost, card.tally().ring_frames_most), (1, 6));
    assert_eq!(card.has_room(&coming(1), 3_124), first != second);
    let taken = |card: &mut Card| {
        let mut links = Vec::new();
        card.taken(|link, bytes| links.push((link, bytes.len())));
        links
    };
    card.empty(1 - first, Instant(20));
    card.empty(first, Instant(9));
    assert!(taken(&mut card).is_empty() && card.is_waiting());
    card.empty(first, Instant(10));
    assert_eq!(taken(&mut card), [(0, 3_124), (0, 3_124)]);
    assert!(!card.is_waiting() && card.has_room(&coming(0), 3_124));
}
