//! What an authority's codes on the wire (wire.md 6.9) mean to the publication.

use pki::authority::{ConsensusCode, DescriptorCode};
use wire::command::codes::{consensus, post};

/// The code of an answer to GetConsensus; none for one that nobody knows.
pub fn of_consensus(code: u8) -> Option<ConsensusCode> {
    Some(match code {
        consensus::OK => ConsensusCode::Ok,
        consensus::NOT_FOUND => ConsensusCode::NotFound,
        consensus::GONE => ConsensusCode::Gone,
        _ => return None,
    })
}

/// The code of an answer to a posted descriptor; none for one that nobody knows.
pub fn of_post(code: u8) -> Option<DescriptorCode> {
    Some(match code {
        post::OK => DescriptorCode::Ok,
        post::INVALID => DescriptorCode::Invalid,
        post::CONFLICT => DescriptorCode::Conflict,
        post::FORBIDDEN => DescriptorCode::Forbidden,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
