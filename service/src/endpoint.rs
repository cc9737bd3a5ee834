//! The name of a service as packets carry it.

#[cfg(test)]
mod tests;

use sphinx::RECIPIENT_ID_BYTES;

/// The recipient that stands for an endpoint: its text, padded with zeros (server.md 6.1). None if the text is empty or
/// does not fit.
pub fn recipient(endpoint: &str) -> Option<[u8; RECIPIENT_ID_BYTES]> {
    let mut id = [0; RECIPIENT_ID_BYTES];
    id.get_mut(..endpoint.len()).filter(|text| !text.is_empty())?.copy_from_slice(endpoint.as_bytes());
    Some(id)
}
