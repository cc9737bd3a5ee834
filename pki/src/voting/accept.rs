//! Requests of peers, after [`super::inspect`]: what is held already decides (pki.md 8.4 to 8.9). Only the epoch that is
//! voted on is asked, never the state: a vote may come while descriptors do.

use super::inspect::{Body, Content, Inspected, Posted, Received, Refused};
use super::message::{MessageKind, PostStatus, Reply, Status};
use super::notice::Notice;
use super::store::StoreKey;
use super::{Handled, Output, Voting};
use crate::epoch::{Epoch, EpochTime};
use crate::identity::NodeId;

impl Voting {
    pub(super) fn accept(&mut self, inspected: Inspected, now: &EpochTime) -> Handled {
        let mut outputs = Vec::new();
        let reply = match inspected.0 {
            Content::GetConsensus(epoch) => {
                let (code, raw) = self.documents().answer(epoch, now);
                Reply::Consensus { code, payload: raw.unwrap_or_default() }
            }
            Content::Upload(posted) => {
                let key = StoreKey::Descriptor { epoch: posted.epoch, id: posted.id };
                Reply::PostDescriptorStatus(self.accept_upload(posted, key, now, &mut outputs))
            }
            Content::ReplicaUpload(posted) => {
                let key = StoreKey::ReplicaDescriptor { epoch: posted.epoch, id: posted.id };
                Reply::PostReplicaDescriptorStatus(self.accept_upload(posted, key, now, &mut outputs))
            }
            Content::Message(received) => self.accept_message(received, &mut outputs),
        };
        Handled { outputs, reply }
    }

    fn accept_upload<D: Uploaded>(
        &mut self,
        posted: Posted<D>,
        key: StoreKey,
        now: &EpochTime,
        outputs: &mut Vec<Output>,
    ) -> PostStatus {
        let Posted { epoch, id, payload, descriptor } = posted;
        let name = self.configuration.node_name(&id);
        let has_consensus = self.documents.contains_key(&epoch);
        let stored = descriptor.and_then(|descriptor| match D::held(self, epoch, &id) {
            Some(held) if *held == descriptor => Ok(None),
            Some(_) => Err(conflict("another descriptor of this node is stored for this epoch")),
            None if has_consensus => Err(conflict("this epoch has its consensus already")),
            None => Ok(Some(descriptor)),
        });
        match stored {
            Ok(None) => PostStatus::Ok,
            Ok(Some(descriptor)) => {
                D::hold(self, epoch, id, descriptor);
                let late = self.is_late(epoch, now);
                outputs.push(Output::Store { key, value: payload });
                outputs.push(Output::Notice(Notice::DescriptorAccepted { name, epoch, late }));
                PostStatus::Ok
            }
            Err(Refused { status, reason }) => {
                outputs.push(Output::Notice(Notice::DescriptorRefused { name, epoch, status, reason }));
                status
            }
        }
    }

    /// Whether the own vote for `epoch` has been cast, so that a descriptor helps nobody.
    fn is_late(&self, epoch: Epoch, now: &EpochTime) -> bool {
        epoch <= now.epoch || (epoch == now.epoch.after(1) && now.elapsed > now.fraction(1, 8))
    }

    fn accept_message(&mut self, received: Received, outputs: &mut Vec<Output>) -> Reply {
        let Received { kind, epoch, author, payload, body } = received;
        let status = match self.placed(kind, epoch, author, body) {
            Ok((author, body)) => {
                let key = StoreKey::Message { epoch: self.voting_epoch, kind, author };
                outputs.push(Output::Store { key, value: payload.clone() });
                self.disagreements(&author, &body, outputs);
                self.hold_message(author, body, &payload);
                Status::Ok
            }
            Err(Refused { status, reason }) => {
                let authority = author.map(|author| self.configuration.authority_name(&author));
                outputs.push(Output::Notice(Notice::MessageRefused { authority, kind, epoch, status, reason }));
                status
            }
        };
        Reply::MessageStatus { kind, status }
    }

    /// Whether a message fits into the round, in the reference's order of checks for each kind.
    pub(super) fn placed(
        &self,
        kind: MessageKind,
        epoch: Epoch,
        author: Option<NodeId>,
        body: Result<Body, Refused<Status>>,
    ) -> Result<(NodeId, Body), Refused<Status>> {
        let Some(author) = author else { return Err(refuse(Status::NotAuthorized, "its author is no authority")) };
        let own = self.configuration.own().identity.id();
        // An echo of an own message would be taken by the reference (pki.md 20 item 10).
        let has = author == *own || self.round.has(kind, &author, own);
        let twice = || match has {
            true => Err(refuse(Status::AlreadyReceived, "there is one of this authority already")),
            false => Ok(()),
        };
        match kind {
            MessageKind::Vote => {
                self.check_epoch(epoch, [Status::TooEarly, Status::TooLate])?;
                twice()?;
                match body? {
                    Body::Vote { document, .. } if document.epoch != self.voting_epoch => {
                        Err(refuse(Status::Malformed, "its document is for another epoch"))
                    }
                    body => Ok((author, body)),
                }
            }
            MessageKind::Reveal => {
                let body = body?;
                if let Body::Reveal { epoch } = body {
                    self.check_epoch(epoch, [Status::TooLate, Status::TooEarly])?;
                }
                if !self.round.held.commits.contains_key(&author) {
                    return Err(refuse(Status::TooEarly, "there is no vote of this authority"));
                }
                twice().map(|()| (author, body))
            }
            MessageKind::Certificate => {
                self.check_epoch(epoch, [Status::TooEarly, Status::TooLate])?;
                let body = body?;
                if !self.round.votes.contains_key(&author) {
                    return Err(refuse(Status::TooEarly, "there is no vote of this authority"));
                }
                twice().map(|()| (author, body))
            }
            MessageKind::Signature => {
                self.check_epoch(epoch, [Status::TooEarly, Status::TooLate])?;
                let body = body?;
                twice()?;
                match body {
                    Body::Signature(Err(reason)) => Err(refuse(Status::Malformed, reason)),
                    body => Ok((author, body)),
                }
            }
        }
    }

    /// `[below, above]`: what is said to an epoch before and after the one voted on.
    fn check_epoch(&self, epoch: Epoch, [below, above]: [Status; 2]) -> Result<(), Refused<Status>> {
        let status = match epoch.cmp(&self.voting_epoch) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Greater => above,
        };
        Err(refuse(status, format!("it is for epoch {epoch}, epoch {} is voted on", self.voting_epoch)))
    }

    pub(super) fn hold_message(&mut self, author: NodeId, body: Body, payload: &[u8]) {
        match body {
            Body::Vote { document, commit } => {
                self.round.votes.insert(author, *document);
                self.round.held.commits.insert(author, commit);
            }
            Body::Reveal { .. } => {
                self.round.held.reveals.insert(author, payload.to_vec());
            }
            Body::Certificate(contribution) => {
                self.round.certificates.insert(author, contribution);
            }
            Body::Signature(Ok(signature)) => {
                self.round.signatures.insert(author, signature);
            }
            Body::Signature(Err(_)) => {}
        }
    }

    /// What of a vote shows that its author is configured otherwise, so that no common document can come of it.
    fn disagreements(&self, author: &NodeId, body: &Body, outputs: &mut Vec<Output>) {
        let Body::Vote { document: vote, .. } = body else { return };
        let (own, mut what) = (&self.configuration.parameters, Vec::new());
        let rates = [
            ("Mu", vote.mu, own.mu),
            ("LambdaP", vote.lambda_p, own.lambda_p),
            ("LambdaL", vote.lambda_l, own.lambda_l),
            ("LambdaM", vote.lambda_m, own.lambda_m),
            ("LambdaR", vote.lambda_r, own.lambda_r),
            ("LambdaG", vote.lambda_g, super::lambda_g::lambda_g(&self.configuration)),
        ];
        what.extend(rates.into_iter().filter(|(_, theirs, ours)| theirs != ours).map(|(name, ..)| name));
        if vote.sphinx_geometry_hash != self.configuration.geometry_hash {
            what.push("SphinxGeometry");
        }
        if vote.pki_signature_scheme != self.configuration.scheme_text {
            what.push("PKISignatureScheme");
        }
        if vote.topology.len() != self.configuration.layers() {
            what.push("Topology.Layers");
        }
        if !what.is_empty() {
            let authority = self.configuration.authority_name(author);
            outputs.push(Output::Notice(Notice::Disagreement { authority, what }));
        }
    }
}

fn refuse<S>(status: S, reason: impl Into<String>) -> Refused<S> {
    Refused { status, reason: reason.into() }
}

fn conflict(reason: &str) -> Refused<PostStatus> {
    refuse(PostStatus::Conflict, reason)
}

/// A kind of descriptor and where it is held.
pub(super) trait Uploaded: PartialEq + Sized {
    fn held<'a>(voting: &'a Voting, epoch: Epoch, id: &NodeId) -> Option<&'a Self>;
    fn hold(voting: &mut Voting, epoch: Epoch, id: NodeId, descriptor: Self);
}

impl Uploaded for crate::descriptor::MixDescriptor {
    fn held<'a>(voting: &'a Voting, epoch: Epoch, id: &NodeId) -> Option<&'a Self> {
        voting.descriptors.get(&epoch)?.get(id)
    }

    fn hold(voting: &mut Voting, epoch: Epoch, id: NodeId, descriptor: Self) {
        voting.descriptors.entry(epoch).or_default().insert(id, descriptor);
    }
}

impl Uploaded for crate::descriptor::ReplicaDescriptor {
    fn held<'a>(voting: &'a Voting, epoch: Epoch, id: &NodeId) -> Option<&'a Self> {
        voting.replica_descriptors.get(&epoch)?.get(id)
    }

    fn hold(voting: &mut Voting, epoch: Epoch, id: NodeId, descriptor: Self) {
        voting.replica_descriptors.entry(epoch).or_default().insert(id, descriptor);
    }
}
