use super::*;
use crate::packet::route::Delivery;
use crate::shared::directory::DestinationId;

#[test]
fn a_mix_sends_on_and_ends_nothing() {
    let onward = Arrival::Delay { next_hop: [1; 32], destination: DestinationId(3) };
    assert_eq!(refusal(Role::Mix, &onward), None);
    let delivery = Delivery { recipient: [2; 32], surb_id: None, delay_ms: 0 };
    for arrival in [Arrival::Deliver(delivery), Arrival::Reply(delivery)] {
        assert_eq!(refusal(Role::Mix, &arrival), Some(DropReason::MixReceivedNonForward));
    }
}

#[test]
fn a_gateway_delivers() {
    let delivery = Delivery { recipient: [2; 32], surb_id: None, delay_ms: 0 };
    assert_eq!(refusal(Role::Gateway, &Arrival::Deliver(delivery)), None);
    assert_eq!(refusal(Role::Gateway, &Arrival::Reply(delivery)), Some(DropReason::InvalidPacket));
}
