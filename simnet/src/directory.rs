//! What goes between authorities, and between nodes and authorities: carried as messages, not as bytes of links.

use crate::happening::Happening;
use crate::world::World;
use pki::authority::{Answer, ConsensusCode, DescriptorCode, FetchPass};
use pki::certificate::Certificate;
use pki::publish::{Action, UploadAnswer};
use pki::voting::{Message, Output, Peer, Reply, Request};
use pki::{Epoch, hash};
use std::sync::Arc;
use std::time::Duration;

/// An authority's answer to a fetch.
type Answered = (ConsensusCode, Arc<[u8]>);

/// Between two tries to reach an authority.
const RETRY: Duration = Duration::from_millis(700);

impl World {
    /// Does what an authority has to do by now.
    pub fn poll_authority(&mut self, who: usize) {
        let now = self.time_of(&self.authorities[who].air);
        if self.authorities[who].voting.as_ref().is_some_and(|voting| voting.next_deadline() <= now.unix) {
            let outputs = self.authorities[who].poll(&now, &mut self.random);
            self.carry_out(who, outputs);
        }
    }

    fn carry_out(&mut self, who: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, message, last_try, .. } => {
                    for to in to {
                        let at = self.now() + self.delay();
                        self.plan(at, Happening::Message { from: who, to, message: message.clone(), last_try });
                    }
                }
                Output::Fetch { epoch, .. } => {
                    let at = self.now() + self.delay();
                    self.plan(at, Happening::AuthorityFetch { who, epoch });
                }
                Output::Published { epoch, raw, signatures } => {
                    self.tell(format!("authority {who} publishes epoch {} with {signatures} signatures", epoch.0));
                    self.publishers.entry(epoch).or_default().insert(who);
                    self.compare(epoch, &raw);
                }
                Output::Notice(notice) => self.tell(format!("authority {who}: {notice}")),
                Output::Store { .. } | Output::Prune { .. } => {}
            }
        }
    }

    /// There is one document for an epoch, or none.
    fn compare(&mut self, epoch: Epoch, raw: &[u8]) {
        let keys = self.verifier.authorities.clone();
        let signed = Certificate::decode(raw).map_err(|error| error.to_string()).and_then(|certificate| {
            let signed = certificate.verify_threshold(keys.keys(), keys.threshold(), epoch);
            signed.map(|(payload, _)| hash(payload)).map_err(|error| error.to_string())
        });
        match signed {
            Err(error) => self.broken = Some(format!("the document of epoch {}: {error}", epoch.0)),
            Ok(hash) if *self.consensus.entry(epoch).or_insert(hash) != hash => {
                self.broken = Some(format!("two documents for epoch {}", epoch.0));
            }
            Ok(_) => {}
        }
    }

    /// Carries on with what is under way.
    pub fn let_happen(&mut self, what: Happening) {
        match what {
            Happening::Message { from, to, message, last_try } => {
                if !self.hear(from, to) || self.authorities[to].voting.is_none() || self.loses() {
                    let again = self.now() + RETRY;
                    if self.time_of(&self.authorities[from].air).unix + RETRY < last_try {
                        self.plan(again, Happening::Message { from, to, message, last_try });
                    }
                    return;
                }
                let now = self.time_of(&self.authorities[to].air);
                let kind = message.kind;
                if self.loses() {
                    // The sender does not know that it has arrived.
                    let again = self.now() + RETRY;
                    self.plan(again, Happening::Message { from, to, message: message.clone(), last_try });
                }
                let message = Message { payload: self.carried(&message.payload), ..message };
                let answered = self.authorities[to].ask(Peer::Authority(from), Request::Message(message), &now);
                if let Some((reply, outputs)) = answered {
                    self.carry_out(to, outputs);
                    let at = self.now() + self.delay();
                    let code = reply.code();
                    self.plan(at, Happening::MessageAnswer { from: to, to: from, kind, code });
                }
            }
            Happening::MessageAnswer { from, to, kind, code } => {
                if self.hear(from, to) {
                    let voting = self.authorities[to].voting.as_mut();
                    let outputs = voting.map(|voting| voting.handle_answer(from, kind, code)).unwrap_or_default();
                    self.carry_out(to, outputs);
                }
            }
            Happening::AuthorityFetch { who, epoch } => self.fetch_for_authority(who, epoch),
            Happening::Upload { node, authority, epoch, payload } => self.upload(node, authority, epoch, payload),
            Happening::NodeFetch { node, epoch } => self.fetch_for_node(node, epoch),
            Happening::Fault(fault) => self.apply(fault),
        }
    }

    /// What all authorities that a member reaches say, from a random one on.
    fn ask_all(&mut self, member: usize, epoch: Epoch) -> Vec<(usize, Option<Answered>)> {
        let count = self.authorities.len();
        let first = self.below(count as u64) as usize;
        let mut all = Vec::new();
        for authority in (0..count).map(|at| (first + at) % count).filter(|authority| *authority != member) {
            let is_lost = !self.hear(member, authority) || self.loses();
            let now = self.time_of(&self.authorities[authority].air);
            let voting = self.authorities[authority].voting.as_ref().filter(|_| !is_lost);
            let answer = voting.map(|voting| voting.documents().answer(epoch, &now));
            let answer = answer.map(|(code, raw)| (code, raw.unwrap_or_default()));
            all.push((authority, answer.map(|(code, raw)| (code, self.carried(&raw)))));
        }
        all
    }

    fn fetch_for_authority(&mut self, who: usize, epoch: Epoch) {
        let now = self.time_of(&self.authorities[who].air);
        for (_, answer) in self.ask_all(who, epoch) {
            if let Some((ConsensusCode::Ok, raw)) = answer
                && let Ok(consensus) = self.verifier.verify(raw.clone(), epoch, now.epoch)
            {
                self.compare(epoch, &raw);
                let voting = self.authorities[who].voting.as_mut();
                let outputs = voting.map(|voting| voting.handle_fetched(consensus)).unwrap_or_default();
                let outputs = self.authorities[who].keep(outputs);
                self.carry_out(who, outputs);
                return;
            }
        }
    }

    /// Does what a node's control plane has to do by now.
    pub fn poll_worker(&mut self, node: usize) {
        loop {
            let now = self.time_of(&self.nodes[node].air);
            let random = &mut self.random;
            let worker = self.nodes[node].worker.as_mut();
            let Some(action) = worker.and_then(|worker| worker.poll(&now, random)) else { return };
            let life = (node, self.nodes[node].generation);
            match action {
                Action::MakeMixKeys { first, .. } => self.nodes[node].make_keys(first),
                Action::PruneMixKeys { before, after } => self.nodes[node].prune_keys(before, after),
                Action::PrepareUpload { epoch } => self.nodes[node].prepare(epoch, &now),
                Action::Upload { epoch, authority, payload, .. } => {
                    let at = self.now() + self.delay();
                    self.plan(at, Happening::Upload { node: life, authority, epoch, payload });
                }
                Action::Published { epoch } => self.nodes[node].published(epoch),
                Action::UploadEnded { epoch, outcome } => {
                    let name = self.nodes[node].keys.own.name.clone();
                    self.tell(format!("{name}: the upload for epoch {} ended: {outcome:?}", epoch.0));
                }
                Action::Fetch { epoch, .. } => {
                    let at = self.now() + self.delay();
                    self.plan(at, Happening::NodeFetch { node: life, epoch });
                }
                Action::PruneDocuments { before } => self.nodes[node].prune_documents(before),
                Action::Announce { .. } => {}
            }
            self.wake(node);
        }
    }

    fn upload(&mut self, (node, life): (usize, u64), authority: usize, epoch: Epoch, payload: Arc<[u8]>) {
        if self.nodes[node].generation != life {
            return;
        }
        let mut answer = UploadAnswer::Failed;
        if self.hear(self.member_of_node(node), authority) && !self.loses() {
            let (now, peer) = (self.time_of(&self.authorities[authority].air), Peer::Node(self.nodes[node].keys.id));
            let request = Request::PostDescriptor { epoch, payload: self.carried(&payload) };
            if let Some((reply @ Reply::PostDescriptorStatus(_), outputs)) =
                self.authorities[authority].ask(peer, request, &now)
            {
                self.carry_out(authority, outputs);
                answer = DescriptorCode::from_wire(reply.code()).map_or(answer, UploadAnswer::Status);
            }
        }
        // The answer may be lost where the upload was not.
        if self.loses() {
            answer = UploadAnswer::Failed;
        }
        let now = self.time_of(&self.nodes[node].air);
        if let Some(worker) = &mut self.nodes[node].worker {
            worker.handle_upload(epoch, authority, answer, &now);
        }
    }

    fn fetch_for_node(&mut self, (node, life): (usize, u64), epoch: Epoch) {
        if self.nodes[node].generation != life {
            return;
        }
        let now = self.time_of(&self.nodes[node].air);
        let mut pass = FetchPass::new(epoch, self.authorities.len());
        for (authority, answer) in self.ask_all(self.member_of_node(node), epoch) {
            let Some((code, raw)) = answer else {
                pass.handle_unreachable(authority);
                continue;
            };
            if let Answer::Document(consensus) = pass.handle_answer(authority, Some(code), raw, &self.verifier, &now) {
                self.compare(epoch, consensus.raw());
                self.nodes[node].take_document(&consensus);
                self.wake(node);
                return;
            }
        }
        let random = &mut self.random;
        if let Some(worker) = &mut self.nodes[node].worker {
            worker.handle_fetch_failed(epoch, pass.answers(), &now, random);
        }
    }
}
