use super::*;
use crate::sizes::{CommandSizes, SessionKind};
use proptest::prelude::*;

const SIZES: CommandSizes = CommandSizes {
    packet_bytes: 400,
    surb_reply_bytes: 198,
    pki_public_key_bytes: 32,
    user_forward_payload_bytes: 700,
    replica_public_key_bytes: 32,
};

fn sets() -> [CommandSet; 3] {
    [SessionKind::Mixnet, SessionKind::Pki, SessionKind::Replica].map(|kind| CommandSet::new(kind, SIZES))
}

#[test]
fn ids_are_unique_and_known() {
    let ids: Vec<u8> = CommandId::all().map(CommandId::byte).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(ids.len(), 30);
    for byte in 0..=255 {
        assert_eq!(CommandId::from_byte(byte).map(CommandId::byte), ids.contains(&byte).then_some(byte));
    }
}

#[test]
fn foreign_commands_are_refused_in_both_directions() {
    for set in sets() {
        for id in CommandId::all().filter(|id| !set.contains(*id)) {
            let mut header = [0; COMMAND_HEADER_BYTES];
            write_header(id, 0, &mut header);
            assert_eq!(set.parse(&header), Err(CommandError::ForeignId { id: id.byte() }));
        }
    }
    let [mixnet, pki, replica] = sets();
    let mut out = vec![1, 2, 3];
    assert!(mixnet.encode_into(&Command::ReplicaDecoy, &mut out).is_err());
    assert!(pki.encode_into(&Command::GetConsensus2 { epoch: 1 }, &mut out).is_err());
    assert!(replica.encode_into(&Command::GetConsensus { epoch: 1, padded: false }, &mut out).is_err());
    assert_eq!(out, [1, 2, 3], "a refused command leaves nothing behind");
}

#[test]
fn impossible_bodies_are_not_encoded() {
    let [mixnet, pki, replica] = sets();
    let mut out = Vec::new();
    let short = Command::Message { sequence: 1, surb_id: &[0; SURB_ID_BYTES], payload: &[0; 197] };
    assert!(mixnet.encode_into(&short, &mut out).is_err());
    assert!(mixnet.encode_into(&Command::SendPacket { packet: &[] }, &mut out).is_err());
    let vote = Command::Vote(Certified { epoch: 1, public_key: &[0; 31], payload: &[] });
    assert!(pki.encode_into(&vote, &mut out).is_err());
    let request = Command::ReplicaMessage { sender_public_key: &[0; 32], dek: &[0; DEK_BYTES], ciphertext: &[0; 3] };
    assert!(replica.encode_into(&request, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn a_packet_is_sent_without_copying_it() {
    let [mixnet, ..] = sets();
    let packet = [7; SIZES.packet_bytes];
    let mut encoded = Vec::new();
    mixnet.encode_into(&Command::SendPacket { packet: &packet }, &mut encoded).expect("a valid command");
    let mut header = [0xff; COMMAND_HEADER_BYTES];
    write_header(CommandId::SendPacket, packet.len() as u32, &mut header);
    assert_eq!(encoded, [&header[..], &packet].concat());
}

#[test]
fn every_role_accepts_only_what_its_session_knows() {
    use SessionKind::{Mixnet, Pki, Replica};
    let acceptors = [
        (Acceptor::Client, Mixnet),
        (Acceptor::GatewayFromClient, Mixnet),
        (Acceptor::NodeIncoming, Mixnet),
        (Acceptor::NodeOutgoing, Mixnet),
        (Acceptor::AuthorityFromAnonymous, Pki),
        (Acceptor::AuthorityFromNode, Pki),
        (Acceptor::AuthorityFromAuthority, Pki),
        (Acceptor::AuthorityFromReplica, Pki),
        (Acceptor::Courier, Replica),
        (Acceptor::ReplicaOutgoing, Replica),
        (Acceptor::ReplicaIncoming, Replica),
    ];
    for (acceptor, kind) in acceptors {
        assert!(acceptor.accepted().iter().all(|id| id.is_in(kind)), "{acceptor:?}");
        assert_eq!(acceptor.verdict(CommandId::Disconnect), Verdict::Close);
    }
    assert_eq!(Acceptor::NodeIncoming.verdict(CommandId::SendPacket), Verdict::Accept);
    assert_eq!(Acceptor::NodeOutgoing.verdict(CommandId::NoOp), Verdict::Close);
    assert_eq!(Acceptor::Client.verdict(CommandId::Consensus), Verdict::Close);
    assert_eq!(Acceptor::Courier.verdict(CommandId::ReplicaWrite), Verdict::Ignore);
    assert_eq!(Acceptor::AuthorityFromReplica.verdict(CommandId::GetConsensus), Verdict::Close);
}

proptest! {
    /// Whatever parses, encodes to something that parses to the same command.
    #[test]
    fn parsing_never_panics(id in 0u8..40, length in 0u32..300, body in prop::collection::vec(any::<u8>(), 0..300), zeros in 0usize..40) {
        let mut bytes = vec![id, 0];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes.resize(bytes.len() + zeros, 0);
        let whole = [&[id, 0][..], &(body.len() as u32).to_be_bytes(), &body].concat();
        for set in sets() {
            let _ = set.parse(&bytes);
            for end in 0..COMMAND_HEADER_BYTES.min(bytes.len()) {
                prop_assert!(set.parse(&bytes[..end]).is_err());
            }
            if let Ok(command) = set.parse(&whole) {
                let mut encoded = Vec::new();
                set.encode_into(&command, &mut encoded).expect("what parses can be encoded");
                prop_assert_eq!(encoded.len(), set.encoded_len(&command));
                prop_assert_eq!(set.parse(&encoded).expect("a valid command").id(), command.id());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for set in sets() {
            let _ = set.parse(&bytes);
        }
    }
}
