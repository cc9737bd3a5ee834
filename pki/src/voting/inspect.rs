//! Everything about a request that needs no state: decoding and verifying. It may take as long as signatures take, on
//! any thread.

use super::configuration::Configuration;
use super::message::{Message, MessageKind, Peer, PostStatus, Request, Status};
use super::round::Contribution;
use super::shared_random::{self, split};
use crate::certificate::{Certificate, Signature};
use crate::descriptor::{MixDescriptor, ReplicaDescriptor, SignedReplicaUpload, SignedUpload, UploadError};
use crate::document::{Document, parse};
use crate::epoch::{Epoch, EpochTime};
use crate::identity::{NodeId, VerifyingKey, hash};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request, decoded and verified as far as that goes without state.
#[derive(Debug)]
pub struct Inspected(pub(super) Content);

#[derive(Debug)]
pub(super) enum Content {
    GetConsensus(Epoch),
    Upload(Posted<MixDescriptor>),
    ReplicaUpload(Posted<ReplicaDescriptor>),
    Message(Received),
}

/// Something was refused, and this is said about it and this is the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused<S> {
    pub(super) status: S,
    pub(super) reason: String,
}

fn refused<S>(status: S, reason: impl ToString) -> Refused<S> {
    Refused { status, reason: reason.to_string() }
}

/// An upload: the claimed identity and what was found.
#[derive(Debug)]
pub(super) struct Posted<D> {
    pub(super) epoch: Epoch,
    pub(super) id: NodeId,
    pub(super) payload: Arc<[u8]>,
    pub(super) descriptor: Result<D, Refused<PostStatus>>,
}

/// Another authority's message.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) kind: MessageKind,
    /// The command's epoch.
    pub(super) epoch: Epoch,
    /// Who has made it, if that is an authority.
    pub(super) author: Option<NodeId>,
    pub(super) payload: Arc<[u8]>,
    pub(super) body: Result<Body, Refused<Status>>,
}

#[derive(Debug)]
pub(super) enum Body {
    Vote { document: Box<Document>, commit: Vec<u8> },
    Reveal { epoch: Epoch },
    Certificate(Contribution),
    Signature(Result<Signature, String>),
}

impl Configuration {
    /// Decodes a request and verifies its signatures. `peer` must be allowed to make it ([`Peer::may_send`]); what it
    /// is not allowed to is refused here too.
    pub fn inspect(&self, peer: &Peer, request: Request, now: &EpochTime) -> Inspected {
        let id = match peer {
            Peer::Node(id) | Peer::Replica(id) => *id,
            Peer::Client | Peer::Authority(_) => NodeId::default(),
        };
        Inspected(match request {
            Request::GetConsensus { epoch } => Content::GetConsensus(epoch),
            Request::PostDescriptor { epoch, payload } => {
                let descriptor = self.inspect_upload(&id, epoch, &payload, now);
                Content::Upload(Posted { epoch, id, payload, descriptor })
            }
            Request::PostReplicaDescriptor { epoch, payload } => {
                let descriptor = self.inspect_replica_upload(&id, epoch, &payload, now);
                Content::ReplicaUpload(Posted { epoch, id, payload, descriptor })
            }
            Request::Message(message) => Content::Message(self.inspect_message(message, now.epoch)),
        })
    }

    /// In the reference's order (pki.md 8.5).
    fn inspect_upload(
        &self,
        id: &NodeId,
        epoch: Epoch,
        payload: &[u8],
        now: &EpochTime,
    ) -> Result<MixDescriptor, Refused<PostStatus>> {
        check_upload_epoch(epoch, now)?;
        self.check_upload_bytes(payload.len(), self.segments_max())?;
        let upload = SignedUpload::decode(payload).map_err(|error| refused(PostStatus::DeserializeFailed, error))?;
        let ratios = upload.loop_stats.as_ref().and_then(|stats| stats.segment_ratios.as_ref());
        self.check_upload_bytes(payload.len(), ratios.map_or(0, BTreeMap::len))?;
        let descriptor = upload.descriptor.as_ref().ok_or_else(no_descriptor)?;
        self.check_identity(id, descriptor.identity_key())?;
        let scheme = self.own().identity.scheme();
        upload.verify(scheme).map_err(bad_signature)?;
        if !self.allows(descriptor) {
            return Err(unauthorized(&descriptor.name));
        }
        descriptor.check(epoch).map_err(|reason| refused(PostStatus::Malformed, reason))?;
        self.check_mix_keys(descriptor)?;
        check_form(upload.was_written_canonically(payload))?;
        if descriptor.epoch != epoch {
            let reason = format!("the descriptor says epoch {}, it was posted for epoch {epoch}", descriptor.epoch);
            return Err(refused(PostStatus::InvalidEpoch, reason));
        }
        upload.descriptor.ok_or_else(no_descriptor)
    }

    fn inspect_replica_upload(
        &self,
        id: &NodeId,
        epoch: Epoch,
        payload: &[u8],
        now: &EpochTime,
    ) -> Result<ReplicaDescriptor, Refused<PostStatus>> {
        check_upload_epoch(epoch, now)?;
        self.check_upload_bytes(payload.len(), 0)?;
        let upload =
            SignedReplicaUpload::decode(payload).map_err(|error| refused(PostStatus::DeserializeFailed, error))?;
        let descriptor = upload.descriptor.as_ref().ok_or_else(no_descriptor)?;
        self.check_identity(id, descriptor.identity_key())?;
        let scheme = self.own().identity.scheme();
        upload.verify(scheme).map_err(bad_signature)?;
        if !self.allows_replica(descriptor) {
            return Err(unauthorized(&descriptor.name));
        }
        descriptor.check().map_err(|reason| refused(PostStatus::Malformed, reason))?;
        check_form(upload.was_written_canonically(payload))?;
        upload.descriptor.ok_or_else(no_descriptor)
    }

    /// What is accepted goes into the votes and documents of everybody.
    fn check_upload_bytes(&self, bytes: usize, segments: usize) -> Result<(), Refused<PostStatus>> {
        let bytes_max = self.upload_bytes_max(segments);
        if bytes <= bytes_max {
            return Ok(());
        }
        let reason = format!(
            "the upload has {bytes} bytes, with its keys, signature and loop statistics it may have {bytes_max}: shorten \
             what its services advertise (PKIAdvertizedData)"
        );
        Err(refused(PostStatus::Malformed, reason))
    }

    fn check_identity(&self, id: &NodeId, identity_key: &[u8]) -> Result<(), Refused<PostStatus>> {
        if hash(identity_key) != *id {
            return Err(refused(
                PostStatus::IdentityMismatch,
                "its identity key is not the one that the session names",
            ));
        }
        let scheme = self.own().identity.scheme();
        let found = scheme.check_public_key(identity_key);
        found.map_err(|error| refused(PostStatus::IdentityUnmarshalFailed, format!("identity key: {error}")))
    }

    fn check_mix_keys(&self, descriptor: &MixDescriptor) -> Result<(), Refused<PostStatus>> {
        let Some(wanted) = self.mix_key_bytes else { return Ok(()) };
        let mut lengths = descriptor.mix_keys.iter().flatten().filter_map(|(_, key)| Some(key.as_ref()?.len()));
        match lengths.find(|length| *length != wanted) {
            None => Ok(()),
            Some(length) => {
                let reason = format!(
                    "its mix keys have {length} bytes, this network's have {wanted}: it is configured with another \
                     [SphinxGeometry]"
                );
                Err(refused(PostStatus::Malformed, reason))
            }
        }
    }

    pub(super) fn inspect_message(&self, message: Message, now: Epoch) -> Received {
        let Message { kind, epoch, public_key, payload } = message;
        let key = self.authorities.keys().iter().find(|key| key.bytes() == public_key);
        let body = match key {
            None => Err(refused(Status::NotAuthorized, "its author is no configured authority")),
            Some(key) => match kind {
                MessageKind::Vote => inspect_vote(key, &payload, now),
                MessageKind::Reveal => inspect_reveal(key, &payload, now),
                MessageKind::Certificate => self.inspect_certificate(key, &payload, now),
                MessageKind::Signature => inspect_signature(key, &payload, now),
            },
        };
        Received { kind, epoch, author: key.map(|key| *key.id()), payload, body }
    }

    fn inspect_certificate(&self, key: &VerifyingKey, payload: &[u8], now: Epoch) -> Result<Body, Refused<Status>> {
        let document = verified_document(key, payload, now)?;
        let parts = document.shared_random_commit.iter().chain(&document.shared_random_reveal);
        for (id, part) in parts {
            // Stricter than the reference, which takes nodes' keys too and cannot tally what is too short
            // (pki.md 20 items 4 and 5). No honest authority's certificate has either.
            let name = self.authority_name(id);
            if self.number(id).is_none() {
                return Err(refused(Status::Malformed, "it holds a commit or reveal of somebody who is no authority"));
            }
            shared_random::shape(part)
                .map_err(|error| refused(Status::Malformed, format!("commit or reveal of {name}: {error}")))?;
        }
        Ok(Body::Certificate(Contribution {
            commits: document.shared_random_commit,
            reveals: document.shared_random_reveal,
        }))
    }
}

fn check_upload_epoch(epoch: Epoch, now: &EpochTime) -> Result<(), Refused<PostStatus>> {
    if (now.epoch.before(1)..=now.epoch.after(1)).contains(&epoch) {
        return Ok(());
    }
    let reason = format!("it is for epoch {epoch}, now is {}: compare clocks and KATZENPOST_EPOCH_DURATION", now.epoch);
    Err(refused(PostStatus::InvalidEpoch, reason))
}

/// Stricter than the reference, which takes what it would write otherwise: authorities that count votes by bytes must not
/// depend on how each of them writes it again.
fn check_form(is_canonical: bool) -> Result<(), Refused<PostStatus>> {
    match is_canonical {
        true => Ok(()),
        false => Err(refused(PostStatus::Malformed, "its descriptor is not written canonically")),
    }
}

fn no_descriptor() -> Refused<PostStatus> {
    refused(PostStatus::NilDescriptor, UploadError::NoDescriptor)
}

fn unauthorized(name: &str) -> Refused<PostStatus> {
    let reason = format!("no node {name:?} with this identity key and role is configured at this authority");
    refused(PostStatus::Unauthorized, reason)
}

/// What is signed is the canonical encoding of the known fields, so that an unknown one is as good as a bad signature.
/// Which of them it is would take another encoding to tell, at the cost of whoever sent it to the wrong place only once.
fn bad_signature(error: UploadError) -> Refused<PostStatus> {
    let hint = "or it has fields that this version does not know, or is not written canonically";
    refused(PostStatus::SignatureInvalid, format!("{error}, {hint}"))
}

fn verified_document(key: &VerifyingKey, payload: &[u8], now: Epoch) -> Result<Document, Refused<Status>> {
    let (certificate, document) = parse(payload, now).map_err(|error| refused(Status::NotSigned, error))?;
    certificate.verify(key, now).map_err(|error| refused(Status::NotSigned, error))?;
    Ok(document)
}

fn inspect_vote(key: &VerifyingKey, payload: &[u8], now: Epoch) -> Result<Body, Refused<Status>> {
    let mut document = verified_document(key, payload, now)?;
    let commit = document.shared_random_commit.remove(key.id());
    let commit = commit.ok_or_else(|| refused(Status::Malformed, "it has no commit of its author"))?;
    // The reference takes any bytes here and then cannot make its certificate (pki.md 20 item 2).
    let part = shared_random::verify(key, &commit, now)
        .map_err(|error| refused(Status::Malformed, format!("its commit: {error}")))?;
    if split(&part).0 != document.epoch {
        return Err(refused(Status::Malformed, "its commit is for another epoch"));
    }
    Ok(Body::Vote { document: Box::new(document), commit })
}

fn inspect_reveal(key: &VerifyingKey, payload: &[u8], now: Epoch) -> Result<Body, Refused<Status>> {
    let part = shared_random::verify(key, payload, now).map_err(|error| refused(Status::NotSigned, error))?;
    Ok(Body::Reveal { epoch: split(&part).0 })
}

fn inspect_signature(key: &VerifyingKey, payload: &[u8], now: Epoch) -> Result<Body, Refused<Status>> {
    let not_signed = |error| refused(Status::NotSigned, error);
    let certificate = Certificate::decode(payload).map_err(not_signed)?;
    let certified = certificate.verify(key, now).map_err(not_signed)?;
    let signature = Signature::decode(certified).map_err(|error| error.to_string());
    // The reference files it under the sender, where it never counts (pki.md 20 item 9).
    Ok(Body::Signature(signature.and_then(|signature| match signature.public_key_sum256 == *key.id() {
        true => Ok(signature),
        false => Err("it names another key than its author's".into()),
    })))
}
