use super::*;
use crate::path::round_trip;
use crate::tests::Network;
use crypto_simd::random::SeededRandom;

#[test]
fn a_packet_passes_the_network_and_its_reply_opens() {
    let mut network = Network::new(4);
    let (document, unix) = (network.document(Network::FIRST_EPOCH), network.clock.start(Network::FIRST_EPOCH));
    let (gateway, service) = (document.gateway_nodes[0].id(), document.service_nodes[1].id());
    let random = &mut SeededRandom::new(&[6; 32]);
    let trip = round_trip(&document, &network.clock, &gateway, &service, unix, random).expect("a way");
    let sphinx = Sphinx::new(network.geometry.clone()).expect("a geometry");
    let echo = recipient("+echo").expect("an endpoint");
    let composed = packet(&sphinx, &trip, echo, [b'7'; 32], b"hello", random).expect("a packet");
    assert_eq!(composed.packet.len(), network.geometry.packet_length);

    let mut reply = network.pass(gateway, &composed.packet, unix).expect("a reply");
    assert_eq!((reply.recipient, reply.surb_id), ([b'7'; 32], composed.surb_id));
    let service_delay = std::time::Duration::from_millis(trip.forward[4].delay_ms.unwrap_or(0).into());
    assert_eq!(reply.after + service_delay, trip.delay());
    let mut keys = composed.surb_keys;
    let opened = sphinx::decrypt_surb_payload(&mut reply.payload, &mut keys).expect("its keys");
    assert_eq!(opened.len(), network.geometry.forward_payload_length);
    assert!(opened.starts_with(b"hello\0"), "the answer begins at offset 0");
    assert!(keys.iter().all(|byte| *byte == 0), "keys serve once");
}

#[test]
fn recipients_are_endpoints_padded_with_zeros() {
    assert_eq!(recipient("+echo").map(|name| name.starts_with(b"+echo\0")), Ok(true));
    let longest = "e".repeat(32);
    assert_eq!(recipient(&longest), Ok([b'e'; 32]));
    assert_eq!(recipient(&format!("{longest}e")), Err(ComposeError::Endpoint(33)));
    assert_eq!(recipient(""), Err(ComposeError::Endpoint(0)));
}

#[test]
fn payloads_that_do_not_fit_are_refused() {
    let network = Network::new(4);
    let (document, unix) = (network.document(Network::FIRST_EPOCH), network.clock.start(Network::FIRST_EPOCH));
    let (gateway, service) = (document.gateway_nodes[0].id(), document.service_nodes[0].id());
    let random = &mut SeededRandom::new(&[6; 32]);
    let trip = round_trip(&document, &network.clock, &gateway, &service, unix, random).expect("a way");
    let sphinx = Sphinx::new(network.geometry.clone()).expect("a geometry");
    let bytes = network.geometry.user_forward_payload_length;
    assert!(packet(&sphinx, &trip, [1; 32], [2; 32], &vec![3; bytes], random).is_ok());
    let too_long = packet(&sphinx, &trip, [1; 32], [2; 32], &vec![3; bytes + 1], random);
    assert!(matches!(too_long.map(|_| ()), Err(ComposeError::Payload(PlaintextError::Length { .. }))));
}
