use super::*;
use sphinx::NextNode;

const OWN_DECOYS: [u8; 32] = [9; 32];
const LIMIT: Duration = Duration::from_secs(3600);

fn next() -> Option<NextNode> {
    Some(NextNode { id: [1; 32], mac: [2; 32] })
}

fn forward(delay_ms: u32) -> Commands {
    Commands { next_node: next(), delay_ms: Some(delay_ms), ..Commands::default() }
}

fn to_user(delay_ms: Option<u32>) -> Commands {
    Commands { delay_ms, recipient: Some([3; 32]), ..Commands::default() }
}

fn surb_reply(recipient: [u8; 32]) -> Commands {
    Commands { recipient: Some(recipient), surb_reply: Some([4; 16]), ..Commands::default() }
}

/// The buffer's content that goes with the commands.
fn kind_of(commands: &Commands) -> UnwrappedKind {
    let (payload_offset, payload_len) = (100, 200);
    match (commands.next_node, commands.surb_reply) {
        (Some(_), _) => UnwrappedKind::Forward,
        (None, Some(_)) => UnwrappedKind::SurbReply { payload_offset, payload_len },
        (None, None) => UnwrappedKind::Deliver { payload_offset, payload_len },
    }
}

fn decide(role: Role, commands: &Commands, is_client: bool) -> Decision {
    route(role, commands, kind_of(commands), Sender { is_client }, Some(&OWN_DECOYS), LIMIT)
}

/// The matrix of server.md 3.7, for packets from mixes and from clients.
#[test]
fn the_routing_matrix() {
    use Decision::{Decoy, Drop, Gateway as ToGateway, Service as ToService};
    use DropReason::{ClientToLocalUser, MixReceivedNonForward, ProviderForwardFromMix};
    use Role::{Gateway, Mix, Service};
    let on = Decision::Forward { next_hop: [1; 32], delay_ms: 7 };
    let not_forward = Drop(MixReceivedNonForward);
    let local = Drop(ClientToLocalUser);
    // Role, from a client; next hop, recipient with and without reply block, SURB reply, SURB reply to own decoy.
    let rows = [
        (Gateway, false, [on, ToGateway, ToGateway, ToGateway, Decoy]),
        (Mix, false, [on, not_forward, not_forward, not_forward, Decoy]),
        (Service, false, [Drop(ProviderForwardFromMix), ToService, ToService, ToService, Decoy]),
        (Gateway, true, [on, local, local, local, local]),
        (Mix, true, [on, not_forward, not_forward, not_forward, Decoy]),
        (Service, true, [on, local, local, local, local]),
    ];
    for (role, is_client, expected) in rows {
        let packets = [forward(7), to_user(Some(5)), to_user(None), surb_reply([3; 32]), surb_reply(OWN_DECOYS)];
        for (commands, expected) in packets.iter().zip(expected) {
            assert_eq!(decide(role, commands, is_client), expected, "{role:?}, client: {is_client}, {commands:?}");
        }
    }
}

#[test]
fn a_node_without_decoys_has_no_decoy_recipient() {
    let commands = surb_reply(OWN_DECOYS);
    let decision = route(Role::Mix, &commands, kind_of(&commands), Sender::default(), None, LIMIT);
    assert_eq!(decision, Decision::Drop(DropReason::MixReceivedNonForward));
}

#[test]
fn delays_beyond_three_epochs_are_impossible() {
    let most = LIMIT.as_millis() as u32;
    assert!(matches!(decide(Role::Mix, &forward(most), false), Decision::Forward { .. }));
    let impossible = Decision::Drop(DropReason::DelayImpossible);
    assert_eq!(decide(Role::Mix, &forward(most + 1), false), impossible);
    assert_eq!(decide(Role::Mix, &forward(u32::MAX), false), impossible);
}

#[test]
fn a_forward_packet_with_a_payload_cannot_happen() {
    let kind = UnwrappedKind::Deliver { payload_offset: 0, payload_len: 1 };
    let decision = route(Role::Mix, &forward(1), kind, Sender::default(), None, LIMIT);
    assert_eq!(decision, Decision::Drop(DropReason::UnwrapPayloadUnexpected));
}

/// Every combination of commands that is none of the four sets, whatever the role (the reference crashes on some).
#[test]
fn other_command_sets_are_invalid() {
    let mut invalid = 0;
    for bits in 0..32u8 {
        let has = |bit: u8| bits & (1 << bit) != 0;
        let commands = Commands {
            next_node: next().filter(|_| has(0)),
            delay_ms: Some(1).filter(|_| has(1)),
            recipient: Some([3; 32]).filter(|_| has(2)),
            surb_reply: Some([4; 16]).filter(|_| has(3)),
            repeated: has(4),
        };
        let is_valid = [0b00011, 0b00110, 0b00100, 0b01100].contains(&bits);
        for role in [Role::Mix, Role::Gateway, Role::Service] {
            let is_invalid = decide(role, &commands, false) == Decision::Drop(DropReason::InvalidPacket);
            assert_eq!(is_invalid, !is_valid, "{role:?} {commands:?}");
        }
        invalid += u32::from(!is_valid);
    }
    assert_eq!(invalid, 28);
}

#[test]
fn the_time_until_the_unwrap_is_taken_off_the_delay() {
    let us = Duration::from_micros;
    let cases = [
        (10, us(4_000), Ok(us(6_000))),
        (10, us(9_999), Ok(us(1))),
        (10, us(10_000), Ok(us(1_000))),
        (10, us(50_000), Ok(us(1_000))),
        (0, us(0), Ok(us(1_000))),
        (0, us(999), Ok(us(1))),
        (0, us(1_000), Err(DropReason::ZeroDelayExcessiveDwell)),
        (0, us(9_000), Err(DropReason::ZeroDelayExcessiveDwell)),
    ];
    for (delay_ms, dwell, expected) in cases {
        assert_eq!(remaining_delay(delay_ms, dwell), expected, "{delay_ms} ms after {dwell:?}");
    }
}
