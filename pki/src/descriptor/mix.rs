//! Descriptors of mixes, gateways and service nodes.

use super::services::Parameters;
use super::{ENDPOINT_BYTES_MAX, IllFormed, Services, check_addresses, check_name};
use crate::MIX_KEY_EPOCHS;
use crate::address::Addresses;
use crate::cbor::{self, CborError, Content, Item, Value, record, record_fields};
use crate::epoch::Epoch;
use crate::identity::{NodeId, hash};
use std::collections::BTreeMap;

/// `AuthenticationType` of gateways: trust on first use.
pub const AUTHENTICATION_TOFU: &str = "tofu";

const FIELDS: [&str; 13] = [
    "Name",
    "Epoch",
    "LinkKey",
    "MixKeys",
    "Version",
    "Addresses",
    "Kaetzchen",
    "LoadWeight",
    "IdentityKey",
    "IsGatewayNode",
    "IsServiceNode",
    "AuthenticationType",
    "KaetzchenAdvertizedData",
];

/// The descriptor of a mix, gateway or service node (pki.md 4.1). Null and empty stay distinct, because both signatures
/// and well-formedness depend on it; the methods give plain values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MixDescriptor {
    /// The node's identifier.
    pub name: String,
    /// The epoch it is for; authorities never look at it.
    pub epoch: Epoch,
    /// The link KEM's public key.
    pub link_key: Option<Vec<u8>>,
    /// Sphinx public keys by epoch.
    pub mix_keys: Option<BTreeMap<Epoch, Option<Vec<u8>>>>,
    /// Empty.
    pub version: String,
    /// URLs by transport.
    pub addresses: Option<Addresses>,
    /// Services and their endpoints; null on anything but a service node.
    pub kaetzchen: Option<Services>,
    /// Unused.
    pub load_weight: u8,
    /// The identity key.
    pub identity_key: Option<Vec<u8>>,
    /// Whether this is a gateway.
    pub is_gateway_node: bool,
    /// Whether this is a service node.
    pub is_service_node: bool,
    /// [`AUTHENTICATION_TOFU`] on gateways, else empty.
    pub authentication_type: String,
    /// What the operator of a service node says about its services.
    pub kaetzchen_advertized_data: Option<Services>,
}

impl MixDescriptor {
    /// The hash of the identity key.
    pub fn id(&self) -> NodeId {
        hash(self.identity_key())
    }

    /// The identity key, empty if there is none.
    pub fn identity_key(&self) -> &[u8] {
        self.identity_key.as_deref().unwrap_or_default()
    }

    /// The link key, empty if there is none.
    pub fn link_key(&self) -> &[u8] {
        self.link_key.as_deref().unwrap_or_default()
    }

    /// The Sphinx public key for `epoch`.
    pub fn mix_key(&self, epoch: Epoch) -> Option<&[u8]> {
        self.mix_keys.as_ref()?.get(&epoch)?.as_deref()
    }

    /// All URLs with their transports.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.addresses.iter().flat_map(Addresses::iter)
    }

    /// All services with their endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let services = self.kaetzchen.iter().flat_map(Services::iter);
        services.filter_map(|(service, parameters)| Some((service, parameters?.get("endpoint")?.as_text()?)))
    }

    /// Reads a descriptor; see [`Self::check`] for whether it makes sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_map(cbor::decode(bytes)?)
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mix_keys = self.mix_keys.as_ref().map(|keys| {
            Value::Map(keys.iter().map(|(epoch, key)| (Value::Uint(epoch.0), key.as_deref().into())).collect())
        });
        record(
            &FIELDS,
            [
                self.name.as_str().into(),
                self.epoch.0.into(),
                self.link_key.as_deref().into(),
                mix_keys.into(),
                self.version.as_str().into(),
                self.addresses.as_ref().map(Addresses::canonical).into(),
                self.kaetzchen.as_ref().map(Services::canonical).into(),
                u64::from(self.load_weight).into(),
                self.identity_key.as_deref().into(),
                self.is_gateway_node.into(),
                self.is_service_node.into(),
                self.authentication_type.as_str().into(),
                self.kaetzchen_advertized_data.as_ref().map(Services::canonical).into(),
            ],
        )
        .encode()
    }

    /// Reads a descriptor inside another structure: a byte string, or a map as the reference also accepts
    /// (pki.md 2.4, 2.5).
    pub(crate) fn from_nested(item: Item<'_>) -> Result<Self, CborError> {
        match item.content()? {
            Content::Bytes(bytes) => Self::decode(&bytes),
            Content::Map(_) => Self::from_map(item),
            _ => Err(CborError::Type { field: "MixDescriptor", expected: "a byte string" }),
        }
    }

    /// The descriptor as it stands inside another structure: a byte string around its own encoding (pki.md 2.4).
    pub(crate) fn to_nested(&self) -> Value {
        Value::Bytes(self.encode())
    }

    fn from_map(item: Item<'_>) -> Result<Self, CborError> {
        let [
            name,
            epoch,
            link_key,
            mix_keys,
            version,
            addresses,
            kaetzchen,
            load_weight,
            identity_key,
            is_gateway_node,
            is_service_node,
            authentication_type,
            advertized,
        ] = record_fields(item, "MixDescriptor", &FIELDS)?;
        let epoch_of = |key: Item<'_>| key.into_u64("MixKeys").map(Epoch);
        Ok(Self {
            name: name.into_text("Name")?,
            epoch: Epoch(epoch.into_u64("Epoch")?),
            link_key: link_key.into_bytes("LinkKey")?,
            mix_keys: mix_keys.into_map("MixKeys", epoch_of, |key| key.into_bytes("MixKeys"))?,
            version: version.into_text("Version")?,
            addresses: Addresses::from_item(addresses)?,
            kaetzchen: Services::from_item(kaetzchen, "Kaetzchen")?,
            load_weight: load_weight.into_u8("LoadWeight")?,
            identity_key: identity_key.into_bytes("IdentityKey")?,
            is_gateway_node: is_gateway_node.into_bool("IsGatewayNode")?,
            is_service_node: is_service_node.into_bool("IsServiceNode")?,
            authentication_type: authentication_type.into_text("AuthenticationType")?,
            kaetzchen_advertized_data: Services::from_item(advertized, "KaetzchenAdvertizedData")?,
        })
    }

    /// Whether the descriptor is well formed for `epoch` (pki.md 4.2). Key lengths, `Epoch` and `Version` are not
    /// looked at.
    pub fn check(&self, epoch: Epoch) -> Result<(), IllFormed> {
        check_name(&self.name)?;
        if self.link_key.is_none() {
            return Err(IllFormed::LinkKeyMissing);
        }
        if self.identity_key.is_none() {
            return Err(IllFormed::IdentityKeyMissing);
        }
        if self.mix_key(epoch).is_none() {
            return Err(IllFormed::MixKeyMissing(epoch));
        }
        let range = epoch..epoch.after(MIX_KEY_EPOCHS);
        if let Some(outside) = self.mix_keys.iter().flatten().map(|(epoch, _)| *epoch).find(|key| !range.contains(key))
        {
            return Err(IllFormed::MixKeyOutOfRange(outside));
        }
        check_addresses(self.addresses.as_ref(), self.is_gateway_node)?;
        match &self.kaetzchen {
            Some(_) if !self.is_service_node => Err(IllFormed::ServicesOnOtherNode),
            services => services
                .iter()
                .flat_map(Services::iter)
                .try_for_each(|(name, parameters)| check_service(name, parameters)),
        }
    }
}

fn check_service(name: &str, parameters: Option<Parameters<'_>>) -> Result<(), IllFormed> {
    if name.is_empty() {
        return Err(IllFormed::ServiceNameMissing);
    }
    let parameters = parameters.ok_or_else(|| IllFormed::ServiceParametersMissing(name.into()))?;
    let endpoint = parameters.get("endpoint").ok_or_else(|| IllFormed::EndpointMissing(name.into()))?;
    match endpoint.as_text() {
        Some(endpoint) if (1..=ENDPOINT_BYTES_MAX).contains(&endpoint.len()) => Ok(()),
        Some(_) => Err(IllFormed::EndpointLength(name.into())),
        None => Err(IllFormed::EndpointNotText(name.into())),
    }
}
