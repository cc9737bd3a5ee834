//! This node's own loops (server.md 7): packets to an echo service whose replies come back here. One shard makes them all.

mod path;

use crate::packet::pool::Slot;
use crate::packet::route::Delivery;
use crate::random::ShardRandom;
use crate::shared::{Facts, Live};
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::symmetric::equal;
use interplane::DropReason;
use interplane::loops::{LoopCounts, LoopWriter};
use path::Way;
use pki::descriptor::Segment;
use pki::neighbours::{NeighbourMap, Role};
use pki::{Epoch, EpochClock, EpochTime, NodeId};
use sphinx::plaintext::BlockSphinxPlaintext;
use sphinx::{SURB_ID_BYTES, SetupError, Sphinx, decrypt_surb_payload};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The shard that makes the loops.
pub const DECOY_SHARD: usize = 0;

/// Loops that are waited for; a new one then takes the place of the oldest.
const OUTSTANDING_MAX: usize = 1024;
/// Tries at a loop that comes back within two epochs (server.md 7.2).
const TRIES: usize = 3;

/// A loop that was made.
pub struct Made {
    /// The packet.
    pub packet: Vec<u8>,
    /// The node that gets it first.
    pub first_hop: NodeId,
}

/// A loop that has not come back.
struct Outstanding {
    id: u64,
    /// In which it was sent: a loop that comes back in the next one counts where it was counted first.
    epoch: Epoch,
    until: Instant,
    keys: Zeroizing<Vec<u8>>,
    segments: Vec<Segment>,
}

/// What makes and knows this node's loops.
pub struct Decoys {
    own: NodeId,
    role: Role,
    clock: EpochClock,
    recipient: [u8; 32],
    /// The upper half of the ids: when the first loop was made.
    id_base: Option<u64>,
    sphinx: Sphinx,
    live: Arc<Live>,
    outstanding: Vec<Option<Outstanding>>,
    next_place: usize,
    counts: LoopWriter,
    /// The document that the next moment was drawn for, by its epoch and its snapshot.
    document: Option<(Epoch, u64)>,
    next_at: Instant,
}

impl Decoys {
    /// For loops whose replies are for this recipient.
    pub fn new(facts: &Facts, recipient: [u8; 32], counts: &LoopCounts) -> Result<Self, SetupError> {
        Ok(Self {
            own: facts.node_id,
            role: facts.role,
            clock: facts.clock,
            recipient,
            id_base: None,
            sphinx: Sphinx::new(facts.geometry.clone())?,
            live: Arc::clone(&facts.live),
            outstanding: (0..OUTSTANDING_MAX).map(|_| None).collect(),
            next_place: 0,
            counts: counts.writer(),
            document: None,
            next_at: Instant::NEVER,
        })
    }

    /// When the next loop is due.
    pub fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Goes by the document of the current epoch, if there is one; `serial` names it.
    pub fn go_by(&mut self, map: Option<&NeighbourMap>, serial: u64, now: Instant, random: &mut ShardRandom) {
        match map {
            None => (self.document, self.next_at) = (None, Instant::NEVER),
            Some(map) if self.document != Some((map.epoch, serial)) => {
                self.document = Some((map.epoch, serial));
                self.draw(map, now, random);
            }
            Some(_) => {}
        }
    }

    /// Makes the loop that is due, and draws the next moment. None if there is nobody who would send it back.
    pub fn make(
        &mut self,
        map: &NeighbourMap,
        epoch: &EpochTime,
        now: Instant,
        random: &mut ShardRandom,
    ) -> Option<Made> {
        self.draw(map, now, random);
        let services: Vec<_> = path::echo_services(map).collect();
        let (service, endpoint) = *services.get(random.below(services.len() as u32) as usize)?;
        let recipient = service::recipient(endpoint)?;
        let mut random_id = [0; 8];
        random.fill(&mut random_id);
        let mut surb_id = [0; SURB_ID_BYTES];
        let base = *self.id_base.get_or_insert(epoch.unix.as_secs());
        surb_id[..8].copy_from_slice(&base.to_be_bytes());
        surb_id[8..].copy_from_slice(&random_id);
        for _ in 0..TRIES {
            let Some(way) = Way::choose(map, &self.own, service, epoch.unix, &self.clock, random) else { continue };
            if way.total() >= epoch.period * 2 {
                continue;
            }
            let back = way.back(self.recipient, surb_id)?;
            let surb = self.sphinx.new_surb(&back, random).ok()?;
            let payload = BlockSphinxPlaintext::build(self.sphinx.geometry(), Some(&surb.bytes), &[]).ok()?;
            let there = way.there(recipient)?;
            let packet = self.sphinx.new_packet(&there, &payload, random).ok()?;
            let segments: Vec<Segment> = path::segments(&there).chain(path::segments(&back)).collect();
            segments.iter().for_each(|segment| self.counts.sent(epoch.epoch, segment));
            let place = self.next_place;
            self.next_place = (place + 1) % OUTSTANDING_MAX;
            self.outstanding[place] = Some(Outstanding {
                id: u64::from_be_bytes(random_id),
                epoch: epoch.epoch,
                until: now + way.total() + self.live.decoy_slack.get(),
                keys: surb.keys,
                segments,
            });
            return Some(Made { packet, first_hop: there.first()?.id });
        }
        None
    }

    /// Takes a packet that says that it is one of these loops (server.md 7.3).
    pub fn take(&mut self, slot: &mut Slot, delivery: &Delivery, now: Instant) -> Result<(), DropReason> {
        if !equal(&delivery.recipient, &self.recipient) {
            return Err(DropReason::DecoyInvalidRecipient);
        }
        let surb_id = delivery.surb_id.unwrap_or_default();
        let (base, id) = surb_id.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
        if Some(number(base)) != self.id_base {
            return Err(DropReason::DecoyInvalidSurbIdBase);
        }
        let id = number(id);
        let is_it = |place: &&mut Option<Outstanding>| place.as_ref().is_some_and(|found| found.id == id);
        let found = self.outstanding.iter_mut().find(is_it).and_then(Option::take);
        let Some(mut found) = found.filter(|found: &Outstanding| now <= found.until) else {
            return Err(DropReason::DecoyUnknownSurbId);
        };
        let payload = slot.packet_mut().get_mut(self.sphinx.geometry().header_length..).unwrap_or_default();
        decrypt_surb_payload(payload, &mut found.keys).map_err(|_| DropReason::DecoySurbDecryptFailed)?;
        found.segments.iter().for_each(|segment| self.counts.completed(found.epoch, segment));
        Ok(())
    }

    /// Draws the moment of the next loop: exponential, bounded; never where the rate is none. Not in whole milliseconds:
    /// each loop would leave in the same part of a millisecond as the one before it.
    fn draw(&mut self, map: &NeighbourMap, now: Instant, random: &mut ShardRandom) {
        let rate = if self.role == Role::Gateway { map.lambda_g } else { map.lambda_m };
        self.next_at = path::wait(rate, random).map_or(Instant::NEVER, |wait| now + wait);
    }
}
