//! One packet whose keys are known and whose MAC has held (sphinx.md 6.3 steps 8 to 13).

use super::{UnwrapErrorReason, Unwrapped, UnwrappedKind};
use crate::commands::Commands;
use crate::keys::PacketKeys;
use crate::layout::Layout;
use crate::{PAYLOAD_TAG_BYTES, REPLAY_TAG_BYTES};
use crypto_simd::symmetric::equal;

/// Decrypts header and payload. `header` is scratch for the routing information and one more fragment. A packet to
/// be forwarded is complete afterwards, but for the element of NIKE packets.
pub(super) fn open(
    layout: &Layout,
    keys: &PacketKeys,
    tag: [u8; REPLAY_TAG_BYTES],
    packet: &mut [u8],
    header: &mut [u8],
) -> Result<Unwrapped, UnwrapErrorReason> {
    let (routing_info, appended) = header.split_at_mut(layout.routing_info_bytes);
    routing_info.copy_from_slice(&packet[layout.routing_info()]);
    appended.fill(0);
    keys.xor_header_stream(header);
    // Commands before the payload, so that a bad packet costs little.
    let commands = Commands::parse(&header[..layout.command_bytes])?;
    keys.sprp().decrypt(&mut packet[layout.header_bytes..]);
    let kind = match commands.next_node {
        Some(next) => {
            let (fragment, routing_info) = header.split_at(layout.per_hop_bytes);
            packet[layout.routing_info()].copy_from_slice(routing_info);
            packet[layout.mac()].copy_from_slice(&next.mac);
            let ciphertext = &fragment[layout.command_bytes..];
            if !ciphertext.is_empty() {
                packet[layout.element()].copy_from_slice(ciphertext);
            }
            UnwrappedKind::Forward
        }
        None => terminal(layout, &commands, packet)?,
    };
    Ok(Unwrapped { tag, commands, kind })
}

fn terminal(layout: &Layout, commands: &Commands, packet: &[u8]) -> Result<UnwrappedKind, UnwrapErrorReason> {
    let payload_offset = layout.header_bytes;
    let payload = &packet[payload_offset..];
    let Some((payload_tag, content)) = payload.split_first_chunk::<PAYLOAD_TAG_BYTES>() else {
        return Err(UnwrapErrorReason::TruncatedPayload);
    };
    if commands.surb_reply.is_some() {
        return Ok(UnwrappedKind::SurbReply { payload_offset, payload_len: payload.len() });
    }
    if !equal(payload_tag, &[0; PAYLOAD_TAG_BYTES]) {
        return Err(UnwrapErrorReason::PayloadTagInvalid);
    }
    let payload_offset = payload_offset + PAYLOAD_TAG_BYTES;
    Ok(UnwrappedKind::Deliver { payload_offset, payload_len: content.len() })
}
