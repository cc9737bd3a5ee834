use super::*;
use crate::shared::directory::DestinationId;

#[test]
fn a_mix_sends_on_and_ends_nothing() {
    let onward = Arrival::Delay { next_hop: [1; 32], destination: DestinationId(3) };
    assert_eq!(refusal(Role::Mix, &onward), None);
    for arrival in [Arrival::Deliver, Arrival::Reply] {
        assert_eq!(refusal(Role::Mix, &arrival), Some(DropReason::MixReceivedNonForward));
    }
}
