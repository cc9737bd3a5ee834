//! Sessions recorded from the reference, replayed in both roles byte for byte.

use super::*;
use crate::command::{Command, CommandSet};
use crate::error::Error;
use crate::frame::FRAME_HEADER_BYTES;
use crate::link::{Due, Input, Limits, Link};
use crate::scripted::Scripted;
use crate::sizes::{CommandSizes, SessionKind};
use crate::symmetric::SymmetricState;
use crate::time::Instant;
use crypto_simd::schemes::kem;
use serde_json::Value;
use std::time::Duration;
use vectors::hex;

#[test]
fn recorded_sessions() {
    for canary in ["/vectors/0/handshake_hash", "/vectors/5/frames/3/frame", "/vectors/4/symmetric_state_trace/5/ck"] {
        vectors::verify("noise_pqxx_sessions.json", canary, |file, tally| {
            for session in list(&file["vectors"]) {
                let recorded = Recorded::new(session);
                let name = session["name"].as_str().unwrap_or_default();
                recorded.check_sizes().map_err(|error| format!("{name}: {error}"))?;
                recorded.check_trace().map_err(|error| format!("{name}: {error}"))?;
                for role in [Role::Initiator, Role::Responder] {
                    recorded.replay(role).map_err(|error| format!("{name} as {}: {error}", role.label()))?;
                    recorded.replay_link(role).map_err(|error| format!("{name} as {}: {error}", role.label()))?;
                }
                tally.assert_case();
            }
            Ok(())
        });
    }
}

struct Recorded<'a> {
    session: &'a Value,
    kem: &'static dyn Kem,
    config: SessionConfig,
}

impl<'a> Recorded<'a> {
    fn new(session: &'a Value) -> Self {
        let protocol = session["protocol_name"].as_str().expect("a name");
        let kem = kem::by_name(protocol.split('_').nth(2).expect("a KEM")).expect("the KEM is built in");
        let geometry = &session["geometry"];
        let config = match session["session"].as_str() {
            Some("mixnet") => {
                let reply = number(&geometry["PayloadTagLength"]) + number(&geometry["ForwardPayloadLength"]);
                SessionConfig::mixnet(
                    Role::Initiator,
                    kem,
                    CommandSizes::mixnet(number(&geometry["PacketLength"]), reply),
                )
            }
            Some("pki") => SessionConfig::pki(Role::Initiator, kem, CommandSizes::pki(32)),
            Some("replica") => SessionConfig::replica(
                Role::Initiator,
                kem,
                CommandSizes::replica(number(&geometry["UserForwardPayloadLength"]), 32),
            ),
            other => panic!("session kind {other:?}"),
        };
        Self { session, kem, config }
    }

    fn check_sizes(&self) -> Result<(), String> {
        let info = self.kem.info();
        same("public key size", info.public_key_bytes, number(&self.session["kem_public_key_size"]))?;
        same("ciphertext size", info.ciphertext_bytes, number(&self.session["kem_ciphertext_size"]))?;
        same("frame limit", self.config.message_bytes_max, number(&self.session["max_mesg_size"]))?;
        if self.config.kind == SessionKind::Mixnet {
            let (sizes, session) = (self.config.sizes, self.session);
            let recorded = number(&session["max_message_len_client_to_server"]);
            same("c2s", sizes.client_to_server_bytes(), recorded)?;
            let recorded = number(&session["max_message_len_server_to_client"]);
            same("s2c", sizes.server_to_client_bytes(), recorded)?;
        }
        Ok(())
    }

    /// Every intermediate state, from the recorded inputs.
    fn check_trace(&self) -> Result<(), String> {
        let mut trace = list(&self.session["symmetric_state_trace"]).iter();
        let mut check = |symmetric: &SymmetricState| {
            let entry = trace.next().ok_or("the trace is too short")?;
            let after = entry["after"].as_str().unwrap_or_default();
            same(&format!("h after {after}"), symmetric.hash().to_vec(), hex(&entry["h"]))?;
            same(&format!("ck after {after}"), symmetric.chaining_key().to_vec(), hex(&entry["ck"]))?;
            match symmetric.cipher() {
                None => same(&format!("k after {after}"), entry["k"].is_null(), true),
                Some(cipher) => {
                    same(&format!("k after {after}"), cipher.key().to_vec(), hex(&entry["k"]))?;
                    same(&format!("n after {after}"), cipher.counter(), entry["n"].as_u64().unwrap_or(u64::MAX))
                }
            }
        };
        let encrypt = |symmetric: &mut SymmetricState, bytes: Vec<u8>| {
            symmetric.encrypt_and_hash(&mut bytes.clone()).map(|_| ()).map_err(|error| format!("{error:?}"))
        };
        let (session, steps) = (self.session, &self.session["encapsulations"]);
        let mut symmetric = SymmetricState::new(self.kem.info().name);
        check(&symmetric)?;
        symmetric.mix_hash(&hex(&session["prologue"]));
        check(&symmetric)?;
        symmetric.mix_hash(&hex(&session["init_ephemeral"]["pub"]));
        check(&symmetric)?;
        symmetric.mix_hash(&[]);
        check(&symmetric)?;
        symmetric.mix_hash(&hex(&steps[0]["ct"]));
        symmetric.mix_key(&hex(&steps[0]["ss"]));
        check(&symmetric)?;
        for part in [&session["resp_static"]["pub"], &session["msg2_payload"]] {
            encrypt(&mut symmetric, hex(part))?;
            check(&symmetric)?;
        }
        encrypt(&mut symmetric, hex(&steps[1]["ct"]))?;
        symmetric.mix_key_and_hash(&hex(&steps[1]["ss"]));
        check(&symmetric)?;
        for part in [&session["init_static"]["pub"], &session["msg3_payload"]] {
            encrypt(&mut symmetric, hex(part))?;
            check(&symmetric)?;
        }
        encrypt(&mut symmetric, hex(&steps[2]["ct"]))?;
        symmetric.mix_key_and_hash(&hex(&steps[2]["ss"]));
        check(&symmetric)?;
        encrypt(&mut symmetric, Vec::new())?;
        check(&symmetric)?;
        same("trace", trace.len(), 0)
    }

    /// Our end against the recording of the other.
    fn replay(&self, role: Role) -> Result<(), String> {
        let mut random = self.script(role);
        let session = self.session;
        let (own, other) = match role {
            Role::Initiator => ("init", "resp"),
            Role::Responder => ("resp", "init"),
        };
        let config = SessionConfig { role, ..self.config };
        let key = Arc::from(self.key(&session[format!("{own}_static")]));
        let additional_data = hex(&session[format!("{own}_additional_data")]);
        let mut handshake =
            Handshake::new(&config, key, &additional_data, &mut random).map_err(|error| error.to_string())?;
        let clock = session["resp_unix_time"].as_u64().ok_or("no clock")?;
        let mut messages = list(&session["handshake"]).iter();
        loop {
            match handshake.wants() {
                Want::Write => {
                    let recorded = hex(&messages.next().ok_or("too many messages")?["data"]);
                    same(handshake.state().label(), handshake.pending_write().to_vec(), recorded)?;
                    handshake.written();
                }
                Want::Read(bytes) => {
                    let mut recorded = hex(&messages.next().ok_or("too many messages")?["data"]);
                    same(handshake.state().label(), recorded.len(), bytes)?;
                    // The initiator's clock is 7 seconds ahead.
                    let clock = if role == Role::Initiator { clock + 7 } else { clock };
                    handshake.read(&mut recorded, clock, &mut random).map_err(|error| error.to_string())?;
                }
                Want::Authenticate => {
                    let peer = handshake.peer().ok_or("no peer")?;
                    same("peer key", &peer.public_key, &hex(&session[format!("{other}_static")]["pub"]))?;
                    let recorded = hex(&session[format!("{other}_additional_data")]);
                    same("peer additional data", &peer.additional_data, &recorded)?;
                    handshake.accept(&mut random).map_err(|error| error.to_string())?;
                }
                Want::Done => break,
                Want::Closed => return Err("closed".into()),
            }
        }
        same("messages", messages.len(), 0)?;
        same("randomness used up", random.is_used_up(), true)?;
        let transport = handshake.into_transport().map_err(|error| error.to_string())?;
        same("handshake hash", transport.handshake_hash.to_vec(), hex(&session["handshake_hash"]))?;
        same("clock skew", transport.clock_skew, (role == Role::Initiator).then_some(7))?;
        self.check_frames(transport, config.command_set())
    }

    fn check_frames(&self, mut transport: Transport, set: CommandSet) -> Result<(), String> {
        for recorded in list(&self.session["frames"]) {
            let name = recorded["name"].as_str().unwrap_or_default();
            let sends = (recorded["dir"].as_str() == Some("i2r")) == (transport.role == Role::Initiator);
            let plaintext = hex(&recorded["plaintext"]);
            let mut frame = hex(&recorded["frame"]);
            let cipher = if sends { transport.sealer.cipher() } else { transport.opener.cipher() };
            same(&format!("{name}: key"), cipher.key().to_vec(), hex(&recorded["key"]))?;
            let nonce = recorded["nonce_header"].as_u64().ok_or("no nonce")?;
            same(&format!("{name}: nonce"), cipher.counter(), nonce)?;
            let command = set.parse(&plaintext).map_err(|error| format!("{name}: {error}"))?;
            if sends {
                let mut ours = Vec::new();
                let sealed: Result<(), Error> = transport.sealer.seal_command(&set, &command, &mut ours);
                sealed.map_err(|error| format!("{name}: {error}"))?;
                same(name, ours, frame)?;
            } else {
                let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
                let bytes = transport.opener.open_header(header).map_err(|error| format!("{name}: {error}"))?;
                same(&format!("{name}: body"), bytes, body.len())?;
                let opened = transport.opener.open_body(body).map_err(|error| format!("{name}: {error}"))?;
                same(name, opened.to_vec(), plaintext.clone())?;
                let mut encoded = Vec::new();
                set.encode_into(&command, &mut encoded).map_err(|error| format!("{name}: {error}"))?;
                same(&format!("{name}: encoding"), encoded, plaintext.clone())?;
            }
            if let Command::GetConsensus { padded, .. } = command {
                same(&format!("{name}: padded"), padded, name.contains("padded"))?;
            }
        }
        Ok(())
    }

    /// The whole session by one end of a link: what it sends are the recorded bytes, handshake and frames.
    fn replay_link(&self, role: Role) -> Result<(), String> {
        let session = self.session;
        let own = if role == Role::Initiator { "init" } else { "resp" };
        let config = SessionConfig { role, ..self.config };
        let key = Arc::from(self.key(&session[format!("{own}_static")]));
        let (now, limits) = (Instant::default(), Limits::exchange(Duration::from_secs(3), Duration::from_secs(60)));
        let mut link = Link::new(config, key, &hex(&session[format!("{own}_additional_data")]), limits, now);
        let (mut random, mut sent) = (self.script(role), Vec::new());
        let clock = session["resp_unix_time"].as_u64().ok_or("no clock")?;
        let mut drive = |link: &mut Link, mut input: &mut [u8], sent: &mut Vec<u8>| -> Result<Vec<u8>, String> {
            let mut received = Vec::new();
            loop {
                while link.poll_event().is_some() {
                    match link.due() {
                        Some(Due::Step) => link.step(now, clock, &mut random),
                        Some(Due::Decision) => link.accept(now, &mut random),
                        None => {}
                    }
                }
                while let Some(buffer) = link.poll_output(now) {
                    sent.extend_from_slice(&buffer);
                    let taken = buffer.len();
                    link.handle_sent(buffer, taken);
                }
                match link.handle_input(now, &mut input) {
                    Input::Nothing => break,
                    Input::Event => {}
                    Input::Frame(frame) => received.extend_from_slice(frame.open().map_err(|error| error.to_string())?),
                }
            }
            link.ended().map_or(Ok(received), |end| Err(end.to_string()))
        };
        drive(&mut link, &mut [], &mut sent)?;
        for (number, message) in list(&session["handshake"]).iter().enumerate() {
            let mut recorded = hex(&message["data"]);
            if (number % 2 == 0) == (role == Role::Initiator) {
                let own: Vec<u8> = sent.drain(..recorded.len().min(sent.len())).collect();
                same("message", own, recorded)?;
            } else {
                drive(&mut link, &mut recorded, &mut sent)?;
            }
        }
        for (number, recorded) in list(&session["frames"]).iter().enumerate() {
            let (plaintext, mut frame) = (hex(&recorded["plaintext"]), hex(&recorded["frame"]));
            if (recorded["dir"].as_str() == Some("i2r")) == (role == Role::Initiator) {
                // The first one, the finalization NoOp, a responder sends by itself.
                if number > 0 {
                    let command = link.commands().parse(&plaintext).map_err(|error| error.to_string())?;
                    link.send(&command).map_err(|error| error.to_string())?;
                }
                drive(&mut link, &mut [], &mut sent)?;
                same("frame", std::mem::take(&mut sent), frame)?;
            } else {
                let received = drive(&mut link, &mut frame, &mut sent)?;
                same("command", received, if number > 0 { plaintext } else { Vec::new() })?;
            }
        }
        same("an established link", link.is_up(), true)
    }

    /// All draws of one role, in order.
    fn script(&self, role: Role) -> Scripted {
        let coins = |index: usize| hex(&self.session["encapsulations"][index]["coins"]);
        Scripted::new(&match role {
            Role::Initiator => [hex(&self.session["init_ephemeral"]["priv"]), coins(1)].concat(),
            Role::Responder => [coins(0), coins(2)].concat(),
        })
    }

    fn key(&self, pair: &Value) -> Box<dyn KemDecapsulationKey> {
        // The recorded private keys are what key generation draws.
        let private = self.kem.generate(&mut Scripted::new(&hex(&pair["priv"])));
        let key = self.kem.load(&private).expect("a usable key");
        assert_eq!(key.public_key(), hex(&pair["pub"]), "public key");
        key
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:02x?} is not the recorded {theirs:02x?}")) }
}
