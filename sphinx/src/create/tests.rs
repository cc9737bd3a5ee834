use super::header::{assemble, check_commands};
use super::secrets::HopSecrets;
use super::{CreateError, Sphinx};
use crate::commands::RoutingCommand;
use crate::geometry::Geometry;
use crate::keys::PacketKeys;
use crate::layout::Layout;
use crate::path::PathHop;
use crate::testing::{DERIVED, Script, geometry, items, path, same, text};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{LookupError, nike};
use serde_json::Value;
use vectors::hex;

/// Elements and shared secrets are recorded, so that this needs no scheme to be built in.
#[test]
fn assembles_the_recorded_headers() {
    for file in DERIVED {
        vectors::verify(file, "/tests/0/header", |value, tally| {
            let layout = Layout::new(&geometry(value)?).map_err(|errors| format!("{errors:?}"))?;
            for case in items(&value["tests"]) {
                let path = path(case);
                let hops: Vec<HopSecrets> = items(&case["hops"])
                    .iter()
                    .map(|hop| HopSecrets {
                        element: hex(&hop["group_element_or_ct"]),
                        keys: PacketKeys::new(&hex(&hop["shared_secret"])),
                    })
                    .collect();
                let commands = check_commands(&layout, &path).map_err(|error| error.to_string())?;
                let header = assemble(&layout, &path, commands, &hops, &mut Script(hex(&case["filler"])));
                same("header", &header, &hex(&case["header"]))?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

#[test]
fn makes_the_recorded_packets_and_reply_blocks() {
    for file in DERIVED {
        if vectors::load(file).is_some_and(|value| !is_built_in(&value)) {
            println!("vectors {file}: excepted: its scheme is not built in");
            continue;
        }
        vectors::verify(file, "/tests/0/packets/0", |value, tally| {
            let sphinx = Sphinx::new(geometry(value)?).map_err(|error| error.to_string())?;
            for case in items(&value["tests"]) {
                let mut random = Script(randomness(text(&value["scheme"]), case));
                let packet = if case["surb"].is_string() {
                    let surb = sphinx.new_surb(&path(case), &mut random).map_err(|error| error.to_string())?;
                    same("reply block", &surb.bytes, &hex(&case["surb"]))?;
                    same("reply block keys", &*surb.keys, &hex(&case["surb_keys"]))?;
                    let (packet, first) = sphinx
                        .new_packet_from_surb(&surb.bytes, &hex(&case["payload"]))
                        .map_err(|error| error.to_string())?;
                    same("first hop", &first.to_vec(), &hex(&case["hops"][0]["node_id"]))?;
                    packet
                } else {
                    let payload = hex(&case["payload"]);
                    sphinx.new_packet(&path(case), &payload, &mut random).map_err(|error| error.to_string())?
                };
                same("packet", &packet, &hex(&case["packets"][0]))?;
                same("randomness left", &random.0.len(), &0)?;
                tally.assert_case();
            }
            Ok(())
        });
    }
}

/// What a case draws, in our order.
fn randomness(scheme: &str, case: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut draw = |value: &Value| {
        if value.is_string() {
            bytes.extend(hex(value));
        }
    };
    draw(&case["surb_key_payload"]);
    draw(&case["ephemeral_private"]);
    let in_component_order = match scheme {
        "XWING" => ["mlkem_m", "x25519_ephemeral"],
        _ => ["x25519_ephemeral", "mlkem_m"],
    };
    for hop in items(&case["hops"]) {
        in_component_order.iter().for_each(|name| draw(&hop["encaps_randomness"][name]));
    }
    draw(&case["filler"]);
    bytes
}

fn is_built_in(file: &Value) -> bool {
    let not_built_in = |error| matches!(error, LookupError::NotBuiltIn { .. });
    text(&file["kind"]) == "KEM" || !nike::by_name(text(&file["scheme"])).is_err_and(not_built_in)
}

fn sphinx_of_two_hops() -> (Sphinx, Vec<PathHop>) {
    let geometry = Geometry::nike("x25519", 8, 2, false).expect("a good geometry");
    let scheme = nike::by_name("x25519").expect("built in");
    let mut random = SeededRandom::new(&[1; 32]);
    let path = [[1; 32], [2; 32]]
        .map(|id| {
            let public_key = scheme.public_key(&scheme.generate(&mut random)).expect("a good key");
            PathHop { id, public_key, commands: Vec::new() }
        })
        .to_vec();
    (Sphinx::new(geometry).expect("built in"), path)
}

fn error_of(change: impl FnOnce(&mut Vec<PathHop>)) -> CreateError {
    let (sphinx, mut path) = sphinx_of_two_hops();
    change(&mut path);
    sphinx.new_packet(&path, &[0; 8], &mut SeededRandom::new(&[2; 32])).expect_err("must be refused")
}

#[test]
fn refuses_paths_that_do_not_fit() {
    assert_eq!(error_of(Vec::clear), CreateError::PathLength { hops: 0, max: 2 });
    assert_eq!(error_of(|path| path.push(path[0].clone())), CreateError::PathLength { hops: 3, max: 2 });
}

#[test]
fn refuses_commands_that_do_not_fit() {
    let delay = RoutingCommand::NodeDelay { delay_ms: 1 };
    let found = error_of(|path| path[0].commands = vec![delay; 4]);
    assert_eq!(found, CreateError::CommandsTooLong { hop: 0, found: 20, max: 17 });
    let found = error_of(|path| path[1].commands = vec![delay; 17]);
    assert_eq!(found, CreateError::CommandsTooLong { hop: 1, found: 85, max: 82 });
    let next = crate::NextNode { id: [0; 32], mac: [0; 32] };
    let found = error_of(|path| path[1].commands = vec![RoutingCommand::NextNode(next)]);
    assert_eq!(found, CreateError::NextNodeGiven { hop: 1 });
}

#[test]
fn kem_commands_are_limited_to_what_the_hop_parses() {
    let geometry = Geometry::kem("XWING", 8, 1, false).expect("a good geometry");
    let layout = Layout::new(&geometry).expect("a good geometry");
    let commands = vec![RoutingCommand::NodeDelay { delay_ms: 1 }; 17];
    let path = [PathHop { id: [0; 32], public_key: Vec::new(), commands }];
    let found = check_commands(&layout, &path).expect_err("must be refused");
    assert_eq!(found, CreateError::CommandsTooLong { hop: 0, found: 85, max: 82 });
}

#[test]
fn refuses_degenerate_keys_and_wrong_payloads() {
    assert!(matches!(error_of(|path| path[1].public_key.fill(0)), CreateError::PublicKey { hop: 1, .. }));
    assert!(matches!(error_of(|path| path[0].public_key.clear()), CreateError::PublicKey { hop: 0, .. }));
    let (sphinx, path) = sphinx_of_two_hops();
    let mut random = SeededRandom::new(&[2; 32]);
    let found = sphinx.new_packet(&path, &[0; 9], &mut random).expect_err("must be refused");
    assert_eq!(found, CreateError::PayloadLength { found: 9, expected: 8 });
    assert_eq!(sphinx.new_surb(&path, &mut random).err(), Some(CreateError::NotAReplyPath));
    let found = sphinx.new_packet_from_surb(&[0; 7], &[]).expect_err("must be refused");
    assert_eq!(found, CreateError::SurbLength { found: 7, expected: sphinx.geometry().surb_length });
}
