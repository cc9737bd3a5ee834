//! Requests to the services of a running node, and their replies.

use super::authority::Authority;
use super::site::{Node, SOON, Site};
use super::traffic::Traffic;
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use sphinx::commands::RoutingCommand;
use sphinx::plaintext::BlockSphinxPlaintext;
use sphinx::{NODE_ID_BYTES, PathHop, Sphinx, decrypt_surb_payload};
use std::time::{Duration, Instant};

/// A running service node with links on both sides.
pub struct Service<'a> {
    site: &'a Site,
    node: Node,
    traffic: Traffic,
    /// What it has published.
    pub descriptor: MixDescriptor,
    epoch: Epoch,
    sphinx: Sphinx,
    _authority: Authority,
}

impl<'a> Service<'a> {
    /// Starts the node and everything around it.
    #[track_caller]
    pub fn start(site: &'a Site) -> Self {
        let authority = site.start_authority();
        let node = site.start_node();
        let (traffic, descriptor, epoch) = site.traffic(&authority);
        let sphinx = Sphinx::new(site.network.geometry.clone()).expect("a geometry");
        Self { site, node, traffic, descriptor, epoch, sphinx, _authority: authority }
    }

    /// Asks, and gives what the reply holds.
    #[track_caller]
    pub fn ask(&mut self, endpoint: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let keys = self.tell_wanting_a_reply(endpoint, payload);
        let deadline = Instant::now() + SOON;
        loop {
            // Replies to others may come late.
            let mut packet = self.traffic.next(deadline.checked_duration_since(Instant::now())?)?;
            let reply =
                decrypt_surb_payload(&mut packet[self.site.network.geometry.header_length..], &mut keys.clone());
            if let Ok(reply) = reply {
                return Some(reply.to_vec());
            }
        }
    }

    /// Sends a request with a reply block; gives what opens a reply to it at the first hop.
    #[track_caller]
    pub fn tell_wanting_a_reply(&mut self, endpoint: &str, payload: &[u8]) -> Vec<u8> {
        // No hop but the first sees the reply, and that does not unwrap it: its key can be any.
        let commands = vec![RoutingCommand::Recipient([9; 32]), RoutingCommand::SurbReply([8; 16])];
        let hop = PathHop { id: self.site.network.downstream[0].identity.id, public_key: self.key(), commands };
        let surb = self.sphinx.new_surb(&[hop], &mut OsRandom).expect("a reply block");
        self.send(endpoint, payload, Some(&surb.bytes));
        // The last 64 bytes are the service node's own layer.
        surb.keys[surb.keys.len() - 64..].to_vec()
    }

    /// Sends a request that nobody waits for.
    #[track_caller]
    pub fn tell(&mut self, endpoint: &str, payload: &[u8]) {
        self.send(endpoint, payload, None);
    }

    fn send(&mut self, endpoint: &str, payload: &[u8], surb: Option<&[u8]>) {
        let geometry = &self.site.network.geometry;
        let content = BlockSphinxPlaintext::build(geometry, surb, payload).expect("it fits");
        let mut recipient = [0; 32];
        recipient[..endpoint.len()].copy_from_slice(endpoint.as_bytes());
        let id: [u8; NODE_ID_BYTES] = self.site.credentials.additional_data.as_slice().try_into().expect("an id");
        let commands = vec![RoutingCommand::Recipient(recipient)];
        let path = [PathHop { id, public_key: self.key(), commands }];
        let packet = self.sphinx.new_packet(&path, &content, &mut OsRandom).expect("a packet");
        self.traffic.send_bytes(&packet);
    }

    fn key(&self) -> Vec<u8> {
        self.descriptor.mix_key(self.epoch).expect("a key of that epoch").to_vec()
    }

    /// Nothing comes out for a while.
    #[track_caller]
    pub fn nothing_comes(&mut self, time: Duration) {
        self.traffic.nothing_comes(time);
    }

    /// Stops the node as an operator would.
    #[track_caller]
    pub fn stop(mut self) {
        self.node.stop();
    }
}
