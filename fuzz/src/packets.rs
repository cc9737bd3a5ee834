//! Sphinx: what arrives in SendPacket, and what is inside.

use crate::storm::Dice;
use crate::{Target, Verdict};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{kem, nike};
use sphinx::path::{Terminal, compose};
use sphinx::plaintext::{BlockSphinxPlaintext, pad_reply};
use sphinx::{
    Commands, Geometry, MixKey, PathHop, RoutingCommand, Sphinx, UnwrapErrorReason, Unwrapped, UnwrappedKind,
    Unwrapper, decrypt_surb_payload, replay_tags,
};
use std::sync::LazyLock;

/// Packets of a NIKE network.
pub const UNWRAP_NIKE: Target =
    Target { name: "sphinx_unwrap_nike", run: |data| unwrap(&NIKE, data), seeds: || packets(&NIKE) };
/// Packets of a KEM network.
pub const UNWRAP_KEM: Target =
    Target { name: "sphinx_unwrap_kem", run: |data| unwrap(&KEM, data), seeds: || packets(&KEM) };
/// The commands of one hop, as they are after decryption.
pub const COMMANDS: Target = Target { name: "sphinx_commands", run: commands, seeds: command_lists };
/// A reply block from a client, used by a service.
pub const SURB: Target = Target { name: "sphinx_surb", run: surb, seeds: || vec![reply(&NIKE).surb] };
/// A reply: two bytes of length, that many of keys, the payload.
pub const SURB_PAYLOAD: Target = Target { name: "sphinx_surb_payload", run: surb_payload, seeds: surb_payloads };
/// A forward payload as a service gets it.
pub const PLAINTEXT: Target = Target { name: "sphinx_plaintext", run: plaintext, seeds: plaintexts };

const HOPS: usize = 3;

/// A network in which all nodes have one key, so that a packet can be followed to its end.
struct Network {
    key: MixKey,
    sphinx: Sphinx,
}

static NIKE: LazyLock<Network> = LazyLock::new(|| {
    let scheme = nike::by_name("x25519").expect("built in");
    let private = scheme.generate(&mut random());
    Network::new(Geometry::nike("x25519", 100, HOPS, true).expect("a sound geometry"), &private)
});

static KEM: LazyLock<Network> = LazyLock::new(|| {
    let scheme = kem::by_name("xwing").expect("built in");
    let private = scheme.generate(&mut random());
    Network::new(Geometry::kem("xwing", 100, HOPS, true).expect("a sound geometry"), &private)
});

fn random() -> SeededRandom {
    SeededRandom::new(&[11; 32])
}

impl Network {
    fn new(geometry: Geometry, private: &[u8]) -> Self {
        let key = MixKey::new(&geometry, private).expect("a fresh key");
        Self { key, sphinx: Sphinx::new(geometry).expect("a sound geometry") }
    }

    fn geometry(&self) -> &Geometry {
        self.sphinx.geometry()
    }

    fn path(&self, hops: usize, surb_id: Option<[u8; 16]>, delay_ms: Option<u32>) -> Vec<PathHop> {
        let nodes = (0..hops).map(|hop| ([hop as u8; 32], self.key.public_key().to_vec()));
        let delays: Vec<u32> = (1..hops).map(|hop| hop as u32 * 100).collect();
        compose(nodes, &delays, &Terminal { recipient: [9; 32], surb_id, delay_ms }).expect("one delay for each hop")
    }

    /// Unwraps up to the end of the path; gives the last hop's result.
    fn follow(&self, packet: &mut [u8]) -> Option<Unwrapped> {
        let mut unwrapper = Unwrapper::new(self.geometry(), 1).expect("a sound geometry");
        for _ in 0..=HOPS {
            let unwrapped = unwrapper.unwrap(&self.key, packet).ok()?;
            if unwrapped.kind != UnwrappedKind::Forward {
                return Some(unwrapped);
            }
        }
        None
    }
}

struct Reply {
    surb: Vec<u8>,
    keys: Vec<u8>,
    packet: Vec<u8>,
}

fn reply(network: &Network) -> Reply {
    let surb = network.sphinx.new_surb(&network.path(HOPS, Some([5; 16]), None), &mut random()).expect("a reply path");
    let payload = pad_reply(network.geometry(), b"reply").expect("short enough");
    let (packet, _) = network.sphinx.new_packet_from_surb(&surb.bytes, &payload).expect("our own reply block");
    Reply { surb: surb.bytes, keys: surb.keys.to_vec(), packet }
}

/// Forward packets of several path lengths, and a reply.
fn packets(network: &Network) -> Vec<Vec<u8>> {
    let surb = reply(network).surb;
    let payload = BlockSphinxPlaintext::build(network.geometry(), Some(&surb), b"request").expect("short enough");
    let forward = (1..=HOPS).map(|hops| {
        let path = network.path(hops, None, Some(10));
        network.sphinx.new_packet(&path, &payload, &mut random()).expect("a good path")
    });
    forward.chain([reply(network).packet]).collect()
}

fn unwrap(network: &Network, data: &[u8]) -> Verdict {
    let mut unwrapper = Unwrapper::new(network.geometry(), 4).expect("a sound geometry");
    let mut packet = data.to_vec();
    let result = unwrapper.unwrap(&network.key, &mut packet);
    check_tag(network, data, &result);
    match &result {
        Ok(unwrapped) => check_unwrapped(unwrapped, data, &packet),
        Err(error) if error.reason <= UnwrapErrorReason::MacMismatch => assert_eq!(packet, data, "changed: {error}"),
        Err(_) => {}
    }
    // Neighbours in a batch change nothing.
    let mut batch = [data.to_vec(), Vec::new(), data.to_vec()];
    let mut results = [result, result, result];
    unwrapper.unwrap_batch(&network.key, &mut batch.each_mut().map(Vec::as_mut_slice), &mut results);
    assert_eq!((results[0], results[2]), (result, result), "another result in a batch");
    assert_eq!(results[1].map_err(|error| error.reason), Err(UnwrapErrorReason::Truncated));
    assert_eq!((&batch[0], &batch[2]), (&packet, &packet), "another packet in a batch");
    if result.is_ok_and(|unwrapped| unwrapped.kind == UnwrappedKind::Forward) {
        network.follow(&mut packet);
    }
    Verdict::of(result.is_ok())
}

fn check_tag(network: &Network, data: &[u8], result: &Result<Unwrapped, sphinx::UnwrapError>) {
    let mut tags = [[0; 32]];
    replay_tags(network.geometry(), &[data], &mut tags);
    let found = match result {
        Ok(unwrapped) => Some(unwrapped.tag),
        Err(error) => error.tag,
    };
    assert!(found.is_none_or(|tag| tag == tags[0]), "two tags for one packet");
}

fn check_unwrapped(unwrapped: &Unwrapped, before: &[u8], packet: &[u8]) {
    assert_eq!(packet.len(), before.len(), "packets keep their length");
    let _ = unwrapped.commands.class();
    match unwrapped.kind {
        UnwrappedKind::Forward => assert!(unwrapped.commands.next_node.is_some(), "forward to nobody"),
        UnwrappedKind::Deliver { payload_offset, payload_len }
        | UnwrappedKind::SurbReply { payload_offset, payload_len } => {
            assert_eq!(payload_offset + payload_len, packet.len(), "the payload is the packet's end");
        }
    }
}

fn command_lists() -> Vec<Vec<u8>> {
    let commands = [
        RoutingCommand::NodeDelay { delay_ms: 250 },
        RoutingCommand::NextNode(sphinx::NextNode { id: [1; 32], mac: [2; 32] }),
        RoutingCommand::Recipient([3; 32]),
        RoutingCommand::SurbReply([4; 16]),
    ];
    let list = |commands: &[RoutingCommand]| commands.iter().flat_map(RoutingCommand::to_bytes).collect::<Vec<_>>();
    let mut lists = vec![list(&commands), list(&commands[..2]), list(&commands[2..]), Vec::new()];
    lists.push([list(&commands[..1]), vec![0; 50]].concat());
    lists
}

fn commands(data: &[u8]) -> Verdict {
    let (one, all) = (Commands::parse(data), RoutingCommand::parse_list(data));
    if let Ok(commands) = &one {
        let _ = commands.class();
    }
    match &all {
        Ok(list) => {
            let written: Vec<u8> = list.iter().flat_map(RoutingCommand::to_bytes).collect();
            let rest = data.strip_prefix(written.as_slice()).expect("the commands as they were written");
            assert!(rest.iter().all(|byte| *byte == 0), "bytes behind the last command");
        }
        Err(_) => assert!(one.is_err(), "accepted as a whole, refused one by one"),
    }
    Verdict::of(one.is_ok())
}

fn surb(data: &[u8]) -> Verdict {
    let payload = pad_reply(NIKE.geometry(), b"reply").expect("short enough");
    let Ok((mut packet, _)) = NIKE.sphinx.new_packet_from_surb(data, &payload) else { return Verdict::Refused };
    assert_eq!(packet.len(), NIKE.geometry().packet_length);
    NIKE.follow(&mut packet);
    Verdict::Accepted
}

fn surb_payloads() -> Vec<Vec<u8>> {
    let Reply { keys, mut packet, .. } = reply(&NIKE);
    let Some(UnwrappedKind::SurbReply { payload_offset, payload_len }) = NIKE.follow(&mut packet).map(|end| end.kind)
    else {
        return Vec::new();
    };
    let payload = &packet[payload_offset..payload_offset + payload_len];
    vec![[&(keys.len() as u16).to_be_bytes()[..], &keys, payload].concat()]
}

fn surb_payload(data: &[u8]) -> Verdict {
    let Some((length, rest)) = data.split_first_chunk() else { return Verdict::Refused };
    let (keys, payload) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    let (mut keys, mut payload) = (keys.to_vec(), payload.to_vec());
    let expected = payload.len().checked_sub(32);
    let accepted = match decrypt_surb_payload(&mut payload, &mut keys) {
        Ok(plaintext) => {
            assert_eq!(Some(plaintext.len()), expected);
            true
        }
        Err(_) => false,
    };
    assert!(keys.iter().all(|byte| *byte == 0), "keys serve once");
    Verdict::of(accepted)
}

fn plaintexts() -> Vec<Vec<u8>> {
    let surb = Dice::new(3).noise(NIKE.geometry().surb_length);
    let build = |surb: Option<&[u8]>| BlockSphinxPlaintext::build(NIKE.geometry(), surb, b"ping").expect("it fits");
    vec![build(None), build(Some(&surb))]
}

fn plaintext(data: &[u8]) -> Verdict {
    let geometry = NIKE.geometry();
    let Ok(plaintext) = BlockSphinxPlaintext::parse(geometry, data) else { return Verdict::Refused };
    let again = BlockSphinxPlaintext::build(geometry, plaintext.surb, plaintext.payload).expect("what was parsed");
    let parsed = BlockSphinxPlaintext::parse(geometry, &again).expect("what was built");
    assert_eq!(parsed, plaintext);
    Verdict::Accepted
}
