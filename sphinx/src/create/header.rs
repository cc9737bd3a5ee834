//! Assembling a header from the hops' elements, keys and commands (sphinx.md 6.1 steps 3 to 6, 7.1 steps 2 to 5).

use super::CreateError;
use super::secrets::HopSecrets;
use crate::commands::{Commands, NEXT_NODE_BYTES, NextNode, RoutingCommand};
use crate::layout::Layout;
use crate::path::PathHop;
use crate::{AD, MAC_BYTES};
use crypto_simd::random::Random;

/// The serialised commands of each hop, without next_node. Besides the reference's checks: a KEM hop's commands must
/// fit what the hop parses (sphinx.md 4.3), and no hop may get what it would refuse.
pub(super) fn check_commands(layout: &Layout, path: &[PathHop]) -> Result<Vec<Vec<u8>>, CreateError> {
    let last = path.len() - 1;
    path.iter()
        .enumerate()
        .map(|(hop, node)| {
            if node.commands.iter().any(|command| matches!(command, RoutingCommand::NextNode(_))) {
                return Err(CreateError::NextNodeGiven { hop });
            }
            let mut bytes = Vec::with_capacity(layout.per_hop_bytes);
            node.commands.iter().for_each(|command| command.write_to(&mut bytes));
            let reserved = if hop < last { NEXT_NODE_BYTES } else { 0 };
            let max = layout.command_bytes - reserved;
            if bytes.len() > max {
                return Err(CreateError::CommandsTooLong { hop, found: bytes.len(), max });
            }
            Commands::parse(&bytes).map_err(|source| CreateError::Commands { hop, source })?;
            Ok(bytes)
        })
        .collect()
}

/// The header's bytes. `random` gives the filler of paths shorter than the longest, which must look like routing
/// information.
pub(super) fn assemble(
    layout: &Layout,
    path: &[PathHop],
    mut commands: Vec<Vec<u8>>,
    hops: &[HopSecrets],
    random: &mut dyn Random,
) -> Vec<u8> {
    let Layout { per_hop_bytes, routing_info_bytes, .. } = *layout;
    let last = hops.len() - 1;
    let streams = keystreams(layout, hops);
    // Hop i sees the bytes from `i * per_hop_bytes` on, followed by the padding that the hops before it produced.
    let mut routing_info = vec![0; routing_info_bytes];
    random.fill(&mut routing_info[hops.len() * per_hop_bytes..]);
    let mut mac = [0; MAC_BYTES];
    for (hop, HopSecrets { element, keys }) in hops.iter().enumerate().rev() {
        let fragment = &mut commands[hop];
        if hop < last {
            RoutingCommand::NextNode(NextNode { id: path[hop + 1].id, mac }).write_to(fragment);
        }
        fragment.resize(per_hop_bytes, 0);
        if hop < last {
            // In NIKE packets this range is empty.
            let ciphertext = &mut fragment[layout.command_bytes..];
            let length = ciphertext.len();
            ciphertext.copy_from_slice(&hops[hop + 1].element[..length]);
        }
        let visible = &mut routing_info[hop * per_hop_bytes..];
        visible[..per_hop_bytes].copy_from_slice(fragment);
        xor(visible, &streams[hop]);
        let padding = match hop.checked_sub(1) {
            Some(before) => &streams[before][padding_start(layout, before)..],
            None => &[],
        };
        mac = keys.header_mac(&[&AD, element, visible, padding]);
    }
    [&AD[..], &hops[0].element, &routing_info, &mac].concat()
}

/// The keystream of each hop: first what covers the routing information that the hop's predecessor left, then, from
/// [`padding_start`] on, the padding that the hop will have appended.
fn keystreams(layout: &Layout, hops: &[HopSecrets]) -> Vec<Vec<u8>> {
    let mut streams: Vec<Vec<u8>> = Vec::with_capacity(hops.len());
    for (hop, HopSecrets { keys, .. }) in hops.iter().enumerate() {
        let mut stream = vec![0; layout.routing_info_bytes + layout.per_hop_bytes];
        keys.xor_header_stream(&mut stream);
        if let Some(before) = streams.last() {
            // Padding of earlier hops is encrypted again by this one.
            xor(&mut stream[padding_start(layout, hop)..], &before[padding_start(layout, hop - 1)..]);
        }
        streams.push(stream);
    }
    streams
}

fn padding_start(layout: &Layout, hop: usize) -> usize {
    layout.routing_info_bytes - hop * layout.per_hop_bytes
}

/// XORs as many bytes as the shorter has.
fn xor(bytes: &mut [u8], other: &[u8]) {
    bytes.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}
