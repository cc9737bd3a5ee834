//! What holds for all schemes, paths, batches and bytes.

mod common;

use common::{Network, geometries};
use crypto_simd::random::{Random, SeededRandom};
use proptest::prelude::*;
use sphinx::commands::CommandsClass;
use sphinx::plaintext::BlockSphinxPlaintext;
use sphinx::unwrap::BATCH_MAX;
use sphinx::{
    Commands, RoutingCommand, UnwrapError, UnwrapErrorReason, Unwrapped, UnwrappedKind, Unwrapper,
    decrypt_surb_payload, replay_tags,
};

const UNSET: UnwrapError = UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None };

/// Takes a packet through its path and gives what the last hop delivers.
fn travel(network: &Network, packet: &mut [u8], hops: usize) -> (Unwrapped, Vec<u8>) {
    let mut unwrapper = Unwrapper::new(network.geometry(), 1).expect("a good geometry");
    let length = packet.len();
    for node in 0..hops {
        let unwrapped = unwrapper.unwrap(&network.keys[node], packet).expect("a good packet");
        assert_eq!(packet.len(), length);
        match unwrapped.kind {
            UnwrappedKind::Forward => {
                assert_eq!(unwrapped.commands.class(), Some(CommandsClass::Forward));
                assert_eq!(unwrapped.commands.delay_ms, Some(node as u32 + 1));
                assert_eq!(unwrapped.commands.next_node.map(|next| next.id), Some([node as u8 + 1; 32]));
            }
            UnwrappedKind::Deliver { payload_offset, payload_len }
            | UnwrappedKind::SurbReply { payload_offset, payload_len } => {
                assert_eq!(node + 1, hops);
                return (unwrapped, packet[payload_offset..payload_offset + payload_len].to_vec());
            }
        }
    }
    panic!("the last hop did not deliver");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn packets_and_replies_arrive(seed: u64, user_bytes in 1..200_usize, nr_hops in 1..=5_usize, with_surb: bool) {
        for geometry in geometries(user_bytes, nr_hops, with_surb) {
            let mut network = Network::new(geometry, seed);
            for hops in 1..=nr_hops {
                let (mut packet, payload) = network.packet(hops);
                prop_assert_eq!(packet.len(), network.geometry().packet_length);
                let (unwrapped, delivered) = travel(&network, &mut packet, hops);
                prop_assert_eq!(unwrapped.commands.class(), Some(CommandsClass::ToUser));
                prop_assert_eq!(delivered, payload);

                let (mut packet, payload, mut keys) = network.reply(hops);
                let (unwrapped, mut delivered) = travel(&network, &mut packet, hops);
                prop_assert_eq!(unwrapped.commands.class(), Some(CommandsClass::SurbReply));
                prop_assert_eq!(decrypt_surb_payload(&mut delivered, &mut keys), Ok(payload.as_slice()));
                prop_assert!(keys.iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn a_batch_gives_what_its_packets_give_alone(
        seed: u64,
        kinds in prop::collection::vec(0..8_u8, 0..2 * BATCH_MAX + 3),
        batch_max in 1..2 * BATCH_MAX,
    ) {
        for geometry in geometries(20, 3, true) {
            let mut network = Network::new(geometry, seed);
            let prototypes = prototypes(&mut network);
            let mut packets: Vec<Vec<u8>> = kinds.iter().map(|kind| prototypes[usize::from(*kind)].clone()).collect();
            let mut alone = packets.clone();
            let received = packets.clone();

            let mut results = vec![Err(UNSET); packets.len()];
            let mut batch: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
            let mut unwrapper = Unwrapper::new(network.geometry(), batch_max).expect("a good geometry");
            // A batch before leaves nothing behind.
            unwrapper.unwrap_batch(&network.keys[1], &mut batch[..kinds.len() / 2], &mut results[..kinds.len() / 2]);
            unwrapper.unwrap_batch(&network.keys[0], &mut batch, &mut results);

            let mut tags = vec![[0; 32]; received.len()];
            let borrowed: Vec<&[u8]> = received.iter().map(Vec::as_slice).collect();
            replay_tags(network.geometry(), &borrowed, &mut tags);

            let mut single = Unwrapper::new(network.geometry(), 1).expect("a good geometry");
            for index in 0..kinds.len() {
                let expected = single.unwrap(&network.keys[0], &mut alone[index]);
                prop_assert_eq!(results[index], expected, "packet {} of kind {}", index, kinds[index]);
                prop_assert_eq!(&packets[index], &alone[index]);
                match results[index] {
                    Ok(unwrapped) => prop_assert_eq!(unwrapped.tag, tags[index]),
                    Err(UnwrapError { reason, tag }) => {
                        prop_assert!(tag.is_none_or(|tag| tag == tags[index]));
                        if reason <= UnwrapErrorReason::MacMismatch {
                            prop_assert_eq!(&packets[index], &received[index], "changed by {}", reason);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn random_bytes_are_refused(seed: [u8; 32], lengths in prop::collection::vec(0..9000_usize, 0..40)) {
        let mut random = SeededRandom::new(&seed);
        let mut packets: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0; *length]).collect();
        for (index, packet) in packets.iter_mut().enumerate() {
            random.fill(packet);
            if index % 2 == 0 {
                packet.iter_mut().take(2).for_each(|byte| *byte = 0);
            }
        }
        for geometry in geometries(20, 5, false) {
            let network = Network::new(geometry, 1);
            let mut packets = packets.clone();
            let mut results = vec![Err(UNSET); packets.len()];
            let mut batch: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
            let mut unwrapper = Unwrapper::new(network.geometry(), 16).expect("a good geometry");
            unwrapper.unwrap_batch(&network.keys[0], &mut batch, &mut results);
            prop_assert!(results.iter().all(Result::is_err));
        }
    }
}

/// One packet of each kind for node 0.
fn prototypes(network: &mut Network) -> [Vec<u8>; 8] {
    let (forward, _) = network.packet(3);
    let (terminal, _) = network.packet(1);
    let (reply, _, _) = network.reply(1);
    let header = network.geometry().header_length;
    let changed = |at: usize| {
        let mut packet = terminal.clone();
        packet[at] ^= 1;
        packet
    };
    let mut low_order = forward.clone();
    low_order[2..header - 32].fill(0);
    [
        forward.clone(),
        terminal.clone(),
        reply,
        changed(header - 1),
        changed(header + 3),
        changed(1),
        forward[..header - 1].to_vec(),
        low_order,
    ]
}

proptest! {
    #[test]
    fn parsers_take_any_bytes(bytes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, 0x80, 7]), 0..200)) {
        let list = RoutingCommand::parse_list(&bytes);
        let commands = Commands::parse(&bytes);
        prop_assert!(list.is_ok() || commands.is_err());
        if let Ok(list) = list {
            let written: Vec<u8> = list.iter().flat_map(RoutingCommand::to_bytes).collect();
            prop_assert!(bytes.starts_with(&written));
            prop_assert!(bytes[written.len()..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn payloads_and_replies_take_any_bytes(flags: [u8; 2], length in 0..700_usize, key_bytes in 0..400_usize) {
        let geometry = &geometries(20, 5, true)[0];
        let mut bytes = vec![1; length];
        bytes.iter_mut().zip(flags).for_each(|(byte, flag)| *byte = flag);
        let fits = length == geometry.forward_payload_length && flags[0] < 2 && flags[1] == 0;
        prop_assert_eq!(BlockSphinxPlaintext::parse(geometry, &bytes).is_ok(), fits);
        let mut keys = vec![3; key_bytes];
        prop_assert!(decrypt_surb_payload(&mut bytes, &mut keys).is_err());
        prop_assert!(keys.iter().all(|byte| *byte == 0));
    }
}
