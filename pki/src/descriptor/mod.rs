//! Descriptors: what a node or a storage replica publishes about itself, and the signed upload around it (pki.md 4).

mod mix;
mod own;
mod replica;
#[cfg(test)]
mod tests;
mod upload;

pub use mix::{AUTHENTICATION_TOFU, Capabilities, MixDescriptor};
pub use own::OwnProfile;
pub use replica::ReplicaDescriptor;
pub use upload::{LoopStats, Segment, SignedReplicaUpload, SignedUpload, UploadError};

use crate::address::{self, AddressError, Addresses};
use crate::cbor::{CborError, Value};
use crate::epoch::Epoch;
use crate::name::NAME_BYTES_MAX;

/// The longest endpoint of a service, in bytes: it must fit a recipient (pki.md 4.2).
pub const ENDPOINT_BYTES_MAX: usize = 32;

/// Why a descriptor is not well formed (pki.md 4.2, 4.4); the first failing check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IllFormed {
    /// No name.
    #[error("name is missing")]
    NameMissing,
    /// A name above [`NAME_BYTES_MAX`].
    #[error("name is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// No link key.
    #[error("link key is missing")]
    LinkKeyMissing,
    /// No identity key.
    #[error("identity key is missing")]
    IdentityKeyMissing,
    /// No mix key for the epoch that the descriptor is for.
    #[error("no mix key for epoch {0}")]
    MixKeyMissing(Epoch),
    /// A mix key outside the three epochs of the descriptor.
    #[error("mix key for epoch {0}, which is out of range")]
    MixKeyOutOfRange(Epoch),
    /// No address.
    #[error("no addresses")]
    NoAddresses,
    /// A transport without addresses.
    #[error("transport {0:?} has no addresses")]
    EmptyAddressList(String),
    /// An address that may not be there.
    #[error("address {0}")]
    Address(#[from] AddressError),
    /// Services on a node that is no service node.
    #[error("services on a node that is not a service node")]
    ServicesOnOtherNode,
    /// A service without a name.
    #[error("a service without a name")]
    ServiceNameMissing,
    /// A service without parameters.
    #[error("service {0:?} has no parameters")]
    ServiceParametersMissing(String),
    /// A service without an endpoint.
    #[error("service {0:?} has no endpoint")]
    EndpointMissing(String),
    /// An endpoint that is not text.
    #[error("the endpoint of service {0:?} is not text")]
    EndpointNotText(String),
    /// An endpoint that does not fit a recipient.
    #[error("the endpoint of service {0:?} is not 1 to {ENDPOINT_BYTES_MAX} bytes long")]
    EndpointLength(String),
    /// A replica without envelope keys.
    #[error("no envelope keys")]
    EnvelopeKeysMissing,
}

/// A descriptor that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// Not the encoding of a descriptor.
    #[error("malformed descriptor: {0}")]
    Cbor(#[from] CborError),
    /// Decodes, but is not well formed.
    #[error("ill-formed descriptor: {0}")]
    IllFormed(#[from] IllFormed),
}

fn check_name(name: &str) -> Result<(), IllFormed> {
    match name.len() {
        0 => Err(IllFormed::NameMissing),
        1..=NAME_BYTES_MAX => Ok(()),
        _ => Err(IllFormed::NameTooLong),
    }
}

fn check_addresses(addresses: Option<&Addresses>, onion_allowed: bool) -> Result<(), IllFormed> {
    let addresses = addresses.filter(|addresses| !addresses.is_empty()).ok_or(IllFormed::NoAddresses)?;
    for (transport, urls) in addresses {
        match urls {
            Some(urls) if !urls.is_empty() => urls.iter().try_for_each(|url| address::check(url, onion_allowed))?,
            _ => return Err(IllFormed::EmptyAddressList(transport.clone())),
        }
    }
    Ok(())
}

fn addresses_from(value: Value) -> Result<Option<Addresses>, CborError> {
    let urls = |list: Value| -> Result<Option<Vec<String>>, CborError> {
        let list = list.into_array("Addresses")?;
        list.map(|list| list.into_iter().map(|url| url.into_text("Addresses")).collect()).transpose()
    };
    value.into_map("Addresses", |transport| transport.into_text("Addresses"), urls)
}

fn addresses_value(addresses: Option<&Addresses>) -> Value {
    let entry = |(transport, urls): (&String, &Option<Vec<String>>)| {
        let urls = urls.as_ref().map(|urls| Value::Array(urls.iter().map(|url| Value::from(url.as_str())).collect()));
        (Value::from(transport.as_str()), urls.into())
    };
    addresses.map(|addresses| Value::Map(addresses.iter().map(entry).collect())).into()
}
