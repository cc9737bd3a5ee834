//! Encodings and parser decisions recorded from the reference.

use super::*;
use crate::sizes::{CommandSizes, SessionKind};
use serde_json::Value;
use vectors::hex;

type Outcome = Result<(), String>;

#[test]
fn recorded_codec() {
    for canary in ["/encode/9/bytes", "/encode/37/fields/box_id", "/decode/2/bytes"] {
        vectors::verify("wire_command_codec_vectors.json", canary, |file, tally| {
            for case in file["encode"].as_array().ok_or("no encode cases")? {
                let kind = text(&case["type"]);
                check_encoding(file, case).map_err(|error| format!("encode {kind}: {error}"))?;
                tally.assert_case();
            }
            for case in file["decode"].as_array().ok_or("no decode cases")? {
                let name = text(&case["name"]);
                check_decision(file, case).map_err(|error| format!("decode {name}: {error}"))?;
                tally.assert_case();
            }
            for case in file["replica_sizes"].as_array().ok_or("no replica sizes")? {
                let sizes = CommandSizes::replica(
                    number(&case["user_forward_payload_length"]),
                    number(&case["nike_public_key_size"]),
                );
                same(sizes.replica_command_bytes(), number(&case["max_command_size"]))?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

#[test]
fn recorded_commands_of_the_mixnet() {
    vectors::verify("wire_commands_vectors.json", "/MessageSeq", |file, tally| {
        let payload = hex(&file["MessagePayload"]);
        let packet = hex(&file["SendPacketPayload"]);
        let consensus = hex(&file["ConsensusPayload"]);
        let set = CommandSet::new(SessionKind::Mixnet, CommandSizes::mixnet(packet.len(), payload.len()));
        let epoch = file["GetConsensusEpoch"].as_u64().ok_or("no epoch")?;
        let cases = [
            ("NoOp", Command::NoOp),
            ("Disconnect", Command::Disconnect),
            ("SendPacket", Command::SendPacket { packet: &packet }),
            ("RetrieveMessage", Command::RetrieveMessage { sequence: number(&file["RetrieveMessageSeq"]) as u32 }),
            (
                "Message",
                Command::Message {
                    sequence: number(&file["MessageSeq"]) as u32,
                    surb_id: &[0; SURB_ID_BYTES],
                    payload: &payload,
                },
            ),
            ("GetConsensus", Command::GetConsensus { epoch, padded: false }),
            (
                "Consensus",
                Command::Consensus { error_code: number(&file["ConsensusErrorCode"]) as u8, payload: &consensus },
            ),
        ];
        for (name, command) in cases {
            let recorded = hex(&file[name]);
            let mut encoded = Vec::new();
            set.encode_into(&command, &mut encoded).map_err(|error| error.to_string())?;
            // The recording is unpadded.
            let (start, padding) = encoded.split_at_checked(recorded.len()).ok_or(format!("{name}: too short"))?;
            same(start, &recorded)?;
            same(padding.iter().all(|byte| *byte == 0), true)?;
            same(set.parse(&recorded), Ok(command))?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn recorded_commands_of_the_pki() {
    vectors::verify("pki_wire_commands.json", "/constructed/commands/Vote", |file, tally| {
        let set = CommandSet::new(SessionKind::Pki, CommandSizes::pki(32));
        let mut check = |recorded: &Value, command: Command<'_>| -> Outcome {
            let recorded = hex(recorded);
            same(encode(&set, &command)?, recorded.clone())?;
            same(set.parse(&recorded), Ok(command))?;
            tally.assert_case();
            Ok(())
        };
        let reference = &file["reference"];
        let payload = hex(&reference["ConsensusPayload"]);
        let epoch = reference["GetConsensusEpoch"].as_u64().ok_or("no epoch")?;
        check(&reference["NoOp"], Command::NoOp)?;
        check(&reference["Disconnect"], Command::Disconnect)?;
        check(&reference["GetConsensus"], Command::GetConsensus { epoch, padded: false })?;
        check(&reference["Consensus"], Command::Consensus { error_code: 0, payload: &payload })?;

        let constructed = &file["constructed"];
        let epoch = constructed["epoch"].as_u64().ok_or("no epoch")?;
        let (public_key, payload) = (hex(&constructed["public_key_ed25519"]), hex(&constructed["payload"]));
        let (public_key, payload) = (public_key.as_slice(), payload.as_slice());
        let certified = Certified { epoch, public_key, payload };
        let commands = constructed["commands"].as_object().ok_or("no commands")?;
        for (name, recorded) in commands {
            let command = match name.as_str() {
                "GetConsensus" => Command::GetConsensus { epoch, padded: false },
                "Consensus_gone" => Command::Consensus { error_code: codes::consensus::GONE, payload: &[] },
                "PostDescriptor" => Command::PostDescriptor { epoch, payload },
                "PostDescriptorStatus_conflict" => Command::PostDescriptorStatus { error_code: codes::post::CONFLICT },
                "PostReplicaDescriptor" => Command::PostReplicaDescriptor { epoch, payload },
                "PostReplicaDescriptorStatus_ok" => {
                    Command::PostReplicaDescriptorStatus { error_code: codes::post::OK }
                }
                "Vote" => Command::Vote(certified),
                "Reveal" => Command::Reveal(certified),
                "Sig" => Command::Sig(certified),
                "Cert" => Command::Cert(certified),
                "GetVote" => Command::GetVote { epoch, public_key },
                "VoteStatus_ok" => Command::VoteStatus { error_code: codes::vote::OK },
                "RevealStatus_ok" => Command::RevealStatus { error_code: codes::reveal::OK },
                "SigStatus_ok" => Command::SigStatus { error_code: codes::sig::OK },
                "CertStatus_ok" => Command::CertStatus { error_code: codes::cert::OK },
                other => return Err(format!("unknown case {other}")),
            };
            check(recorded, command).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    });
}

fn set_of(file: &Value, case: &Value) -> Result<CommandSet, String> {
    let (mixnet, replica) = (&file["mixnet_geometry"], &file["replica_geometry"]);
    let reply = number(&mixnet["PayloadTagLength"]) + number(&mixnet["ForwardPayloadLength"]);
    Ok(match text(&case["set"]) {
        "mixnet" => CommandSet::new(SessionKind::Mixnet, CommandSizes::mixnet(number(&mixnet["PacketLength"]), reply)),
        "pki" => {
            let public_key_bytes = number(&file["pki"]["signature_public_key_size"]);
            CommandSet::new(SessionKind::Pki, CommandSizes::pki(public_key_bytes))
        }
        "replica" => CommandSet::new(
            SessionKind::Replica,
            CommandSizes::replica(number(&replica["UserForwardPayloadLength"]), 32),
        ),
        other => return Err(format!("unknown set {other}")),
    })
}

fn check_encoding(file: &Value, case: &Value) -> Outcome {
    let (set, fields) = (set_of(file, case)?, &case["fields"]);
    let bytes_of = |name: &str| if fields[name].is_null() { Vec::new() } else { hex(&fields[name]) };
    let number_of = |name: &str| match &fields[name] {
        Value::String(decimal) => decimal.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    };
    let (payload, public_key) = (bytes_of("payload"), bytes_of("public_key"));
    let (packet, surb_id) = (bytes_of("sphinx_packet"), bytes_of("surb_id"));
    let (ciphertext, envelope_reply) = (bytes_of("ciphertext"), bytes_of("envelope_reply"));
    let (box_id, signature, dek) = (bytes_of("box_id"), bytes_of("signature"), bytes_of("dek"));
    let (sender_public_key, envelope_hash) = (bytes_of("sender_epub_key"), bytes_of("envelope_hash"));
    let (epoch, sequence) = (number_of("epoch"), number_of("sequence") as u32);
    let error_code = number_of("error_code") as u8;
    let certified = Certified { epoch, public_key: &public_key, payload: &payload };
    let command = match text(&case["type"]) {
        "NoOp" => Command::NoOp,
        "Disconnect" => Command::Disconnect,
        "SendPacket" => Command::SendPacket { packet: &packet },
        "SendRetrievePacket" => Command::SendRetrievePacket { packet: &packet },
        "SendRetrievePacketReply" => Command::SendRetrievePacketReply { surb_id: array(&surb_id)?, payload: &payload },
        "RetrieveMessage" => Command::RetrieveMessage { sequence },
        "MessageDelivered" => Command::MessageDelivered { sequence },
        "Message" => Command::Message { sequence, surb_id: array(&surb_id)?, payload: &payload },
        "GetConsensus" => Command::GetConsensus { epoch, padded: fields["padded"] == true },
        "GetConsensus2" => Command::GetConsensus2 { epoch },
        "Consensus" => Command::Consensus { error_code, payload: &payload },
        "Consensus2" => Command::Consensus2 {
            error_code,
            chunk: number_of("chunk_num") as u32,
            chunks: number_of("chunk_total") as u32,
            payload: &payload,
        },
        "PostDescriptor" => Command::PostDescriptor { epoch, payload: &payload },
        "PostDescriptorStatus" => Command::PostDescriptorStatus { error_code },
        "PostReplicaDescriptor" => Command::PostReplicaDescriptor { epoch, payload: &payload },
        "PostReplicaDescriptorStatus" => Command::PostReplicaDescriptorStatus { error_code },
        "Vote" => Command::Vote(certified),
        "Reveal" => Command::Reveal(certified),
        "Cert" => Command::Cert(certified),
        "Sig" => Command::Sig(certified),
        "GetVote" => Command::GetVote { epoch, public_key: &public_key },
        "VoteStatus" => Command::VoteStatus { error_code },
        "RevealStatus" => Command::RevealStatus { error_code },
        "CertStatus" => Command::CertStatus { error_code },
        "SigStatus" => Command::SigStatus { error_code },
        "ReplicaDecoy" => Command::ReplicaDecoy,
        "ReplicaWrite" => {
            Command::ReplicaWrite { box_id: array(&box_id)?, signature: array(&signature)?, payload: &payload }
        }
        "ReplicaWriteReply" => Command::ReplicaWriteReply { error_code },
        "ReplicaMessage" => Command::ReplicaMessage {
            sender_public_key: &sender_public_key,
            dek: array(&dek)?,
            ciphertext: &ciphertext,
        },
        "ReplicaMessageReply" => Command::ReplicaMessageReply {
            error_code,
            envelope_hash: array(&envelope_hash)?,
            replica_id: number_of("replica_id") as u8,
            envelope_reply: &envelope_reply,
        },
        other => return Err(format!("unknown type {other}")),
    };
    let encoded = encode(&set, &command)?;
    same(encoded.len(), number(&case["length"]))?;
    same(set.encoded_len(&command), encoded.len())?;
    same(&encoded, &hex(&case["bytes"]))?;
    same(set.parse(&encoded), Ok(command))
}

fn check_decision(file: &Value, case: &Value) -> Outcome {
    let bytes = hex(&case["bytes"]);
    let parsed = set_of(file, case)?.parse(&bytes);
    let recommended = text(&case["recommended_result"]);
    // Where both are allowed either will do.
    let accepts = recommended.starts_with("ok ") || recommended.contains("or ok");
    let refuses = recommended.starts_with("error") || recommended.contains("or error");
    match parsed {
        Ok(command) => {
            same(accepts, true)?;
            let recorded = text(&case["reference_result"]).strip_prefix("ok ").ok_or("the reference refuses")?;
            same(format!("{:?}", command.id()), recorded.to_string())
        }
        Err(_) => same(refuses, true),
    }
}

fn encode(set: &CommandSet, command: &Command<'_>) -> Result<Vec<u8>, String> {
    let mut encoded = Vec::new();
    set.encode_into(command, &mut encoded).map_err(|error| error.to_string())?;
    Ok(encoded)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{} bytes where {N} were due", bytes.len()))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
}

fn same<T: PartialEq + std::fmt::Debug>(ours: T, recorded: T) -> Outcome {
    if ours == recorded { Ok(()) } else { Err(format!("{ours:02x?} is not the recorded {recorded:02x?}")) }
}
