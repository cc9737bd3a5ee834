//! Everything about a connection that somebody on its way, or its peer, sees: versions, TLS, the certificate, sizes, times.
//!
//! All of it is as the reference's (wire.md 8.3) as far as QUIC's library lets; docs/internals/quic.md lists what is not.
//! The endpoint of shards uses it, and whoever speaks QUIC through the crate `quinn`:
//!
//! * a dialler: [`endpoint_config`] of [`Side::Client`], [`client_config`], connect with [`server_name`], open one
//!   bidirectional stream and write to it at once;
//! * a listener: [`endpoint_config`] of [`Side::Server`], [`server_config`], take the peer's first bidirectional stream within
//!   [`STREAM_WAIT`], or close with [`END_CODE`] and [`NO_STREAM`].
//!
//! Both close with [`END_CODE`] and no reason, and take a peer's [`END_CODE`] for the end of its stream, after what has
//! arrived before it.

mod certificate;
mod parameters;
#[cfg(test)]
mod tests;
mod verifier;
mod warm_up;

use parameters::{Dialler, Listener};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, ConnectionId, EndpointConfig, MtuDiscoveryConfig, NoneTokenLog, NoneTokenStore,
    RandomConnectionIdGenerator, ServerConfig, Side, TransportConfig, ValidationTokenConfig, VarInt,
};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The protocol that both sides claim to speak, so that it looks like what everybody speaks.
pub const ALPN: &[u8] = b"h3";
/// QUIC as in RFC 9000. The reference offers version 2 as well and speaks 1.
pub const VERSION: u32 = 1;
/// The code with which a connection ends: what was said is said.
pub const END_CODE: VarInt = VarInt::from_u32(0);
/// The reason for which a listener ends a connection without a stream.
pub const NO_STREAM: &[u8] = b"no stream opened";
/// How long a listener waits for a dialler's stream.
pub const STREAM_WAIT: Duration = Duration::from_secs(30);
/// How long a connection lives without a sign of its peer.
pub const IDLE: Duration = Duration::from_secs(30);
/// After so long without a packet a sign of life goes out. The reference has none: its links over QUIC die of silence.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The first datagrams, and the smallest path that is served.
pub const FIRST_DATAGRAM_BYTES: u16 = 1280;
/// The largest datagram.
pub const DATAGRAM_BYTES_MAX: u16 = 1452;
/// What a peer may send of a stream before we have read it.
pub const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// What a peer may send of all streams before we have read it.
pub const WINDOW_BYTES: u32 = 768 << 10;
/// What we hold that the peer has not acknowledged.
pub const SEND_WINDOW_BYTES: u64 = 1 << 20;
/// How many streams of a kind a peer may open. One is used.
pub const STREAMS_MAX: u32 = 100;
/// The length of a listener's connection ids. A dialler's are empty.
pub const LISTENER_ID_BYTES: usize = 4;

const ACK_DELAY_MS_MAX: u8 = 26;
const CONNECTION_ID_LIMIT: u8 = 4;
/// The reference's first guess of a round trip.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);
/// Lengths of the id that a dialler makes up for its first packet.
const FIRST_ID_BYTES_MIN: u8 = 8;
const FIRST_ID_BYTES_MAX: u8 = 20;
/// Connections that are neither accepted nor refused, where [`server_config`] goes to `quinn`.
const INCOMING_MAX: usize = 256;
/// What such a connection may send meanwhile, besides its first datagram.
const INCOMING_BYTES_MAX: u64 = 8 << 10;

/// Why there is no QUIC. None of it depends on anybody outside the process.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers for QUIC's certificate")]
    Random,
    /// Its own key has no public half, or does not sign.
    #[error("the library of TLS does not sign with the Ed25519 key that it was given")]
    NoPublicKey,
    /// The library of TLS refuses the certificate.
    #[error("the library of TLS refuses the certificate made for QUIC: {0}")]
    Certificate(#[source] rustls::Error),
    /// The library of TLS refuses its settings.
    #[error("the library of TLS refuses its settings for QUIC: {0}")]
    Settings(String),
}

/// How much memory connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// What a peer may send of its stream before we have read it.
    pub stream_bytes: u32,
    /// What a peer may send in all before we have read it.
    pub bytes: u32,
    /// What we hold that the peer has not acknowledged.
    pub send_bytes: u64,
}

impl Default for Windows {
    /// The reference's.
    fn default() -> Self {
        Self { stream_bytes: STREAM_WINDOW_BYTES, bytes: WINDOW_BYTES, send_bytes: SEND_WINDOW_BYTES }
    }
}

/// What a socket's connections have in common: nothing that is negotiated. The key of stateless resets is a new one.
pub fn endpoint_config(side: Side) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    let id_bytes = if side.is_server() { LISTENER_ID_BYTES } else { 0 };
    config
        .supported_versions(vec![VERSION])
        .grease_quic_bit(false)
        .cid_generator(move || Box::new(RandomConnectionIdGenerator::new(id_bytes)));
    // It is within what the library allows.
    let _is_allowed = config.max_udp_payload_size(DATAGRAM_BYTES_MAX).is_ok();
    config
}

/// What a listener says. Its certificate is a new one.
pub fn server_config() -> Result<ServerConfig, ProfileError> {
    let key = certificate::generate()?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ProfileError::Certificate)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| ProfileError::Settings(error.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(Listener(Arc::new(crypto))));
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0).log(Arc::new(NoneTokenLog));
    config
        .transport_config(Arc::new(transport(Windows::default())))
        .validation_token_config(tokens)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX * INCOMING_MAX as u64);
    Ok(config)
}

/// What a dialler says.
pub fn client_config() -> Result<ClientConfig, ProfileError> {
    let provider = provider();
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ProfileError::Certificate)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier::Anybody::new(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Sessions that are resumed tell who was here before.
    tls.resumption = Resumption::disabled();
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| ProfileError::Settings(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(Dialler(Arc::new(crypto))));
    config
        .transport_config(Arc::new(transport(Windows::default())))
        .token_store(Arc::new(NoneTokenStore))
        .initial_dst_cid_provider(Arc::new(first_id))
        .version(VERSION);
    Ok(config)
}

/// How packets are made, sent and acknowledged, the same on both sides.
pub fn transport(windows: Windows) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM_BYTES_MAX);
    let idle_ms = VarInt::from_u32(IDLE.as_millis() as u32);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .max_idle_timeout(Some(idle_ms.into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(windows.stream_bytes))
        .receive_window(VarInt::from_u32(windows.bytes))
        .send_window(windows.send_bytes)
        .send_fairness(false)
        .initial_rtt(FIRST_ROUND_TRIP)
        .initial_mtu(FIRST_DATAGRAM_BYTES)
        .min_mtu(FIRST_DATAGRAM_BYTES)
        .mtu_discovery_config(Some(discovery))
        .datagram_receive_buffer_size(None);
    transport
}

/// The name under which a host is dialled: an address has none in the handshake.
pub fn server_name(address: IpAddr) -> String {
    address.to_string()
}

/// Makes a connection with itself and throws it away: the first one of a process takes 40 to 70 ms of initialisation, later
/// ones 2.
pub fn warm_up() -> Result<(), ProfileError> {
    warm_up::connect(server_config()?, client_config()?);
    Ok(())
}

/// The reference's suites and groups in its order, as far as the library has them.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::SECP256R1MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    })
}

/// A random id of a random length for the first packet.
fn first_id() -> ConnectionId {
    let mut bytes = [0; 1 + FIRST_ID_BYTES_MAX as usize];
    // Without random numbers nothing else works either; the id would only be easy to guess.
    let _is_random = getrandom::fill(&mut bytes).is_ok();
    let length = FIRST_ID_BYTES_MIN + bytes[0] % (FIRST_ID_BYTES_MAX - FIRST_ID_BYTES_MIN + 1);
    ConnectionId::new(&bytes[1..=usize::from(length)])
}
