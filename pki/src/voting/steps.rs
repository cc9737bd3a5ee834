//! The worker (pki.md 9.3): what is done at P/8, 2P/8, 3P/8, 4P/8 and 5P/8 of the epoch before the one voted on.

use super::assemble::Ingredients;
use super::configuration::Parameters;
use super::message::{Message, MessageKind};
use super::notice::Notice;
use super::round::Round;
use super::shared_random::{self, NONE, Pair};
use super::store::StoreKey;
use super::tally::{Nodes, tally};
use super::{Output, State, Voting};
use crate::certificate::{Certificate, CertificateError, Signature};
use crate::document::Document;
use crate::epoch::{Epoch, EpochTime};
use crypto_simd::random::Random;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a fetch may take (pki.md 9.5).
const FETCH_MAX: Duration = Duration::from_secs(120);
/// No try to reach an authority begins so long before the end of a phase (pki.md 9.7) …
const MARGIN_MAX: Duration = Duration::from_secs(5);
/// … or this part of an epoch, where epochs are short.
const MARGIN_FRACTION: u32 = 32;
/// Steps that one poll may take: a whole round, if time has jumped over it.
const STEPS_MAX: usize = 8;

impl Voting {
    pub(super) fn work(&mut self, now: &EpochTime, random: &mut dyn Random) -> Vec<Output> {
        let mut outputs = std::mem::take(&mut self.pending);
        if !self.started || self.deadline > now.unix + now.period {
            // At the start, and when the clock was set back.
            self.bootstrap(now, &mut outputs);
        }
        for _ in 0..STEPS_MAX {
            if now.unix < self.deadline {
                break;
            }
            self.step(now, random, &mut outputs);
        }
        self.prepare(now, random);
        self.fetch(now, &mut outputs);
        self.prune(now, &mut outputs);
        outputs
    }

    fn step(&mut self, now: &EpochTime, random: &mut dyn Random, outputs: &mut Vec<Output>) {
        let is_in_time = now.epoch.after(1) == self.voting_epoch;
        let has_missed_vote = self.state == State::AcceptDescriptors && now.elapsed >= now.fraction(2, 8);
        if self.state == State::Bootstrap {
            return self.bootstrap(now, outputs);
        }
        if !is_in_time || has_missed_vote {
            // A vote so late would come without its reveal to some, which costs everybody the round (pki.md 5.4).
            outputs.push(Output::Notice(Notice::RoundMissed { epoch: self.voting_epoch }));
            return self.bootstrap(now, outputs);
        }
        let epoch = self.voting_epoch;
        let (kind, outcome) = match self.state {
            State::Bootstrap | State::AcceptDescriptors => (MessageKind::Vote, self.vote(now, random, outputs)),
            State::AcceptVotes => (MessageKind::Reveal, self.reveal(now, outputs)),
            State::AcceptReveals => (MessageKind::Certificate, self.certify(now, random, outputs)),
            State::AcceptCertificates => (MessageKind::Signature, self.sign_consensus(now, random, outputs)),
            State::AcceptSignatures => return self.conclude(now, outputs),
        };
        if let Err(reason) = &outcome {
            outputs.push(Output::Notice(Notice::StepFailed { epoch, kind, reason: reason.clone() }));
        }
        let (state, eighths) = match self.state {
            // Without a vote there is no reveal, and nothing to go on with.
            _ if outcome.is_err() && kind == MessageKind::Vote => return self.sit_out(now),
            State::Bootstrap | State::AcceptDescriptors => (State::AcceptVotes, 2),
            State::AcceptVotes => (State::AcceptReveals, 3),
            State::AcceptReveals => (State::AcceptCertificates, 4),
            State::AcceptCertificates | State::AcceptSignatures => (State::AcceptSignatures, 5),
        };
        (self.state, self.deadline) = (state, now.at(eighths, 8));
    }

    /// Waits for the next epoch, or for P/8 of this one if that is still to come.
    fn bootstrap(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) {
        if now.elapsed > now.fraction(1, 8) {
            self.sit_out(now);
            // The others may reach it, or have reached it.
            self.lost = Some(now.epoch.after(1));
            outputs.push(Output::Notice(Notice::Waiting { epoch: self.voting_epoch }));
        } else {
            (self.state, self.deadline) = (State::AcceptDescriptors, now.at(1, 8));
            self.prepare_at = Some(now.unix);
            self.begin_round(now.epoch.after(1));
        }
        if !std::mem::replace(&mut self.started, true) {
            self.fetch_one(now.epoch.before(1), now, outputs);
        }
        self.fetch_at = Some(now.unix);
    }

    fn sit_out(&mut self, now: &EpochTime) {
        (self.state, self.deadline) = (State::Bootstrap, now.at(1, 1));
        self.begin_round(now.epoch.after(2));
    }

    fn begin_round(&mut self, epoch: Epoch) {
        self.voting_epoch = epoch;
        if self.round.epoch != epoch {
            self.round = Round::new(epoch);
            self.own_vote = None;
        }
    }

    /// Goes on with a restored round at the step after the own vote: those that are due follow at once.
    pub(super) fn resume(&mut self, now: &EpochTime) {
        self.started = true;
        self.chained = self.continue_chain();
        let eighths = if self.round.has_own_certificate {
            self.prior.begin(self.voting_epoch);
            self.state = State::AcceptCertificates;
            4
        } else {
            self.state = State::AcceptVotes;
            2
        };
        self.deadline = now.at(eighths, 8);
        self.fetch_at = Some(now.unix);
        self.pending.push(Output::Notice(Notice::Resumed { epoch: self.voting_epoch }));
        // It may not have reached everybody; but it must not come so late that its reveal may come too late.
        if let Some(vote) = self.own_vote.clone().filter(|_| now.elapsed < now.fraction(2, 8)) {
            let send = self.send(MessageKind::Vote, vote, now, 2);
            self.pending.push(send);
        }
    }

    /// Takes genesis and earlier shared randoms from the document of the epoch before; without it the chain begins anew
    /// (pki.md 9.4). Asked again at each step, because that document may come late.
    fn continue_chain(&mut self) -> bool {
        let previous = self.documents.get(&self.voting_epoch.before(1));
        match previous {
            Some(held) => {
                self.genesis = held.document.genesis_epoch;
                self.prior.0 = held.document.prior_shared_random.clone();
                true
            }
            None => {
                self.genesis = self.voting_epoch;
                false
            }
        }
    }

    /// Makes commit and reveal when there is time.
    fn prepare(&mut self, now: &EpochTime, random: &mut dyn Random) {
        if self.prepare_at.is_some_and(|at| now.unix >= at) {
            self.prepare_at = None;
            if self.state == State::AcceptDescriptors {
                // An error comes again, and is told, with the vote.
                self.prepared = self.commit(now, random).ok().map(|pair| (self.voting_epoch, pair));
            }
        }
    }

    fn commit(&self, now: &EpochTime, random: &mut dyn Random) -> Result<Pair, CertificateError> {
        let key_type = &self.configuration.scheme_text;
        shared_random::commit(self.voting_epoch, key_type, &*self.signer, now.epoch, random)
    }

    fn vote(&mut self, now: &EpochTime, random: &mut dyn Random, outputs: &mut Vec<Output>) -> Result<(), String> {
        let epoch = self.voting_epoch;
        let own = *self.configuration.own().identity.id();
        self.chained = self.continue_chain();
        let descriptors = self.descriptors.get(&epoch).into_iter().flat_map(|map| map.values().cloned());
        let replicas = self.replica_descriptors.get(&epoch).into_iter().flat_map(|map| map.values().cloned());
        let nodes = Nodes::new(descriptors.collect(), replicas.collect());
        let (descriptors, replicas) = nodes.counts();
        let parameters = self.configuration.parameters;
        let mut document = self.assemble(nodes, parameters, &NONE)?;
        let pair = match self.prepared.take() {
            Some((prepared, pair)) if prepared == epoch => pair,
            _ => self.commit(now, random).map_err(|error| error.to_string())?,
        };
        document.shared_random_commit.insert(own, pair.commit.clone());
        let vote = self.signed(&document, now, random)?;
        document.shared_random_commit.clear();
        self.round.votes.insert(own, document);
        self.round.held.commits.insert(own, pair.commit);
        self.round.held.reveals.insert(own, pair.reveal.clone());
        self.own_vote = Some(vote.clone());
        let genesis = !self.chained;
        outputs.push(Output::Notice(Notice::Voted { epoch, descriptors, replicas, genesis }));
        outputs.push(self.stored(MessageKind::Reveal, pair.reveal.into()));
        outputs.push(self.stored(MessageKind::Vote, vote.clone()));
        outputs.push(self.send(MessageKind::Vote, vote, now, 2));
        Ok(())
    }

    fn reveal(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) -> Result<(), String> {
        self.tell_missing(MessageKind::Vote, outputs);
        let own = self.configuration.own().identity.id();
        let reveal: Arc<[u8]> = match self.round.held.reveals.get(own) {
            Some(reveal) => reveal.as_slice().into(),
            None => return Err("there is none".into()),
        };
        outputs.push(self.send(MessageKind::Reveal, reveal, now, 3));
        Ok(())
    }

    /// pki.md 10.1.
    fn certify(&mut self, now: &EpochTime, random: &mut dyn Random, outputs: &mut Vec<Output>) -> Result<(), String> {
        self.tell_missing(MessageKind::Reveal, outputs);
        self.join_chain();
        let tally = tally(&self.round.votes, &self.configuration).map_err(|error| error.to_string())?;
        if !tally.left_out.is_empty() {
            let names = tally.left_out.iter().map(|id| self.configuration.node_name(id)).collect();
            outputs.push(Output::Notice(Notice::LeftOut { epoch: self.voting_epoch, names }));
        }
        let mut document = self.assemble(tally.nodes, tally.parameters, &NONE)?;
        document.shared_random_commit = self.round.held.commits.clone();
        document.shared_random_reveal = self.round.held.reveals.clone();
        self.prior.begin(self.voting_epoch);
        document.check(self.configuration.authorities.keys(), now.epoch).map_err(|error| error.to_string())?;
        let certificate = self.signed(&document, now, random)?;
        self.round.has_own_certificate = true;
        outputs.push(self.stored(MessageKind::Certificate, certificate.clone()));
        outputs.push(self.send(MessageKind::Certificate, certificate, now, 4));
        Ok(())
    }

    /// pki.md 10.2 and 10.8. An authority without a certificate of its own does it all the same (pki.md 20 item 6).
    fn sign_consensus(
        &mut self,
        now: &EpochTime,
        random: &mut dyn Random,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        let epoch = self.voting_epoch;
        let own = *self.configuration.own().identity.id();
        let needed = self.configuration.authorities.threshold();
        self.tell_missing(MessageKind::Certificate, outputs);
        self.join_chain();
        let certificates = self.round.all_certificates(&own);
        if certificates.len() < needed {
            return Err(format!("{} certificates are held, {needed} are needed", certificates.len()));
        }
        let keys = self.configuration.authorities.keys();
        let counted = shared_random::counted(&certificates, keys, epoch, now.epoch);
        for (id, strike) in &counted.struck {
            let authority = self.configuration.authority_name(id);
            outputs.push(Output::Notice(Notice::Struck { epoch, authority, strike: *strike }));
        }
        if counted.len() < needed {
            return Err(format!("{} reveals count for the shared random, {needed} are needed", counted.len()));
        }
        let shared_random = counted.value(epoch, &self.previous_shared_random());
        self.prior.rotate(epoch, self.genesis, &shared_random);
        let tally = tally(&self.round.votes, &self.configuration).map_err(|error| error.to_string())?;
        let document = self.assemble(tally.nodes, tally.parameters, &shared_random)?;
        document.check(self.configuration.authorities.keys(), now.epoch).map_err(|error| error.to_string())?;
        let (certificate, message) = self.sign_parts(&document, now, random).map_err(|error| error.to_string())?;
        self.round.consensus = Some((document, certificate));
        let message: Arc<[u8]> = message.encode().into();
        outputs.push(self.stored(MessageKind::Signature, message.clone()));
        outputs.push(self.send(MessageKind::Signature, message, now, 5));
        Ok(())
    }

    /// The own consensus with the own signature, and that signature in its certificate.
    fn sign_parts(
        &self,
        document: &Document,
        now: &EpochTime,
        random: &mut dyn Random,
    ) -> Result<(Certificate, Certificate), CertificateError> {
        let certificate = document.sign(&[&*self.signer], now.epoch, random)?;
        let signature = certificate.signatures.values().next().map(Signature::encode).unwrap_or_default();
        let mut message = Certificate::new(&self.configuration.scheme_text, signature, document.epoch);
        message.sign(&*self.signer, now.epoch, random)?;
        Ok((certificate, message))
    }

    /// 5P/8: collects the signatures, and publishes if there are enough.
    fn conclude(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) {
        let epoch = self.voting_epoch;
        self.tell_missing(MessageKind::Signature, outputs);
        match self.collect(now, outputs) {
            Ok((document, certificate)) => {
                let signatures = certificate.signatures.len();
                let raw: Arc<[u8]> = certificate.encode().into();
                let configuration = &self.configuration;
                let missing = configuration.names_without(|id| certificate.signatures.contains_key(id));
                let authorities = configuration.authorities.list().len();
                self.hold_document(document, raw.clone());
                outputs.push(Output::Store { key: StoreKey::Document { epoch }, value: raw.clone() });
                outputs.push(Output::Notice(Notice::Consensus { epoch, signatures, authorities, missing }));
                outputs.push(Output::Published { epoch, raw, signatures });
                (self.state, self.deadline) = (State::AcceptDescriptors, now.at(9, 8));
                self.prepare_at = Some(now.at(1, 1));
                self.begin_round(epoch.after(1));
            }
            Err(reason) => {
                outputs.push(Output::Notice(Notice::RoundLost { epoch, reason }));
                // Others may have reached it.
                self.lost = Some(epoch);
                self.fetch_at = Some(now.at(6, 8));
                self.sit_out(now);
            }
        }
    }

    fn collect(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) -> Result<(Document, Certificate), String> {
        let epoch = self.voting_epoch;
        let needed = self.configuration.authorities.threshold();
        let (document, mut certificate) =
            self.round.consensus.take().ok_or("there is no document of ours to be signed")?;
        for (id, signature) in std::mem::take(&mut self.round.signatures) {
            let key = self.configuration.authorities.keys().iter().find(|key| *key.id() == id);
            let added = key.map(|key| certificate.add_signature(key, signature, now.epoch));
            if !matches!(added, Some(Ok(()))) {
                let authority = self.configuration.authority_name(&id);
                outputs.push(Output::Notice(Notice::SignedOther { epoch, authority }));
            }
        }
        match certificate.signatures.len() {
            signatures if signatures < needed => Err(format!("{signatures} have signed it, {needed} are needed")),
            _ => Ok((document, certificate)),
        }
    }

    /// Takes up the chain if the document of the epoch before has come since the vote.
    fn join_chain(&mut self) {
        if !self.chained && self.documents.contains_key(&self.voting_epoch.before(1)) {
            self.chained = self.continue_chain();
        }
    }

    fn previous_shared_random(&self) -> [u8; 32] {
        let previous = self.documents.get(&self.voting_epoch.before(1));
        let value = previous.map(|held| held.document.shared_random_value.as_slice());
        value.and_then(|value| value.try_into().ok()).unwrap_or(NONE)
    }

    fn assemble(&self, nodes: Nodes, parameters: Parameters, shared_random: &[u8; 32]) -> Result<Document, String> {
        let previous = self.documents.get(&self.voting_epoch.before(1));
        let ingredients = Ingredients {
            epoch: self.voting_epoch,
            genesis: self.genesis,
            nodes,
            parameters,
            shared_random,
            prior: &self.prior.0,
            previous: previous.map(|held| &held.document),
        };
        ingredients.assemble(&self.configuration).map_err(|error| error.to_string())
    }

    fn signed(&self, document: &Document, now: &EpochTime, random: &mut dyn Random) -> Result<Arc<[u8]>, String> {
        let certificate = document.sign(&[&*self.signer], now.epoch, random).map_err(|error| error.to_string())?;
        Ok(certificate.encode().into())
    }

    fn stored(&self, kind: MessageKind, value: Arc<[u8]>) -> Output {
        let author = *self.configuration.own().identity.id();
        Output::Store { key: StoreKey::Message { epoch: self.voting_epoch, kind, author }, value }
    }

    /// To all others, until `eighths` of the epoch have passed, or, if they have, until the end of the phase under way.
    fn send(&self, kind: MessageKind, payload: Arc<[u8]>, now: &EpochTime, eighths: u32) -> Output {
        let deadline = (eighths..=8).map(|eighths| now.at(eighths, 8)).find(|end| *end > now.unix);
        let deadline = deadline.unwrap_or(now.unix);
        let last_try = deadline.saturating_sub(MARGIN_MAX.min(now.fraction(1, MARGIN_FRACTION)));
        let public_key = self.configuration.own().identity.bytes().to_vec();
        let message = Message { kind, epoch: self.voting_epoch, public_key, payload };
        Output::Send { to: self.configuration.others(), message, last_try, deadline }
    }

    fn tell_missing(&self, kind: MessageKind, outputs: &mut Vec<Output>) {
        let own = self.configuration.own().identity.id();
        let names = self.configuration.names_without(|id| id == own || self.round.has(kind, id, own));
        if !names.is_empty() {
            outputs.push(Output::Notice(Notice::Missing { epoch: self.voting_epoch, kind, names }));
        }
    }

    /// The documents that would let this authority go on with the chain, while that is of use.
    fn wanted(&self, now: &EpochTime) -> impl Iterator<Item = Epoch> {
        let is_idle = match self.state {
            State::Bootstrap => true,
            State::AcceptDescriptors => self.voting_epoch == now.epoch.after(1),
            _ => !self.chained,
        };
        let lost = self.lost_round(now).filter(|_| now.unix >= now.at(6, 8));
        let epochs = [lost, Some(now.epoch)].into_iter().flatten().filter(move |_| is_idle);
        epochs.filter(|epoch| !self.documents.contains_key(epoch))
    }

    /// The next epoch, if this authority has no part in its document, and does not hold it.
    fn lost_round(&self, now: &EpochTime) -> Option<Epoch> {
        self.lost.filter(|lost| *lost == now.epoch.after(1) && !self.documents.contains_key(lost))
    }

    /// Fetches it, again and again until it is held.
    fn fetch(&mut self, now: &EpochTime, outputs: &mut Vec<Output>) {
        if self.fetch_at.is_some_and(|at| now.unix >= at) {
            let wanted: Vec<Epoch> = self.wanted(now).collect();
            self.fetch_at = match wanted.is_empty() {
                false => Some(now.unix + now.fraction(1, 16)),
                true => self.lost_round(now).map(|_| now.at(6, 8)).filter(|at| *at > now.unix),
            };
            wanted.into_iter().for_each(|epoch| self.fetch_one(epoch, now, outputs));
        }
    }

    fn fetch_one(&self, epoch: Epoch, now: &EpochTime, outputs: &mut Vec<Output>) {
        if !self.documents.contains_key(&epoch) {
            outputs.push(Output::Fetch { epoch, deadline: now.unix + now.fraction(1, 4).min(FETCH_MAX) });
        }
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Duration {
        match self.started {
            true => [self.fetch_at, self.prepare_at].into_iter().flatten().fold(self.deadline, Duration::min),
            false => Duration::ZERO,
        }
    }
}
