//! Packets for load tests are genuine for the node that they are made for.

mod common;

use common::{Network, geometries};
use sphinx::create::{CreateError, LoadCommand, LoadMaker};
use sphinx::plaintext::{BlockSphinxPlaintext, pad_reply};
use sphinx::{Unwrapped, UnwrappedKind, Unwrapper};

/// What the node makes of packets with these commands, what is in their buffers then, and what the maker said of them.
fn unwrap(network: &mut Network, commands: &[LoadCommand]) -> Vec<(Unwrapped, Vec<u8>, Vec<u8>)> {
    let key = &network.keys[0];
    let maker = LoadMaker::new(network.sphinx.clone(), key.public_key(), &mut network.random).expect("a good key");
    let bytes = network.sphinx.geometry().packet_length;
    let mut packets = vec![vec![0; bytes]; commands.len()];
    let mut forwarded = packets.clone();
    let mut packet_slices: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
    let mut forwarded_slices: Vec<&mut [u8]> = forwarded.iter_mut().map(Vec::as_mut_slice).collect();
    maker.make(commands, &mut network.random, &mut packet_slices, &mut forwarded_slices).expect("good commands");
    let mut unwrapper = Unwrapper::new(network.sphinx.geometry(), commands.len()).expect("a good geometry");
    let opened = packets.into_iter().zip(forwarded);
    opened
        .map(|(mut packet, forwarded)| (unwrapper.unwrap(key, &mut packet).expect("a good packet"), packet, forwarded))
        .collect()
}

#[test]
fn the_node_sends_on_what_the_maker_says() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 1);
        let commands: Vec<_> =
            (0..5).map(|n| LoadCommand::Forward { next: [n; 32], delay_ms: u32::from(n) * 7 }).collect();
        let mut tags = Vec::new();
        for ((unwrapped, packet, forwarded), n) in unwrap(&mut network, &commands).into_iter().zip(0..5) {
            assert_eq!(unwrapped.kind, UnwrappedKind::Forward);
            assert_eq!(unwrapped.commands.delay_ms, Some(u32::from(n) * 7));
            assert_eq!(unwrapped.commands.next_node.map(|next| next.id), Some([n; 32]));
            assert_eq!(packet, forwarded, "{}{}", network.geometry().nike_name, network.geometry().kem_name);
            tags.push(unwrapped.tag);
        }
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 5, "every packet has a replay tag of its own");
    }
}

#[test]
fn a_service_that_echoes_sends_what_the_maker_says() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 3);
        let command = LoadCommand::Request { recipient: [3; 32], next: [4; 32], delay_ms: 50 };
        for (unwrapped, packet, forwarded) in unwrap(&mut network, &[command; 2]) {
            let UnwrappedKind::Deliver { payload_offset, payload_len } = unwrapped.kind else { panic!("it ends here") };
            assert_eq!((unwrapped.commands.recipient, unwrapped.commands.delay_ms), (Some([3; 32]), Some(50)));
            let content = &packet[payload_offset..][..payload_len];
            let request = BlockSphinxPlaintext::parse(network.geometry(), content).expect("a request");
            let answer = pad_reply(network.geometry(), request.payload).expect("it fits");
            let surb = request.surb.expect("it wants an answer");
            let (reply, next) = network.sphinx.new_packet_from_surb(surb, &answer).expect("a reply block");
            assert_eq!((reply, next), (forwarded, [4; 32]));
        }
    }
}

#[test]
fn a_user_gets_what_the_maker_says() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 4);
        let command = LoadCommand::Reply { recipient: [5; 32], surb_id: [6; 16] };
        let mut payloads = Vec::new();
        for (unwrapped, packet, forwarded) in unwrap(&mut network, &[command; 2]) {
            let UnwrappedKind::SurbReply { payload_offset, .. } = unwrapped.kind else { panic!("it ends here") };
            let Unwrapped { commands, .. } = unwrapped;
            assert_eq!((commands.recipient, commands.surb_reply), (Some([5; 32]), Some([6; 16])));
            assert_eq!(packet[payload_offset..], forwarded[payload_offset..]);
            payloads.push(forwarded[payload_offset..].to_vec());
        }
        assert_ne!(payloads[0], payloads[1], "each can be told apart");
    }
}

#[test]
fn requests_need_room_for_a_reply_block() {
    let mut network = Network::new(sphinx::Geometry::nike("x25519", 500, 5, false).expect("registered"), 5);
    let maker = LoadMaker::new(network.sphinx.clone(), network.keys[0].public_key(), &mut network.random);
    let bytes = network.geometry().packet_length;
    let (mut packet, mut forwarded) = (vec![0; bytes], vec![0; bytes]);
    let command = LoadCommand::Request { recipient: [3; 32], next: [4; 32], delay_ms: 50 };
    let made =
        maker.expect("a good key").make(&[command], &mut network.random, &mut [&mut packet], &mut [&mut forwarded]);
    assert!(matches!(made, Err(CreateError::SurbLength { .. })), "{made:?}");
}

#[test]
fn refuses_a_key_that_is_none() {
    for geometry in geometries(500, 5, true) {
        let mut network = Network::new(geometry, 2);
        let refused = LoadMaker::new(network.sphinx.clone(), &[1, 2, 3], &mut network.random).err();
        assert!(matches!(refused, Some(CreateError::PublicKey { hop: 0, .. })), "{refused:?}");
    }
}
