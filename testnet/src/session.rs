//! Blocking link handshakes for everybody around the node: authority, fake mixes, null node.

use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::{Command, CommandSet, FRAME_HEADER_BYTES, Handshake, PeerCredentials, Role, SessionConfig, Transport, Want};

/// How long a peer may take for one message.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// Who one end of a link is.
#[derive(Clone)]
pub struct Identity {
    /// The additional data of the handshake.
    pub id: [u8; 32],
    /// The link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
}

impl Identity {
    /// An identity with a fresh link key.
    pub fn generate(id: [u8; 32], kem: &'static dyn Kem) -> Result<Self, String> {
        let link_key = kem.load(&kem.generate(&mut OsRandom)).map_err(|error| error.to_string())?;
        Ok(Self { id, link_key: Arc::from(link_key) })
    }

    /// Whether `peer` is this identity.
    pub fn is(&self, peer: &PeerCredentials) -> bool {
        peer.additional_data == self.id && peer.public_key == self.link_key.public_key()
    }
}

/// An established link.
pub struct Session {
    /// The connection, blocking.
    pub stream: TcpStream,
    /// Both directions and the peer.
    pub transport: Transport,
}

impl Session {
    /// Shakes hands as `config` says, finalization included.
    pub fn establish(
        stream: TcpStream,
        config: &SessionConfig,
        own: &Identity,
        is_welcome: impl Fn(&PeerCredentials) -> bool,
    ) -> Result<Self, String> {
        let io = |error: std::io::Error| format!("handshake: {error}");
        stream.set_nodelay(true).map_err(io)?;
        stream.set_read_timeout(Some(STEP_LIMIT)).map_err(io)?;
        stream.set_write_timeout(Some(STEP_LIMIT)).map_err(io)?;
        let mut session = Self { transport: shake_hands(&stream, config, own, is_welcome)?, stream };
        let set = config.command_set();
        match config.role {
            Role::Responder => session.send(&set, &Command::NoOp)?,
            Role::Initiator => {
                let first = session.receive()?;
                if set.parse(&first) != Ok(Command::NoOp) {
                    return Err("the peer did not finish the handshake with a NoOp".into());
                }
            }
        }
        Ok(session)
    }

    /// Sends one command.
    pub fn send(&mut self, set: &CommandSet, command: &Command<'_>) -> Result<(), String> {
        let mut frame = Vec::new();
        self.transport.sealer.seal_command(set, command, &mut frame).map_err(|error| error.to_string())?;
        self.stream.write_all(&frame).map_err(|error| error.to_string())
    }

    /// The plaintext of the next frame.
    pub fn receive(&mut self) -> Result<Vec<u8>, String> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.stream.read_exact(&mut header).map_err(|error| error.to_string())?;
        let bytes = self.transport.opener.open_header(&mut header).map_err(|error| error.to_string())?;
        let mut body = vec![0; bytes];
        self.stream.read_exact(&mut body).map_err(|error| error.to_string())?;
        Ok(self.transport.opener.open_body(&mut body).map_err(|error| error.to_string())?.to_vec())
    }
}

fn shake_hands(
    mut stream: &TcpStream,
    config: &SessionConfig,
    own: &Identity,
    is_welcome: impl Fn(&PeerCredentials) -> bool,
) -> Result<Transport, String> {
    let mut random = OsRandom;
    let failed = |error: Box<wire::HandshakeError>| error.to_string();
    let io = |error: std::io::Error| format!("handshake: {error}");
    let mut handshake = Handshake::new(config, own.link_key.clone(), &own.id, &mut random).map_err(failed)?;
    loop {
        match handshake.wants() {
            Want::Write => {
                stream.write_all(handshake.pending_write()).map_err(io)?;
                handshake.written();
            }
            Want::Read(bytes) => {
                let mut message = vec![0; bytes];
                stream.read_exact(&mut message).map_err(io)?;
                handshake.read(&mut message, unix_now().as_secs(), &mut random).map_err(failed)?;
            }
            Want::Authenticate => {
                if !handshake.peer().is_some_and(&is_welcome) {
                    return Err(handshake.reject().to_string());
                }
                handshake.accept(&mut random).map_err(failed)?;
            }
            Want::Done => return handshake.into_transport().map_err(failed),
            Want::Closed => return Err("the handshake ended".into()),
        }
    }
}

/// Time since the Unix epoch.
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
