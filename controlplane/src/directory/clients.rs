//! Documents as a gateway's clients get them (server.md 5.6): compressed once, where they are verified, and given to the
//! data plane with the rest.

use super::{Directory, Outside, Plane};
use interplane::snapshot::{ClientDocument, EncodedDocument};
use pki::MIX_KEY_EPOCHS;
use pki::neighbours::NeighbourMap;
use std::sync::Arc;
use wire::consensus2::Packed;

/// A document that is held.
pub struct Held {
    /// Its bytes.
    pub raw: Arc<[u8]>,
    /// Who is who.
    pub map: NeighbourMap,
    /// For clients, if there are any.
    pub packed: Option<Packed>,
}

/// Compresses a document for clients that get chunks of so many bytes. Takes some ms for a hundred kB.
pub fn pack(raw: &[u8], chunk_bytes: Option<usize>) -> Option<Packed> {
    Packed::new(raw, chunk_bytes?).ok()
}

impl<P: Plane, O: Outside> Directory<P, O> {
    /// What clients are answered: documents, and epochs for which there will never be one.
    pub(super) fn client_documents(&self) -> Vec<ClientDocument> {
        if self.options.client_chunk_bytes.is_none() {
            return Vec::new();
        }
        let held = self.documents.iter().filter_map(|(epoch, held)| {
            let packed = held.packed.as_ref()?;
            let chunk_bytes = u32::try_from(packed.chunk_bytes()).ok()?;
            let document = EncodedDocument { raw: held.raw.to_vec(), gzip: packed.bytes().to_vec(), chunk_bytes };
            Some(ClientDocument { epoch: *epoch, document: Some(document) })
        });
        let now = self.now().epoch;
        let never = (now.before(MIX_KEY_EPOCHS - 1).0..=now.after(1).0)
            .map(pki::Epoch)
            .filter(|epoch| self.schedule.is_failed(*epoch))
            .map(|epoch| ClientDocument { epoch, document: None });
        held.chain(never).collect()
    }

    /// It is known now that there will be no document of an epoch.
    pub(super) fn tell_clients_of_failure(&mut self, epoch: pki::Epoch) {
        if self.options.client_chunk_bytes.is_some() && self.schedule.is_failed(epoch) {
            self.documents_changed();
        }
    }
}
