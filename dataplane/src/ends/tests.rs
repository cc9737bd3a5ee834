use super::*;
use crate::packet::route::Delivery;
use crate::shared::directory::DestinationId;

#[test]
fn a_mix_sends_on_and_ends_nothing() {
    let onward = Arrival::Delay { next_hop: [1; 32], destination: DestinationId(3) };
    assert_eq!(refusal(Role::Mix, &onward), None);
    for arrival in [Arrival::Deliver(Delivery::default()), Arrival::Reply(Delivery::default())] {
        assert_eq!(refusal(Role::Mix, &arrival), Some(DropReason::MixReceivedNonForward));
    }
}

#[test]
fn a_gateway_delivers() {
    let delivery = Delivery::default();
    assert_eq!(refusal(Role::Gateway, &Arrival::Deliver(delivery)), None);
    assert_eq!(refusal(Role::Gateway, &Arrival::Reply(delivery)), Some(DropReason::InvalidPacket));
}
