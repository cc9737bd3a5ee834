//! Certificates: a payload with an expiration and the signatures of any number of keys (pki.md 3).

#[cfg(test)]
mod tests;

use crate::cbor::{self, CborError, Item, Value, record, record_fields};
use crate::epoch::Epoch;
use crate::identity::{NodeId, VerifyingKey, hash, same_scheme_name};
use crypto_simd::random::Random;
use crypto_simd::schemes::SignatureSigningKey;
use std::collections::BTreeMap;

/// The only version.
pub const VERSION: u32 = 0;
/// The most signatures that are read; networks have a handful of authorities.
pub const SIGNATURES_MAX: usize = 1024;

const FIELDS: [&str; 5] = ["KeyType", "Version", "Certified", "Expiration", "Signatures"];
const SIGNATURE_FIELDS: [&str; 2] = ["Payload", "PublicKeySum256"];

/// One key's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The raw signature.
    pub payload: Vec<u8>,
    /// The hash of the signer's public key.
    pub public_key_sum256: NodeId,
}

/// A payload and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The canonical name of the signature scheme.
    pub key_type: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// The payload.
    pub certified: Vec<u8>,
    /// The first epoch in which the certificate is no longer valid.
    pub expiration: Epoch,
    /// Signatures by the hash of the signer's key. Not covered by any signature.
    pub signatures: BTreeMap<NodeId, Signature>,
}

/// Why a certificate is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not the encoding of a certificate.
    #[error("malformed certificate: {0}")]
    Cbor(#[from] CborError),
    /// More than [`SIGNATURES_MAX`] signatures.
    #[error("more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A signature that names another key than the one that made it.
    #[error("a signature is filed under another key's hash")]
    Misfiled,
    /// Another version.
    #[error("certificate version {0} is not supported")]
    Version(u32),
    /// Expired.
    #[error("certificate expired at epoch {expiration}, now is {now}")]
    Expired {
        /// The certificate's expiration.
        expiration: Epoch,
        /// The current epoch.
        now: Epoch,
    },
    /// No key type.
    #[error("certificate without a key type")]
    KeyType,
    /// No payload.
    #[error("certificate without a payload")]
    NoPayload,
    /// The signer has another scheme than the certificate.
    #[error("the certificate's scheme is {certificate:?}, the signer's {signer:?}")]
    OtherScheme {
        /// `KeyType` of the certificate.
        certificate: String,
        /// The signer's scheme.
        signer: &'static str,
    },
    /// This key has signed already.
    #[error("this key has signed already")]
    Duplicate,
    /// This key has not signed.
    #[error("no signature of this key")]
    NotSigned,
    /// A signature that does not verify.
    #[error("bad signature")]
    BadSignature,
    /// Fewer good signatures than needed.
    #[error("{good} good signatures, {needed} are needed")]
    BelowThreshold {
        /// Distinct keys whose signature verifies.
        good: usize,
        /// The threshold.
        needed: usize,
    },
}

/// The outcome of a successful [`Certificate::verify_threshold`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    /// Keys that signed.
    pub good: Vec<NodeId>,
    /// Keys whose signature is missing or wrong.
    pub bad: Vec<NodeId>,
}

/// The bytes that are signed: not CBOR, and little-endian (pki.md 3.2).
pub fn signed_message(version: u32, expiration: Epoch, key_type: &str, certified: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(12 + key_type.len() + certified.len());
    message.extend_from_slice(&version.to_le_bytes());
    message.extend_from_slice(&expiration.0.to_le_bytes());
    message.extend_from_slice(key_type.as_bytes());
    message.extend_from_slice(certified);
    message
}

impl Certificate {
    /// A certificate without signatures.
    pub fn new(key_type: &str, certified: Vec<u8>, expiration: Epoch) -> Self {
        Self { key_type: key_type.into(), version: VERSION, certified, expiration, signatures: BTreeMap::new() }
    }

    /// Reads a certificate; neither expiration nor signatures are checked. A signature that stands under another key's
    /// hash is left out: the reference publishes what an authority has sent with a false hash inside, and counts it for
    /// nobody (pki.md 20 item 9), so that it must cost nobody the rest.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        let [key_type, version, certified, expiration, signatures] =
            record_fields(cbor::decode(bytes)?, "certificate", &FIELDS)?;
        let version = u32::try_from(version.into_u64("Version")?).map_err(|_| CborError::Range { field: "Version" })?;
        let mut signatures = signatures
            .into_map("Signatures", |key| key.into_fixed("Signatures"), Signature::from_item)?
            .unwrap_or_default();
        if signatures.len() > SIGNATURES_MAX {
            return Err(CertificateError::TooManySignatures);
        }
        signatures.retain(|id: &NodeId, signature| *id == signature.public_key_sum256);
        Ok(Self {
            key_type: key_type.into_text("KeyType")?,
            version,
            certified: certified.into_bytes("Certified")?.unwrap_or_default(),
            expiration: Epoch(expiration.into_u64("Expiration")?),
            signatures,
        })
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|(id, signature)| (Value::from(&id[..]), signature.to_value()));
        let signatures = if self.signatures.is_empty() { Value::Null } else { Value::Map(signatures.collect()) };
        record(
            &FIELDS,
            [
                Value::from(self.key_type.as_str()),
                Value::Uint(self.version.into()),
                Value::from(self.certified.as_slice()),
                Value::Uint(self.expiration.0),
                signatures,
            ],
        )
        .encode()
    }

    /// The checks before every use, in the reference's order (pki.md 3.3).
    pub fn check(&self, now: Epoch) -> Result<(), CertificateError> {
        if self.version != VERSION {
            Err(CertificateError::Version(self.version))
        } else if now >= self.expiration {
            Err(CertificateError::Expired { expiration: self.expiration, now })
        } else if self.key_type.is_empty() {
            Err(CertificateError::KeyType)
        } else if self.certified.is_empty() {
            Err(CertificateError::NoPayload)
        } else {
            Ok(())
        }
    }

    /// The bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        signed_message(self.version, self.expiration, &self.key_type, &self.certified)
    }

    /// Adds or replaces the signature of `signer`.
    pub fn sign(
        &mut self,
        signer: &dyn SignatureSigningKey,
        now: Epoch,
        random: &mut dyn Random,
    ) -> Result<(), CertificateError> {
        self.check(now)?;
        let name = signer.scheme().info().name;
        if !same_scheme_name(name, &self.key_type) {
            return Err(CertificateError::OtherScheme { certificate: self.key_type.clone(), signer: name });
        }
        let signature = Signature::new(signer, &self.message(), random);
        self.signatures.insert(signature.public_key_sum256, signature);
        Ok(())
    }

    /// Adds a signature made elsewhere, after verifying it over this payload.
    pub fn add_signature(
        &mut self,
        verifier: &VerifyingKey,
        signature: Signature,
        now: Epoch,
    ) -> Result<(), CertificateError> {
        self.check(now)?;
        if signature.public_key_sum256 != *verifier.id() {
            return Err(CertificateError::Misfiled);
        }
        if self.signatures.contains_key(verifier.id()) {
            return Err(CertificateError::Duplicate);
        }
        verifier.verify(&self.message(), &signature.payload).map_err(|_| CertificateError::BadSignature)?;
        self.signatures.insert(*verifier.id(), signature);
        Ok(())
    }

    /// The payload, if `verifier` has signed it.
    pub fn verify(&self, verifier: &VerifyingKey, now: Epoch) -> Result<&[u8], CertificateError> {
        self.check(now)?;
        self.verify_message(verifier, &self.message())?;
        Ok(&self.certified)
    }

    /// The payload, if every one of `verifiers` has signed it.
    pub fn verify_all(&self, verifiers: &[VerifyingKey], now: Epoch) -> Result<&[u8], CertificateError> {
        self.check(now)?;
        let message = self.message();
        verifiers.iter().try_for_each(|verifier| self.verify_message(verifier, &message))?;
        Ok(&self.certified)
    }

    /// The payload and who signed it, if at least `threshold` distinct `verifiers` have.
    pub fn verify_threshold(
        &self,
        verifiers: &[VerifyingKey],
        threshold: usize,
        now: Epoch,
    ) -> Result<(&[u8], Signers), CertificateError> {
        self.check(now)?;
        let message = self.message();
        let distinct: BTreeMap<&NodeId, &VerifyingKey> = verifiers.iter().map(|key| (key.id(), key)).collect();
        let mut signers = Signers { good: Vec::new(), bad: Vec::new() };
        for (id, verifier) in distinct {
            let signed = self.verify_message(verifier, &message).is_ok();
            if signed { &mut signers.good } else { &mut signers.bad }.push(*id);
        }
        if signers.good.len() < threshold {
            return Err(CertificateError::BelowThreshold { good: signers.good.len(), needed: threshold });
        }
        Ok((&self.certified, signers))
    }

    fn verify_message(&self, verifier: &VerifyingKey, message: &[u8]) -> Result<(), CertificateError> {
        let signature = self.signatures.get(verifier.id()).ok_or(CertificateError::NotSigned)?;
        verifier.verify(message, &signature.payload).map_err(|_| CertificateError::BadSignature)
    }
}

impl Signature {
    /// The signature of `signer` over `message`.
    pub fn new(signer: &dyn SignatureSigningKey, message: &[u8], random: &mut dyn Random) -> Self {
        Self { payload: signer.sign(message, random), public_key_sum256: hash(signer.public_key()) }
    }

    /// Reads a signature on its own, as authorities exchange them.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_item(cbor::decode(bytes)?)
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        self.to_value().encode()
    }

    pub(crate) fn from_item(item: Item<'_>) -> Result<Self, CborError> {
        let [payload, sum] = record_fields(item, "signature", &SIGNATURE_FIELDS)?;
        Ok(Self {
            payload: payload.into_bytes("Payload")?.unwrap_or_default(),
            public_key_sum256: sum.into_fixed("PublicKeySum256")?,
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        record(&SIGNATURE_FIELDS, [Value::from(self.payload.as_slice()), Value::from(&self.public_key_sum256[..])])
    }
}
