//! The signed wrappers in which descriptors are uploaded (pki.md 4.5).

use super::{MixDescriptor, ReplicaDescriptor};
use crate::cbor::{self, CborError, Content, Item, Value, record, record_fields};
use crate::certificate::Signature;
use crate::epoch::Epoch;
use crate::identity::NodeId;
use crypto_simd::random::Random;
use crypto_simd::schemes::{Signature as SignatureScheme, SignatureSigningKey};
use std::collections::BTreeMap;

const UPLOAD_FIELDS: [&str; 3] = ["LoopStats", "Signature", "MixDescriptor"];
const REPLICA_UPLOAD_FIELDS: [&str; 2] = ["Signature", "ReplicaDescriptor"];
const LOOP_STATS_FIELDS: [&str; 3] = ["Epoch", "SegmentRatios", "MixIdentityHash"];

/// Two consecutive hops of a path: the ids of both.
pub type Segment = [u8; 64];

/// Why an upload is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Not the encoding of an upload.
    #[error("malformed upload: {0}")]
    Cbor(#[from] CborError),
    /// No descriptor inside.
    #[error("upload without a descriptor")]
    NoDescriptor,
    /// No signature inside.
    #[error("upload without a signature")]
    NotSigned,
    /// A signature that does not verify.
    #[error("bad signature")]
    BadSignature,
    /// The signing key is not the descriptor's identity key.
    #[error("the signing key is not the descriptor's identity key")]
    OtherKey,
}

/// How many of a node's loops came back, per segment (server.md 7.4). Authorities store nothing of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopStats {
    /// The epoch that is being published.
    pub epoch: Epoch,
    /// Completed loops per sent one.
    pub segment_ratios: Option<BTreeMap<Segment, f64>>,
    /// The hash of the node's own identity key.
    pub mix_identity_hash: Option<NodeId>,
}

/// The upload of a mix, gateway or service node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignedUpload {
    /// Loop statistics; nodes always send them.
    pub loop_stats: Option<LoopStats>,
    /// The identity key's signature over the upload with a null signature.
    pub signature: Option<Signature>,
    /// The descriptor.
    pub descriptor: Option<MixDescriptor>,
}

/// The upload of a storage replica.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignedReplicaUpload {
    /// The identity key's signature over the upload with a null signature.
    pub signature: Option<Signature>,
    /// The descriptor.
    pub descriptor: Option<ReplicaDescriptor>,
}

impl SignedUpload {
    /// A signed upload of `descriptor`.
    pub fn sign(
        descriptor: MixDescriptor,
        loop_stats: LoopStats,
        signer: &dyn SignatureSigningKey,
        random: &mut dyn Random,
    ) -> Result<Self, UploadError> {
        if signer.public_key() != descriptor.identity_key() {
            return Err(UploadError::OtherKey);
        }
        let mut upload = Self { loop_stats: Some(loop_stats), signature: None, descriptor: Some(descriptor) };
        upload.signature = Some(Signature::new(signer, &upload.encode_with(None), random));
        Ok(upload)
    }

    /// Reads an upload; nothing is verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, UploadError> {
        let [loop_stats, signature, descriptor] = record_fields(cbor::decode(bytes)?, "SignedUpload", &UPLOAD_FIELDS)?;
        Ok(Self {
            loop_stats: nullable(loop_stats, LoopStats::from_item)?,
            signature: nullable(signature, Signature::from_item)?,
            descriptor: nullable(descriptor, MixDescriptor::from_nested)?,
        })
    }

    /// Whether the descriptor stands in `bytes`, from which this was read, as [`Self::encode`] writes it.
    pub fn was_written_canonically(&self, bytes: &[u8]) -> bool {
        let sent = cbor::decode(bytes).and_then(|item| record_fields(item, "SignedUpload", &UPLOAD_FIELDS));
        match (sent.and_then(|[_, _, descriptor]| descriptor.content()), &self.descriptor) {
            (Ok(Content::Bytes(sent)), Some(descriptor)) => *sent == descriptor.encode(),
            (sent, descriptor) => descriptor.is_none() && sent.is_ok(),
        }
    }

    /// The canonical encoding: the payload of the post command.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(self.signature.as_ref())
    }

    /// The descriptor, if its own identity key has signed the upload.
    pub fn verify(&self, scheme: &dyn SignatureScheme) -> Result<&MixDescriptor, UploadError> {
        let descriptor = self.descriptor.as_ref().ok_or(UploadError::NoDescriptor)?;
        let signature = self.signature.as_ref().ok_or(UploadError::NotSigned)?;
        verify(scheme, descriptor.identity_key(), &self.encode_with(None), signature)?;
        Ok(descriptor)
    }

    fn encode_with(&self, signature: Option<&Signature>) -> Vec<u8> {
        let loop_stats = self.loop_stats.as_ref().map(LoopStats::to_value);
        let descriptor = self.descriptor.as_ref().map(MixDescriptor::to_nested);
        record(&UPLOAD_FIELDS, [loop_stats.into(), signature.map(Signature::to_value).into(), descriptor.into()])
            .encode()
    }
}

impl SignedReplicaUpload {
    /// A signed upload of `descriptor`.
    pub fn sign(
        descriptor: ReplicaDescriptor,
        signer: &dyn SignatureSigningKey,
        random: &mut dyn Random,
    ) -> Result<Self, UploadError> {
        if signer.public_key() != descriptor.identity_key() {
            return Err(UploadError::OtherKey);
        }
        let mut upload = Self { signature: None, descriptor: Some(descriptor) };
        upload.signature = Some(Signature::new(signer, &upload.encode_with(None), random));
        Ok(upload)
    }

    /// Reads an upload; nothing is verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, UploadError> {
        let [signature, descriptor] =
            record_fields(cbor::decode(bytes)?, "SignedReplicaUpload", &REPLICA_UPLOAD_FIELDS)?;
        Ok(Self {
            signature: nullable(signature, Signature::from_item)?,
            descriptor: nullable(descriptor, ReplicaDescriptor::from_item)?,
        })
    }

    /// Whether the descriptor stands in `bytes`, from which this was read, as [`Self::encode`] writes it.
    pub fn was_written_canonically(&self, bytes: &[u8]) -> bool {
        let fields = |item| record_fields(item, "SignedReplicaUpload", &REPLICA_UPLOAD_FIELDS);
        match (cbor::decode(bytes).and_then(fields), &self.descriptor) {
            (Ok([_, sent]), Some(descriptor)) => sent.as_bytes() == descriptor.encode(),
            (sent, descriptor) => descriptor.is_none() && sent.is_ok(),
        }
    }

    /// The canonical encoding: the payload of the post command.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(self.signature.as_ref())
    }

    /// The descriptor, if its own identity key has signed the upload.
    pub fn verify(&self, scheme: &dyn SignatureScheme) -> Result<&ReplicaDescriptor, UploadError> {
        let descriptor = self.descriptor.as_ref().ok_or(UploadError::NoDescriptor)?;
        let signature = self.signature.as_ref().ok_or(UploadError::NotSigned)?;
        verify(scheme, descriptor.identity_key(), &self.encode_with(None), signature)?;
        Ok(descriptor)
    }

    fn encode_with(&self, signature: Option<&Signature>) -> Vec<u8> {
        let descriptor = self.descriptor.as_ref().map(ReplicaDescriptor::to_value);
        record(&REPLICA_UPLOAD_FIELDS, [signature.map(Signature::to_value).into(), descriptor.into()]).encode()
    }
}

impl LoopStats {
    fn from_item(item: Item<'_>) -> Result<Self, CborError> {
        let [epoch, ratios, id] = record_fields(item, "LoopStats", &LOOP_STATS_FIELDS)?;
        let segment = |key: Item<'_>| key.into_fixed("SegmentRatios");
        Ok(Self {
            epoch: Epoch(epoch.into_u64("Epoch")?),
            segment_ratios: ratios.into_map("SegmentRatios", segment, |ratio| ratio.into_f64("SegmentRatios"))?,
            mix_identity_hash: nullable(id, |id| id.into_fixed("MixIdentityHash"))?,
        })
    }

    fn to_value(&self) -> Value {
        let ratios = self.segment_ratios.as_ref().map(|ratios| {
            Value::Map(
                ratios.iter().map(|(segment, ratio)| (Value::from(&segment[..]), Value::Float(*ratio))).collect(),
            )
        });
        let id = self.mix_identity_hash.as_ref().map(|id| &id[..]);
        record(&LOOP_STATS_FIELDS, [self.epoch.0.into(), ratios.into(), id.into()])
    }
}

fn nullable<'a, V>(
    item: Item<'a>,
    read: impl FnOnce(Item<'a>) -> Result<V, CborError>,
) -> Result<Option<V>, CborError> {
    if item.is_null() { Ok(None) } else { read(item).map(Some) }
}

fn verify(scheme: &dyn SignatureScheme, key: &[u8], message: &[u8], signature: &Signature) -> Result<(), UploadError> {
    scheme.check_public_key(key).map_err(|_| UploadError::BadSignature)?;
    scheme.verify(key, message, &signature.payload).map_err(|_| UploadError::BadSignature)
}
