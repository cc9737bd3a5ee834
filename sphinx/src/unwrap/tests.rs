use super::{MixKey, UnwrapError, UnwrapErrorReason, Unwrapped, UnwrappedKind, Unwrapper, replay_tags};
use crate::commands::{Commands, RoutingCommand};
use crate::create::Sphinx;
use crate::geometry::Geometry;
use crate::keys::PacketKeys;
use crate::layout::Layout;
use crate::scheme::{Scheme, SetupError};
use crate::surb::decrypt_surb_payload;
use crate::testing::{DERIVED, array, geometry, items, same, text};
use crypto_simd::schemes::LookupError;
use serde_json::Value;
use vectors::hex;

/// Unwraps one packet and checks that the tag is the one of [`replay_tags`].
fn unwrap(geometry: &Geometry, private: &[u8], packet: &mut [u8]) -> Result<Result<Unwrapped, UnwrapError>, String> {
    let key = MixKey::new(geometry, private).map_err(|error| error.to_string())?;
    let mut unwrapper = Unwrapper::new(geometry, 1).map_err(|error| error.to_string())?;
    let mut tags = [[0; 32]];
    replay_tags(geometry, &[packet], &mut tags);
    let result = unwrapper.unwrap(&key, packet);
    let tag = match &result {
        Ok(unwrapped) => Some(unwrapped.tag),
        Err(error) => error.tag,
    };
    if let Some(tag) = tag {
        same("replay tag", &tag, &tags[0])?;
    }
    Ok(result)
}

fn commands(list: &[Value]) -> Result<Commands, String> {
    let bytes: Vec<u8> = list.iter().flat_map(hex).collect();
    Commands::parse(&bytes).map_err(|error| error.to_string())
}

/// The payload that a terminal hop delivers.
fn delivered(kind: UnwrappedKind, packet: &mut [u8]) -> Result<&mut [u8], String> {
    match kind {
        UnwrappedKind::Deliver { payload_offset, payload_len }
        | UnwrappedKind::SurbReply { payload_offset, payload_len } => {
            Ok(&mut packet[payload_offset..payload_offset + payload_len])
        }
        UnwrappedKind::Forward => Err("forwarded by the last hop".into()),
    }
}

#[test]
fn unwraps_the_reference_chains() {
    for canary in ["/0/Packets/0", "/4/Packets/3", "/9/Payload", "/7/Surb"] {
        vectors::verify("sphinx_vectors.json", canary, |value, tally| {
            for case in items(value) {
                reference_chain(case)?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

fn reference_chain(case: &Value) -> Result<(), String> {
    let payload = hex(&case["Payload"]);
    let surb = hex(&case["Surb"]);
    let geometry = Geometry::nike("x25519", payload.len(), 5, !surb.is_empty()).map_err(|error| error.to_string())?;
    let (packets, path) = (items(&case["Packets"]), items(&case["Path"]));
    let mut packet = hex(&packets[0]);
    if !surb.is_empty() {
        let sphinx = Sphinx::new(geometry.clone()).map_err(|error| error.to_string())?;
        let made = sphinx.new_packet_from_surb(&surb, &payload).map_err(|error| error.to_string())?;
        same("packet of the reply block", &made, &(packet.clone(), array(&path[0]["ID"])))?;
    }
    for (hop, node) in items(&case["Nodes"]).iter().enumerate() {
        same("packet", &packet, &hex(&packets[hop]))?;
        let unwrapped =
            unwrap(&geometry, &hex(&node["PrivateKey"]), &mut packet)?.map_err(|error| error.to_string())?;
        let given = Commands { next_node: None, ..unwrapped.commands };
        same("commands", &given, &commands(items(&path[hop]["Commands"]))?)?;
        match unwrapped.commands.next_node {
            Some(next) => same("next hop", &next.id, &array(&path[hop + 1]["ID"]))?,
            None => {
                same("hops", &(hop + 1), &path.len())?;
                let content = delivered(unwrapped.kind, &mut packet)?;
                let mut keys = hex(&case["SurbKeys"]);
                let content = match unwrapped.kind {
                    UnwrappedKind::SurbReply { .. } => {
                        let opened = decrypt_surb_payload(content, &mut keys).map_err(|error| error.to_string())?;
                        same("wiped keys", &keys.iter().all(|byte| *byte == 0), &true)?;
                        opened
                    }
                    _ => content,
                };
                same("payload", &content, &payload.as_slice())?;
            }
        }
    }
    Ok(())
}

#[test]
fn accepts_and_refuses_the_recorded_cases() {
    for canary in ["/tests/0/result_hex", "/tests/3/replay_tag", "/tests/20/result_hex", "/tests/8/packet"] {
        vectors::verify("derived/sphinx_unwrap_cases_x25519.json", canary, |value, tally| {
            let geometry = Geometry::nike("x25519", 103, 5, false).map_err(|error| error.to_string())?;
            for case in items(&value["tests"]) {
                recorded_case(&geometry, case).map_err(|error| format!("{}: {error}", text(&case["name"])))?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

fn recorded_case(geometry: &Geometry, case: &Value) -> Result<(), String> {
    let received = hex(&case["packet"]);
    let mut packet = received.clone();
    let result = unwrap(geometry, &hex(&case["private_key"]), &mut packet)?;
    let outcome = match &result {
        Ok(Unwrapped { kind: UnwrappedKind::Forward, .. }) => "ok_forward",
        Ok(_) => "ok",
        Err(error) => name(error.reason),
    };
    same("outcome", &outcome, &text(&case["expect"]))?;
    let tag = result.map_or_else(|error| error.tag, |unwrapped| Some(unwrapped.tag));
    if let Some(returned) = case["replay_tag_returned"].as_bool() {
        same("tag returned", &tag.is_some(), &returned)?;
    }
    if case["replay_tag"].is_string() {
        same("tag", &tag, &Some(array(&case["replay_tag"])))?;
    }
    match result {
        Ok(unwrapped) => {
            let layout = Layout::new(geometry).map_err(|errors| SetupError::from(errors).to_string())?;
            let recorded = recorded_commands(&case["commands"], &packet[layout.mac()])?;
            same("commands", &unwrapped.commands, &recorded)?;
            let found = match unwrapped.kind {
                UnwrappedKind::Forward => packet,
                kind => delivered(kind, &mut packet)?.to_vec(),
            };
            if case["result_hex"].is_string() {
                same("result", &found, &hex(&case["result_hex"]))?;
            }
            Ok(())
        }
        Err(error) if error.reason <= UnwrapErrorReason::MacMismatch => same("packet", &packet, &received),
        Err(_) => Ok(()),
    }
}

/// The cases record next_node without its MAC, which is the one that the packet now carries.
fn recorded_commands(list: &Value, packet_mac: &[u8]) -> Result<Commands, String> {
    let mut bytes = Vec::new();
    for command in items(list).iter().map(hex) {
        bytes.extend_from_slice(&command);
        if command.first() == Some(&0x01) {
            bytes.extend_from_slice(packet_mac);
        }
    }
    Commands::parse(&bytes).map_err(|error| error.to_string())
}

/// The recorded cases' names.
fn name(reason: UnwrapErrorReason) -> &'static str {
    match reason {
        UnwrapErrorReason::Truncated => "truncated",
        UnwrapErrorReason::UnknownVersion => "unknown_version",
        UnwrapErrorReason::BadElement | UnwrapErrorReason::DegenerateElement => "reject",
        UnwrapErrorReason::MacMismatch => "mac_mismatch",
        UnwrapErrorReason::InvalidCommand => "invalid_command",
        UnwrapErrorReason::DuplicateNextNode => "duplicate_next_node",
        UnwrapErrorReason::DuplicateSurbReply => "duplicate_surb_reply",
        UnwrapErrorReason::TruncatedPayload => "truncated_payload",
        UnwrapErrorReason::PayloadTagInvalid => "payload_tag_invalid",
    }
}

/// Where a scheme is not built in, its shared secrets and elements are taken from the file.
#[test]
fn unwraps_the_derived_chains() {
    for file in DERIVED {
        vectors::verify(file, "/tests/0/packets/0", |value, tally| {
            let geometry = geometry(value)?;
            let built_in = match Scheme::of(&geometry) {
                Ok(_) => true,
                Err(LookupError::NotBuiltIn { .. }) => false,
                Err(error) => return Err(error.to_string()),
            };
            if !built_in {
                println!("vectors {file}: shared secrets and elements are taken from the file");
            }
            for case in items(&value["tests"]) {
                derived_chain(&geometry, built_in, case)?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

fn derived_chain(geometry: &Geometry, built_in: bool, case: &Value) -> Result<(), String> {
    let layout = Layout::new(geometry).map_err(|errors| SetupError::from(errors).to_string())?;
    let (hops, packets) = (items(&case["hops"]), items(&case["packets"]));
    let mut packet = hex(&packets[0]);
    for (index, hop) in hops.iter().enumerate() {
        same("packet", &packet, &hex(&packets[index]))?;
        same("element", &packet[layout.element()].to_vec(), &hex(&hop["group_element_or_ct"]))?;
        same("routing information", &packet[layout.routing_info()].to_vec(), &hex(&hop["routing_info_at_hop"]))?;
        same("MAC", &packet[layout.mac()].to_vec(), &hex(&hop["mac"]))?;
        let unwrapped = if built_in {
            unwrap(geometry, &hex(&hop["private"]), &mut packet)?.map_err(|error| error.to_string())?
        } else {
            let keys = PacketKeys::new(&hex(&hop["shared_secret"]));
            let mut scratch = vec![0; layout.routing_info_bytes + layout.per_hop_bytes];
            let mut tags = [[0; 32]];
            replay_tags(geometry, &[&packet], &mut tags);
            let mac = keys.header_mac(&[&packet[layout.authenticated()]]);
            same("computed MAC", &mac, &array(&hop["mac"]))?;
            let unwrapped = super::open::open(&layout, &keys, tags[0], &mut packet, &mut scratch)
                .map_err(|reason| reason.to_string())?;
            if let Some(next) = hops.get(index + 1) {
                packet[layout.element()].copy_from_slice(&hex(&next["group_element_or_ct"]));
            }
            unwrapped
        };
        same("tag", &unwrapped.tag, &array(&hop["replay_tag"]))?;
        let fragment = hex(&hop["plaintext_fragment"]);
        let recorded = Commands::parse(&fragment[..layout.command_bytes]).map_err(|error| error.to_string())?;
        same("commands", &unwrapped.commands, &recorded)?;
        let listed = RoutingCommand::parse_list(&hex(&hop["commands"])).map_err(|error| error.to_string())?;
        same("forwards", &unwrapped.commands.next_node.is_some(), &(index + 1 < hops.len()))?;
        same("has commands", &listed.is_empty(), &false)?;
        if index + 1 == hops.len() {
            last_hop(unwrapped.kind, &mut packet, case)?;
        }
    }
    Ok(())
}

fn last_hop(kind: UnwrappedKind, packet: &mut [u8], case: &Value) -> Result<(), String> {
    let content = delivered(kind, packet)?;
    let payload = hex(&case["payload"]);
    if !case["surb_keys"].is_string() {
        return same("payload", &content.to_vec(), &payload);
    }
    same("delivered", &content.to_vec(), &hex(&case["final_payload_before_surb_decrypt"]))?;
    let mut keys = hex(&case["surb_keys"]);
    let opened = decrypt_surb_payload(content, &mut keys).map_err(|error| error.to_string())?;
    same("reply", &opened.to_vec(), &payload)
}
