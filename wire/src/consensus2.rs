//! A consensus in pieces (wire.md 6.6): one gzip member, cut into chunks of the padded server-to-client size. A full
//! chunk with its headers exceeds that size by 15 bytes and goes out unpadded, as in the reference.

#[cfg(test)]
mod tests;

use crate::command::{Command, CommandError, CommandId, codes};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use std::io::Read;

/// The most bytes of compressed document that [`Joiner`] collects unless told otherwise.
pub const COMPRESSED_BYTES_MAX: usize = 64 << 20;

/// The most bytes of document that [`Joiner`] unpacks unless told otherwise.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// Why chunks do not give a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The server has none: one of [`codes::consensus`].
    #[error("no consensus, code {code}")]
    Refused {
        /// The code.
        code: u8,
    },
    /// Not the next chunk, or another total than before.
    #[error("chunk {chunk} of {chunks} where chunk {expected} was due")]
    OutOfOrder {
        /// Its number.
        chunk: u32,
        /// Its total.
        chunks: u32,
        /// The number that was due.
        expected: u32,
    },
    /// More bytes than allowed, packed or unpacked.
    #[error("consensus exceeds {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not a gzip member.
    #[error("consensus does not unpack")]
    Malformed,
    /// Another command.
    #[error("not a Consensus2 command")]
    NotAChunk,
}

/// A document packed once, to be sent to many.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    chunk_bytes: usize,
}

impl Packed {
    /// Packs `document` for chunks of `chunk_bytes`
    /// ([`CommandSizes::server_to_client_bytes`](crate::CommandSizes::server_to_client_bytes)).
    pub fn new(document: &[u8], chunk_bytes: usize) -> Result<Self, CommandError> {
        let mut bytes = Vec::with_capacity(document.len() / 2);
        let impossible = CommandError::BodyLength { id: CommandId::Consensus2, bytes: document.len() };
        GzEncoder::new(document, Compression::default()).read_to_end(&mut bytes).map_err(|_| impossible)?;
        let packed = Self { bytes, chunk_bytes };
        if chunk_bytes == 0 || u32::try_from(packed.bytes.len().div_ceil(chunk_bytes)).is_err() {
            return Err(impossible);
        }
        Ok(packed)
    }

    /// The packed document.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of it in each chunk but the last.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// The commands, in order.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = Command<'_>> {
        let pieces = self.bytes.chunks(self.chunk_bytes);
        // `new` checked that the number fits.
        let chunks = pieces.len() as u32;
        pieces.enumerate().map(move |(index, payload)| Command::Consensus2 {
            error_code: codes::consensus::OK,
            chunk: index as u32,
            chunks,
            payload,
        })
    }
}

/// The one command that says that there is no document.
pub fn refusal(error_code: u8) -> Command<'static> {
    Command::Consensus2 { error_code, chunk: 0, chunks: 1, payload: &[] }
}

/// Collects the chunks of one document.
#[derive(Debug)]
pub struct Joiner {
    packed: Vec<u8>,
    next: u32,
    chunks: Option<u32>,
    packed_bytes_max: usize,
    document_bytes_max: usize,
}

impl Default for Joiner {
    fn default() -> Self {
        Self::new(COMPRESSED_BYTES_MAX, DOCUMENT_BYTES_MAX)
    }
}

impl Joiner {
    /// An empty one with limits.
    pub fn new(packed_bytes_max: usize, document_bytes_max: usize) -> Self {
        Self { packed: Vec::new(), next: 0, chunks: None, packed_bytes_max, document_bytes_max }
    }

    /// Takes the next chunk; gives the document with the last one.
    pub fn push(&mut self, command: &Command<'_>) -> Result<Option<Vec<u8>>, ChunkError> {
        let &Command::Consensus2 { error_code, chunk, chunks, payload } = command else {
            return Err(ChunkError::NotAChunk);
        };
        if error_code != codes::consensus::OK {
            return Err(ChunkError::Refused { code: error_code });
        }
        if chunk != self.next || chunk >= chunks || self.chunks.is_some_and(|before| before != chunks) {
            return Err(ChunkError::OutOfOrder { chunk, chunks, expected: self.next });
        }
        if payload.len() > self.packed_bytes_max.saturating_sub(self.packed.len()) {
            return Err(ChunkError::TooLarge { bytes_max: self.packed_bytes_max });
        }
        self.packed.extend_from_slice(payload);
        self.chunks = Some(chunks);
        self.next += 1;
        if self.next == chunks { self.unpack().map(Some) } else { Ok(None) }
    }

    fn unpack(&self) -> Result<Vec<u8>, ChunkError> {
        let bytes_max = self.document_bytes_max;
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut document = Vec::new();
        let unpacked = GzDecoder::new(self.packed.as_slice()).take(limit).read_to_end(&mut document);
        match unpacked {
            Err(_) => Err(ChunkError::Malformed),
            Ok(bytes) if bytes > bytes_max => Err(ChunkError::TooLarge { bytes_max }),
            Ok(_) => Ok(document),
        }
    }
}
