//! Packets for load tests are genuine for the node that they are made for.

mod common;

use common::{Network, geometries};
use sphinx::create::{CreateError, LoadCommand, LoadMaker};
use sphinx::{UnwrappedKind, Unwrapper};

#[test]
fn the_node_sends_on_what_the_maker_says() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 1);
        let key = &network.keys[0];
        let maker = LoadMaker::new(network.sphinx.clone(), key.public_key(), &mut network.random).expect("a good key");
        let commands: Vec<_> = (0..5).map(|n| LoadCommand { next: [n; 32], delay_ms: u32::from(n) * 7 }).collect();
        let bytes = network.geometry().packet_length;
        let (mut packets, mut forwarded) = (vec![vec![0; bytes]; 5], vec![vec![0; bytes]; 5]);
        let mut packet_slices: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
        let mut forwarded_slices: Vec<&mut [u8]> = forwarded.iter_mut().map(Vec::as_mut_slice).collect();
        maker.make(&commands, &mut network.random, &mut packet_slices, &mut forwarded_slices).expect("good commands");
        let mut unwrapper = Unwrapper::new(network.geometry(), 5).expect("a good geometry");
        let mut tags = Vec::new();
        for ((packet, forwarded), command) in packets.iter_mut().zip(&forwarded).zip(&commands) {
            let unwrapped = unwrapper.unwrap(key, packet).expect("a good packet");
            assert_eq!(unwrapped.kind, UnwrappedKind::Forward);
            assert_eq!(unwrapped.commands.delay_ms, Some(command.delay_ms));
            assert_eq!(unwrapped.commands.next_node.map(|next| next.id), Some(command.next));
            assert_eq!(packet, forwarded, "{}{}", network.geometry().nike_name, network.geometry().kem_name);
            tags.push(unwrapped.tag);
        }
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 5, "every packet has a replay tag of its own");
    }
}

#[test]
fn refuses_a_key_that_is_none() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 2);
        let refused = LoadMaker::new(network.sphinx.clone(), &[1, 2, 3], &mut network.random).err();
        assert!(matches!(refused, Some(CreateError::PublicKey { hop: 0, .. })), "{refused:?}");
    }
}
