//! Packets for load tests: only the layer for one node is genuine, so that making them costs a fraction of a packet
//! that somebody could receive, and the bytes that the node must send on are known without its private key.

use super::CreateError;
use super::Sphinx;
use super::secrets::{HopSecrets, first_error};
use crate::commands::{NextNode, RoutingCommand};
use crate::keys::{PacketKeys, SPRP_MATERIAL_BYTES};
use crate::plaintext::BlockSphinxPlaintext;
use crate::scheme::Scheme;
use crate::surb::write_reply;
use crate::{AD, MAC_BYTES, NODE_ID_BYTES, PAYLOAD_TAG_BYTES, RECIPIENT_ID_BYTES, SURB_ID_BYTES};
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Kem, Nike, SharedSecret};
use zeroize::Zeroizing;

/// Random bytes at the start of each payload; the payload cipher spreads them over all of it.
const PAYLOAD_RANDOM_BYTES: usize = 32;

/// What the node is told to do with one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadCommand {
    /// To send it on.
    Forward {
        /// The node to send it to.
        next: [u8; NODE_ID_BYTES],
        /// How long to hold it back.
        delay_ms: u32,
    },
    /// To let a service have it, and to send the answer by the reply block that it brings.
    Request {
        /// What stands for the service.
        recipient: [u8; RECIPIENT_ID_BYTES],
        /// The node to send the reply to.
        next: [u8; NODE_ID_BYTES],
        /// How long to hold the reply back.
        delay_ms: u32,
    },
    /// To let a user have it, as the reply to a reply block.
    Reply {
        /// The user.
        recipient: [u8; RECIPIENT_ID_BYTES],
        /// The id of the reply block.
        surb_id: [u8; SURB_ID_BYTES],
    },
}

impl LoadCommand {
    /// What the header says to the node; `mac` is what the next hop sees.
    fn routing(&self, mac: [u8; MAC_BYTES]) -> [RoutingCommand; 2] {
        match *self {
            Self::Forward { next, delay_ms } => {
                [RoutingCommand::NodeDelay { delay_ms }, RoutingCommand::NextNode(NextNode { id: next, mac })]
            }
            Self::Request { recipient, delay_ms, .. } => {
                [RoutingCommand::NodeDelay { delay_ms }, RoutingCommand::Recipient(recipient)]
            }
            Self::Reply { recipient, surb_id } => {
                [RoutingCommand::Recipient(recipient), RoutingCommand::SurbReply(surb_id)]
            }
        }
    }
}

/// Makes packets for one mix key.
pub struct LoadMaker {
    sphinx: Sphinx,
    key: Key,
}

enum Key {
    /// One element and the secret shared by it: each packet blinds both with a factor of its own.
    Nike {
        nike: &'static dyn Nike,
        element: Vec<u8>,
        secret: Zeroizing<Vec<u8>>,
    },
    Kem {
        kem: &'static dyn Kem,
        public: Vec<u8>,
    },
}

impl LoadMaker {
    /// A maker for the node whose mix key is `public`.
    pub fn new(sphinx: Sphinx, public: &[u8], random: &mut dyn Random) -> Result<Self, CreateError> {
        let refused = |source| CreateError::PublicKey { hop: 0, source };
        let key = match sphinx.scheme {
            Scheme::Nike(nike) => {
                let ephemeral = nike.load(&nike.generate(random)).map_err(CreateError::EphemeralKey)?;
                let secret = ephemeral.derive(public).map_err(refused)?;
                let element = ephemeral.public_key().to_vec();
                Key::Nike { nike, element, secret: Zeroizing::new(secret.as_bytes().to_vec()) }
            }
            Scheme::Kem(kem) => {
                kem.check_public_key(public).map_err(refused)?;
                Key::Kem { kem, public: public.to_vec() }
            }
        };
        Ok(Self { sphinx, key })
    }

    /// Makes one packet for each command: `packets[i]` is what the node gets, `forwarded[i]` what must come out of it: the
    /// packet for the next node; of a request the reply whose answer is the request's payload; of a reply what its user
    /// gets, from where payloads begin in packets.
    ///
    /// # Panics
    ///
    /// If the slices differ in length, or a buffer has not the geometry's packet length.
    pub fn make(
        &self,
        commands: &[LoadCommand],
        random: &mut dyn Random,
        packets: &mut [&mut [u8]],
        forwarded: &mut [&mut [u8]],
    ) -> Result<(), CreateError> {
        assert!(commands.len() == packets.len() && commands.len() == forwarded.len(), "one of each for a packet");
        let hops = self.hops(commands.len(), random)?;
        for (((command, packet), forwarded), (hop, next_element)) in
            commands.iter().zip(packets).zip(forwarded).zip(&hops)
        {
            self.write(command, hop, next_element, random, packet, forwarded)?;
        }
        Ok(())
    }

    /// Element and keys at the node, and the element that the next hop sees.
    fn hops(&self, count: usize, random: &mut dyn Random) -> Result<Vec<(HopSecrets, Vec<u8>)>, CreateError> {
        match &self.key {
            Key::Nike { nike, element, secret } => {
                let factors: Vec<_> = (0..count).map(|_| nike.generate(random)).collect();
                let elements = blind(*nike, &factors, &vec![element.as_slice(); count])?;
                let secrets = blind(*nike, &factors, &vec![secret.as_slice(); count])?;
                let keys: Vec<_> = secrets.iter().map(|secret| PacketKeys::new(secret)).collect();
                let factors: Vec<_> =
                    keys.iter().map(|keys| nike.generate(&mut SeededRandom::new(keys.blinding_seed()))).collect();
                let nexts = blind(*nike, &factors, &elements.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
                let hops = elements.into_iter().zip(keys).map(|(element, keys)| HopSecrets { element, keys });
                Ok(hops.zip(nexts).collect())
            }
            Key::Kem { kem, public } => (0..count)
                .map(|_| {
                    let mut secret = SharedSecret::default();
                    let (mut element, mut next) = (vec![0; kem.info().ciphertext_bytes], Vec::new());
                    kem.encapsulate(public, random, &mut element, &mut secret)
                        .map_err(|source| CreateError::PublicKey { hop: 0, source })?;
                    next.resize(element.len(), 0);
                    random.fill(&mut next);
                    Ok((HopSecrets { element, keys: PacketKeys::new(secret.as_bytes()) }, next))
                })
                .collect(),
        }
    }

    fn write(
        &self,
        command: &LoadCommand,
        hop: &HopSecrets,
        next_element: &[u8],
        random: &mut dyn Random,
        packet: &mut [u8],
        forwarded: &mut [u8],
    ) -> Result<(), CreateError> {
        let layout = &self.sphinx.layout;
        let mut mac = [0; MAC_BYTES];
        random.fill(&mut mac);
        // The routing information in clear: this hop's fragment, then what the next hop sees, then what it appends.
        let mut fragment = Vec::with_capacity(layout.per_hop_bytes);
        command.routing(mac).iter().for_each(|command| command.write_to(&mut fragment));
        fragment.resize(layout.per_hop_bytes, 0);
        let ciphertext = &mut fragment[layout.command_bytes..];
        let ciphertext_bytes = ciphertext.len();
        ciphertext.copy_from_slice(&next_element[..ciphertext_bytes]);
        let mut clear = fragment;
        clear.resize(layout.routing_info_bytes + layout.per_hop_bytes, 0);
        random.fill(&mut clear[layout.per_hop_bytes..layout.routing_info_bytes]);
        let mut sealed = clear.clone();
        hop.keys.xor_header_stream(&mut sealed);
        clear[layout.routing_info_bytes..].copy_from_slice(&sealed[layout.routing_info_bytes..]);

        forwarded[..AD.len()].copy_from_slice(&AD);
        forwarded[layout.element()].copy_from_slice(next_element);
        forwarded[layout.routing_info()].copy_from_slice(&clear[layout.per_hop_bytes..]);
        forwarded[layout.mac()].copy_from_slice(&mac);
        match *command {
            LoadCommand::Request { next, .. } => self.write_request(next, random, packet, forwarded)?,
            LoadCommand::Forward { .. } | LoadCommand::Reply { .. } => self.write_payload(random, packet, forwarded),
        }

        packet[..AD.len()].copy_from_slice(&AD);
        packet[layout.element()].copy_from_slice(&hop.element);
        packet[layout.routing_info()].copy_from_slice(&sealed[..layout.routing_info_bytes]);
        let mac = hop.keys.header_mac(&[&packet[layout.authenticated()]]);
        packet[layout.mac()].copy_from_slice(&mac);
        hop.keys.sprp().encrypt(&mut packet[layout.header_bytes..]);
        Ok(())
    }

    /// The same payload in clear on both sides.
    fn write_payload(&self, random: &mut dyn Random, packet: &mut [u8], forwarded: &mut [u8]) {
        let payload = self.sphinx.layout.header_bytes..;
        let clear = &mut forwarded[payload.clone()];
        clear.fill(0);
        let random_bytes = PAYLOAD_RANDOM_BYTES.min(clear.len());
        random.fill(&mut clear[..random_bytes]);
        packet[payload].copy_from_slice(clear);
    }

    /// A request in clear, and its reply: nobody behind the next hop ever opens its header, so that any bytes will do.
    fn write_request(
        &self,
        next: [u8; NODE_ID_BYTES],
        random: &mut dyn Random,
        packet: &mut [u8],
        reply: &mut [u8],
    ) -> Result<(), CreateError> {
        let (geometry, layout) = (&self.sphinx.geometry, &self.sphinx.layout);
        let mut material = [0; SPRP_MATERIAL_BYTES];
        random.fill(&mut material);
        let surb = [&reply[..layout.header_bytes], &next, &material].concat();
        let mut payload = vec![0; geometry.user_forward_payload_length];
        let random_bytes = PAYLOAD_RANDOM_BYTES.min(payload.len());
        random.fill(&mut payload[..random_bytes]);
        let wrong_length = CreateError::SurbLength { found: surb.len(), expected: geometry.surb_length };
        let request = BlockSphinxPlaintext::build(geometry, Some(&surb), &payload).map_err(|_| wrong_length)?;
        let content = layout.header_bytes + PAYLOAD_TAG_BYTES;
        packet[layout.header_bytes..content].fill(0);
        packet[content..].copy_from_slice(&request);
        reply[content..][..payload.len()].copy_from_slice(&payload);
        reply[content + payload.len()..].fill(0);
        write_reply(geometry, &surb, reply).map(|_next| ())
    }
}

fn blind(nike: &dyn Nike, factors: &[Zeroizing<Vec<u8>>], elements: &[&[u8]]) -> Result<Vec<Vec<u8>>, CreateError> {
    let factors: Vec<&[u8]> = factors.iter().map(|factor| factor.as_slice()).collect();
    let mut blinded = vec![vec![0; nike.info().public_key_bytes]; elements.len()];
    let mut results = vec![Ok(()); elements.len()];
    let mut outputs: Vec<&mut [u8]> = blinded.iter_mut().map(Vec::as_mut_slice).collect();
    nike.blind_batch(&factors, elements, &mut outputs, &mut results);
    first_error(0, &results)?;
    Ok(blinded)
}
