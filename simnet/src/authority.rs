//! One authority: the state machine that ships, and the store that outlives it.

use crate::air::SharedAir;
use crate::members::signer;
use crypto_simd::random::Random;
use pki::EpochTime;
use pki::voting::{Configuration, Output, Peer, Reply, Request, StoreKey, Voting};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One authority.
pub struct Authority {
    /// How it sees the world.
    pub air: SharedAir,
    /// The process; none while it is down.
    pub voting: Option<Voting>,
    /// What it goes by.
    pub configuration: Arc<Configuration>,
    store: BTreeMap<StoreKey, Vec<u8>>,
    seed: [u8; 32],
}

impl Authority {
    /// An authority that does not run.
    pub fn new(configuration: Configuration, seed: [u8; 32], air: SharedAir) -> Self {
        Self { air, voting: None, configuration: Arc::new(configuration), store: BTreeMap::new(), seed }
    }

    /// Starts it with what its store holds.
    pub fn start(&mut self, now: &EpochTime) {
        let stored = self.store.iter().map(|(key, value)| (*key, value.clone())).collect();
        let voting = Voting::new(self.configuration.clone(), signer(&self.seed), stored, now);
        self.voting = Some(voting.expect("a configuration to vote with"));
    }

    /// Ends it without a word; its disk is lost too if `with_store`.
    pub fn kill(&mut self, with_store: bool) {
        self.voting = None;
        if with_store {
            self.store.clear();
        }
    }

    /// Does what is due; gives what is to be done by others.
    pub fn poll(&mut self, now: &EpochTime, random: &mut dyn Random) -> Vec<Output> {
        let outputs = self.voting.as_mut().map(|voting| voting.poll(now, random));
        self.keep(outputs.unwrap_or_default())
    }

    /// A request as its process would serve it; nothing if it is down or does not talk to this peer.
    pub fn ask(&mut self, peer: Peer, request: Request, now: &EpochTime) -> Option<(Reply, Vec<Output>)> {
        let voting = self.voting.as_mut().filter(|_| peer.may_send(&request))?;
        let handled = voting.handle(self.configuration.inspect(&peer, request, now), now);
        Some((handled.reply, self.keep(handled.outputs)))
    }

    /// Carries out what concerns its store; gives the rest.
    pub fn keep(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let mut rest = Vec::new();
        for output in outputs {
            match output {
                Output::Store { key, value } => drop(self.store.insert(key, value.to_vec())),
                Output::Prune { before } => self.store.retain(|key, _| key.epoch() >= before),
                other => rest.push(other),
            }
        }
        rest
    }

    /// Entries of its store.
    pub fn stored(&self) -> usize {
        self.store.len()
    }
}
