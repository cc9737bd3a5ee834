//! What every part of a shard works with.

use crate::account::Account;
use crate::io::Io;
use crate::link::outgoing::{Judge, Surroundings};
use crate::random::ShardRandom;
use crate::shard::packets::Packets;
use crate::shard::sight::Sight;
use crate::shard::steps::Steps;
use crate::shared::{Errand, Port, Shared};
use crate::time::Instant;
use gateway::UserId;
use interplane::setup::ClientRate;
use std::sync::Arc;

/// Where this shard stands, its clock, its books, its random numbers.
pub struct Context {
    /// Which shard this is.
    pub index: usize,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
    /// The round's time.
    pub now: Instant,
    /// The books.
    pub account: Account,
    /// Random numbers.
    pub random: ShardRandom,
    /// How fast clients may send, as this shard has heard last.
    pub client_rate: ClientRate,
}

impl Context {
    /// This shard's side that faces the others.
    pub fn port(&self) -> &Port {
        &self.shared.ports()[self.index]
    }

    /// Has the home of a client's mailbox do something.
    pub fn ask_home(&self, io: &mut impl Io, user: UserId, errand: Errand) {
        self.ask(io, user.share(self.shared.facts().shards), errand);
    }

    /// Has a shard do something, which may be this one.
    pub fn ask(&self, io: &mut impl Io, shard: usize, errand: Errand) {
        let Some(port) = self.shared.ports().get(shard) else { return };
        port.errands.push(errand);
        if shard != self.index && port.parking.unpark() {
            io.wake(shard);
        }
    }
}

/// What links work with besides themselves, for the length of one call.
pub struct Round<'a, I> {
    /// Input and output.
    pub io: &'a mut I,
    /// The shard's own.
    pub context: &'a mut Context,
    /// What holds at this moment.
    pub sight: &'a Sight,
    /// Packets that are here.
    pub packets: &'a mut Packets,
    /// Who waits for a KEM operation.
    pub steps: &'a mut Steps,
}

impl<I: Io> Round<'_, I> {
    /// What the methods of one outgoing peer work with, and what decides about it.
    pub fn for_peer(&mut self) -> (Judge<'_>, Surroundings<'_, I>) {
        let with = Surroundings {
            io: self.io,
            now: self.context.now,
            slots: self.packets.slots_mut(),
            account: &mut self.context.account,
            facts: self.context.shared.facts(),
            random: &mut self.context.random,
        };
        (self.sight.judge(), with)
    }
}
