//! The transport parameters as the reference's, where QUIC's library would say something else (wire.md 8.3).
//!
//! The library decides itself about a few of them. They can be read from bytes, though, and so they are: written, changed
//! and read again.

use super::{ACK_DELAY_MS_MAX, CONNECTION_ID_LIMIT};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{Side, crypto};
use std::sync::Arc;

/// Identifiers of RFC 9000, 18.2.
const MAX_ACK_DELAY: u64 = 0x0b;
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
/// Of a draft that the reference does not have (draft-ietf-quic-ack-frequency).
const MIN_ACK_DELAY: u64 = 0xff04_de1b;

/// A dialler whose parameters are the reference's.
pub struct Dialler(pub Arc<dyn crypto::ClientConfig>);

/// A listener whose parameters are the reference's.
pub struct Listener(pub Arc<dyn crypto::ServerConfig>);

impl crypto::ClientConfig for Dialler {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, quinn_proto::ConnectError> {
        let inner = Arc::clone(&self.0);
        match as_the_reference(params, Side::Server) {
            Some(ours) => inner.start_session(version, server_name, &ours),
            None => inner.start_session(version, server_name, params),
        }
    }
}

impl crypto::ServerConfig for Listener {
    fn initial_keys(
        &self,
        version: u32,
        dst_cid: &quinn_proto::ConnectionId,
    ) -> Result<crypto::Keys, crypto::UnsupportedVersion> {
        self.0.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &quinn_proto::ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.0.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn crypto::Session> {
        let inner = Arc::clone(&self.0);
        match as_the_reference(params, Side::Client) {
            Some(ours) => inner.start_session(version, &ours),
            None => inner.start_session(version, params),
        }
    }
}

/// The parameters with what the reference says in place of what the library says. None if they cannot be read by `reader`.
fn as_the_reference(params: &TransportParameters, reader: Side) -> Option<TransportParameters> {
    let mut written = Vec::with_capacity(256);
    params.write(&mut written);
    let changed = changed(&written)?;
    TransportParameters::read(reader, &mut changed.as_slice()).ok()
}

/// The same on bytes.
pub fn changed(written: &[u8]) -> Option<Vec<u8>> {
    let mut rest = written;
    let mut changed = Vec::with_capacity(written.len() + 16);
    while !rest.is_empty() {
        let before = rest;
        let id = take_number(&mut rest)?;
        let length = usize::try_from(take_number(&mut rest)?).ok()?;
        rest = rest.get(length..)?;
        if ![MAX_ACK_DELAY, ACTIVE_CONNECTION_ID_LIMIT, MIN_ACK_DELAY].contains(&id) {
            changed.extend_from_slice(&before[..before.len() - rest.len()]);
        }
    }
    for (id, value) in [(MAX_ACK_DELAY, ACK_DELAY_MS_MAX), (ACTIVE_CONNECTION_ID_LIMIT, CONNECTION_ID_LIMIT)] {
        // Numbers below 64 are one byte each.
        changed.extend([id as u8, 1, value]);
    }
    Some(changed)
}

/// A number of variable length (RFC 9000, 16).
pub fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let first = *rest.first()?;
    let length = 1 << (first >> 6);
    let bytes = rest.get(..length)?;
    *rest = &rest[length..];
    Some(bytes[1..].iter().fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte)))
}
