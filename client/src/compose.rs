//! A packet with its reply block (client.md 13.2, 13.4).

#[cfg(test)]
mod tests;

use crate::awaited::SurbId;
use crate::path::{Hop, RoundTrip};
use crypto_simd::random::Random;
use secret_memory::within;
use sphinx::path::{Terminal, compose};
use sphinx::plaintext::{BlockSphinxPlaintext, PlaintextError};
use sphinx::{CreateError, NODE_ID_BYTES, PathHop, RECIPIENT_ID_BYTES, SURB_ID_BYTES, Sphinx};
use zeroize::Zeroizing;

/// Bytes of the id under which a gateway keeps a client's replies: hexadecimal text of 16 random bytes.
pub const QUEUE_ID_BYTES: usize = RECIPIENT_ID_BYTES;

/// Why there is no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// An endpoint that no recipient can be.
    #[error("an endpoint of {0} bytes; 1 to {RECIPIENT_ID_BYTES} are possible")]
    Endpoint(usize),
    /// The payload does not fit.
    #[error(transparent)]
    Payload(#[from] PlaintextError),
    /// The packet cannot be made.
    #[error("packet: {0}")]
    Create(#[from] CreateError),
}

/// A packet that is ready to be sent, and what opens its reply.
pub struct Composed {
    /// The packet.
    pub packet: Vec<u8>,
    /// The id of its reply block.
    pub surb_id: SurbId,
    /// What opens the reply.
    pub surb_keys: Zeroizing<Vec<u8>>,
}

/// The recipient that an endpoint's name stands for.
pub fn recipient(endpoint: &str) -> Result<[u8; RECIPIENT_ID_BYTES], ComposeError> {
    let mut recipient = [0; RECIPIENT_ID_BYTES];
    match recipient.get_mut(..endpoint.len()).filter(|place| !place.is_empty()) {
        Some(place) => place.copy_from_slice(endpoint.as_bytes()),
        None => return Err(ComposeError::Endpoint(endpoint.len())),
    }
    Ok(recipient)
}

/// A packet over that round trip to that recipient; the reply comes to `queue_id`. Shorter payloads are padded.
pub fn packet(
    sphinx: &Sphinx,
    trip: &RoundTrip,
    recipient: [u8; RECIPIENT_ID_BYTES],
    queue_id: [u8; QUEUE_ID_BYTES],
    payload: &[u8],
    random: &mut dyn Random,
) -> Result<Composed, ComposeError> {
    let mut surb_id = [0; SURB_ID_BYTES];
    random.fill(&mut surb_id);
    let back = Terminal { recipient: queue_id, surb_id: Some(surb_id), delay_ms: None };
    let back = hops(&trip.reply, &back)?;
    let surb = within(|| sphinx.new_surb(&back, random))?;
    let payload = BlockSphinxPlaintext::build(sphinx.geometry(), Some(&surb.bytes), payload)?;
    let service_delay_ms = trip.forward.last().and_then(|hop| hop.delay_ms);
    let there = hops(&trip.forward, &Terminal { recipient, surb_id: None, delay_ms: service_delay_ms })?;
    let packet = sphinx.new_packet(&there, &payload, random)?;
    Ok(Composed { packet, surb_id, surb_keys: surb.keys })
}

/// What Sphinx makes a header of: the last hop's delay stands in `terminal`.
fn hops(way: &[Hop], terminal: &Terminal) -> Result<Vec<PathHop>, CreateError> {
    let before_last = way.len().saturating_sub(1);
    let delays_ms: Vec<u32> = way.iter().take(before_last).map(|hop| hop.delay_ms.unwrap_or(0)).collect();
    let nodes = way.iter().map(|hop| -> ([u8; NODE_ID_BYTES], Vec<u8>) { (hop.id, hop.key.clone()) });
    compose(nodes, &delays_ms, terminal).ok_or(CreateError::PathLength { hops: way.len(), max: way.len() })
}
