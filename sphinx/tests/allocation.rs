//! Once warm, unwrapping allocates nothing: the data plane promises that to its shards.

mod common;

use allocations::Counting;
use common::{Network, geometries};
use sphinx::{UnwrapError, UnwrapErrorReason, Unwrapper, replay_tags};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_batch_allocates_nothing() {
    for geometry in geometries(2000, 5, true) {
        let name = format!("{}{}", geometry.nike_name, geometry.kem_name);
        let mut network = Network::new(geometry, 1);
        let mut packets: Vec<Vec<u8>> = (0..40).map(|index| network.packet(1 + index % 5).0).collect();
        packets.push(network.reply(1).0);
        packets.push(vec![0; network.geometry().packet_length]);
        packets.push(vec![0; 7]);
        let unset = UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None };
        let mut results = vec![Err(unset); packets.len()];
        let mut tags = vec![[0; 32]; packets.len()];
        let mut unwrapper = Unwrapper::new(network.geometry(), 32).expect("a good geometry");
        let mut run = |key: usize| {
            let borrowed: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
            let of_tags = allocations::of(|| replay_tags(network.geometry(), &borrowed, &mut tags));
            let mut batch: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
            let of_batch = allocations::of(|| unwrapper.unwrap_batch(&network.keys[key], &mut batch, &mut results));
            (of_tags + of_batch, results.iter().filter(|result| result.is_ok()).count())
        };
        let (_, accepted) = run(0);
        assert_eq!(accepted, 41, "{name}");
        // The forwarded packets are good for the next node, the others fail there.
        let (allocated, accepted) = run(1);
        assert_eq!((allocated, accepted), (0, 32), "{name}");
    }
}
