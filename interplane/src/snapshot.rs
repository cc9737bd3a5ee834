//! Everything that the data plane knows about the network, whole and immutable: one sealed memfd per change.

#[cfg(test)]
mod tests;

use crate::memory::{self, MemoryError, SealedMemory};
use pki::Epoch;
use pki::policy::View;
use rustix::fd::{AsFd, OwnedFd};
use serde::{Deserialize, Serialize};
use service::BuiltIn;
use sphinx::RECIPIENT_ID_BYTES;

/// Most bytes of an encoded snapshot.
pub const SNAPSHOT_BYTES_MAX: usize = 256 << 20;
const NAME: &str = "snapshot";

/// What the data plane knows about the network. Whether a peer may connect or send is not in it: that is
/// `pki::policy`'s answer to the view, the peer and the time, so that the data plane crosses epochs alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with each snapshot.
    pub serial: u64,
    /// The documents as this node sees them.
    pub view: View,
    /// The longest delay that a packet may ask for, by epoch (server.md 3.8).
    pub delay_ms_max: Vec<(Epoch, u64)>,
    /// Answers to clients that ask for documents; empty unless the node is a gateway.
    pub client_documents: Vec<ClientDocument>,
    /// The services that answer now; empty unless the node is a service node.
    pub services: Vec<Service>,
}

/// A service of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The recipient that stands for it in packets.
    pub recipient: [u8; RECIPIENT_ID_BYTES],
    /// Who answers.
    pub handler: Handler,
}

/// Who answers the requests to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handler {
    /// The data plane itself.
    BuiltIn(BuiltIn),
    /// A program of its own.
    Plugin {
        /// Which, among those of the control plane.
        number: u16,
    },
}

/// The answer to clients that ask for one epoch's document (server.md 5.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientDocument {
    /// The epoch.
    pub epoch: Epoch,
    /// The document, or `None` if there will never be one.
    pub document: Option<EncodedDocument>,
}

/// A document as clients get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedDocument {
    /// The certificate, as the authority sent it.
    pub raw: Vec<u8>,
    /// The same, compressed.
    pub gzip: Vec<u8>,
    /// Bytes of `gzip` that go into each chunk but the last.
    pub chunk_bytes: u32,
}

impl EncodedDocument {
    /// The chunks of the compressed document.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.gzip.chunks(usize::try_from(self.chunk_bytes).unwrap_or(usize::MAX).max(1))
    }

    /// One of them.
    pub fn chunk(&self, number: usize) -> Option<&[u8]> {
        self.chunks().nth(number)
    }
}

impl Snapshot {
    /// The longest delay of a packet in `epoch`, if the snapshot has its document.
    pub fn delay_ms_max(&self, epoch: Epoch) -> Option<u64> {
        self.delay_ms_max.iter().find(|(of, _)| *of == epoch).map(|(_, delay_ms_max)| *delay_ms_max)
    }

    /// The service for which a recipient stands, if it answers.
    pub fn service(&self, recipient: &[u8; RECIPIENT_ID_BYTES]) -> Option<&Service> {
        self.services.iter().find(|service| service.recipient == *recipient)
    }

    /// The answer about one epoch's document, if there is one yet.
    pub fn client_document(&self, epoch: Epoch) -> Option<&ClientDocument> {
        self.client_documents.iter().find(|document| document.epoch == epoch)
    }

    /// The snapshot in a sealed memfd.
    pub fn to_file(&self) -> Result<OwnedFd, MemoryError> {
        let encoded = postcard::to_stdvec(self).map_err(|_| MemoryError::Content(NAME))?;
        if encoded.len() > SNAPSHOT_BYTES_MAX {
            return Err(MemoryError::Size { what: NAME, bytes: encoded.len() as u64 });
        }
        memory::seal(NAME, &encoded)
    }

    /// Reads a snapshot from a sealed memfd.
    pub fn open(fd: impl AsFd) -> Result<Self, MemoryError> {
        let content = SealedMemory::open(fd, NAME, SNAPSHOT_BYTES_MAX)?;
        postcard::from_bytes(&content).map_err(|_| MemoryError::Content(NAME))
    }
}
