//! Descriptors of storage replicas (pki.md 4.4).

use super::{IllFormed, check_addresses, check_name};
use crate::address::Addresses;
use crate::cbor::{self, CborError, Item, Value, record, record_fields};
use crate::epoch::Epoch;
use crate::identity::{NodeId, hash};
use std::collections::BTreeMap;

const FIELDS: [&str; 7] = ["Name", "Epoch", "LinkKey", "Addresses", "ReplicaID", "IdentityKey", "EnvelopeKeys"];

/// The descriptor of a storage replica.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaDescriptor {
    /// The replica's identifier.
    pub name: String,
    /// The epoch it is for.
    pub epoch: Epoch,
    /// The link KEM's public key.
    pub link_key: Option<Vec<u8>>,
    /// URLs by transport.
    pub addresses: Option<Addresses>,
    /// The number that the authorities' configuration gives to the replica.
    pub replica_id: u8,
    /// The identity key.
    pub identity_key: Option<Vec<u8>>,
    /// NIKE public keys by replica epoch (weeks since the start of epoch 0).
    pub envelope_keys: Option<BTreeMap<u64, Option<Vec<u8>>>>,
}

impl ReplicaDescriptor {
    /// The hash of the identity key.
    pub fn id(&self) -> NodeId {
        hash(self.identity_key())
    }

    /// The identity key, empty if there is none.
    pub fn identity_key(&self) -> &[u8] {
        self.identity_key.as_deref().unwrap_or_default()
    }

    /// Reads a descriptor; see [`Self::check`] for whether it makes sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_item(cbor::decode(bytes)?)
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        self.to_value().encode()
    }

    pub(crate) fn from_item(item: Item<'_>) -> Result<Self, CborError> {
        let [name, epoch, link_key, addresses, replica_id, identity_key, envelope_keys] =
            record_fields(item, "ReplicaDescriptor", &FIELDS)?;
        let week = |key: Item<'_>| key.into_u64("EnvelopeKeys");
        Ok(Self {
            name: name.into_text("Name")?,
            epoch: Epoch(epoch.into_u64("Epoch")?),
            link_key: link_key.into_bytes("LinkKey")?,
            addresses: Addresses::from_item(addresses)?,
            replica_id: replica_id.into_u8("ReplicaID")?,
            identity_key: identity_key.into_bytes("IdentityKey")?,
            envelope_keys: envelope_keys.into_map("EnvelopeKeys", week, |key| key.into_bytes("EnvelopeKeys"))?,
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        let envelope_keys = self.envelope_keys.as_ref().map(|keys| {
            Value::Map(keys.iter().map(|(week, key)| (Value::Uint(*week), key.as_deref().into())).collect())
        });
        record(
            &FIELDS,
            [
                self.name.as_str().into(),
                self.epoch.0.into(),
                self.link_key.as_deref().into(),
                self.addresses.as_ref().map(Addresses::canonical).into(),
                u64::from(self.replica_id).into(),
                self.identity_key.as_deref().into(),
                envelope_keys.into(),
            ],
        )
    }

    /// Whether the descriptor is well formed.
    pub fn check(&self) -> Result<(), IllFormed> {
        check_name(&self.name)?;
        if self.link_key.is_none() {
            return Err(IllFormed::LinkKeyMissing);
        }
        if self.identity_key.is_none() {
            return Err(IllFormed::IdentityKeyMissing);
        }
        if self.envelope_keys.as_ref().is_none_or(BTreeMap::is_empty) {
            return Err(IllFormed::EnvelopeKeysMissing);
        }
        check_addresses(self.addresses.as_ref(), false)
    }
}
