//! Descriptors: what a node or a storage replica publishes about itself, and the signed upload around it (pki.md 4).

mod mix;
mod own;
mod replica;
mod services;
#[cfg(test)]
mod tests;
mod upload;

pub use mix::{AUTHENTICATION_TOFU, MixDescriptor};
pub use own::OwnProfile;
pub use replica::ReplicaDescriptor;
pub use services::{Capabilities, Services};
pub use upload::{LoopStats, Segment, SignedReplicaUpload, SignedUpload, UploadError};

use crate::address::{self, AddressError, Addresses};
use crate::cbor::CborError;
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
    let mut is_empty = true;
    for (transport, urls) in addresses.into_iter().flat_map(Addresses::transports) {
        is_empty = false;
        let mut urls = urls.peekable();
        if urls.peek().is_none() {
            return Err(IllFormed::EmptyAddressList(transport.into()));
        }
        urls.try_for_each(|url| address::check(url, onion_allowed))?;
    }
    if is_empty { Err(IllFormed::NoAddresses) } else { Ok(()) }
}
