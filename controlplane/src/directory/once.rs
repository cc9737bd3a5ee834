//! One try at every authority in turn, for tools.

use super::outside::consensus_of;
use super::session::{Caller, Dialler};
use pki::authority::{Authorities, ConsensusCode, DocumentVerifier};
use pki::document::Consensus;
use pki::{Epoch, EpochClock};
use std::sync::Arc;
use std::time::Duration;
use wire::Command;

/// What [`fetch_once`] says of an authority that has no such epoch.
pub const NEVER: &str = "there will never be one";

/// Gives the document, or what each authority said when none has it.
pub async fn fetch_once(
    dialler: &Dialler,
    authorities: &Authorities,
    caller: &Caller,
    verifier: &DocumentVerifier,
    clock: &EpochClock,
    epoch: Epoch,
    limit: Duration,
) -> Result<Consensus, String> {
    let mut said = Vec::new();
    for authority in authorities.list() {
        let command = Command::GetConsensus { epoch: epoch.0, padded: false };
        let exchange = dialler.exchange(authority, caller, &command, consensus_of);
        let outcome = match tokio::time::timeout(limit, exchange).await {
            Ok(Ok((Some(ConsensusCode::Ok), raw))) => {
                let now = super::epoch_time(clock).epoch;
                match verifier.verify(Arc::from(raw), epoch, now) {
                    Ok(consensus) => return Ok(consensus),
                    Err(error) => error.to_string(),
                }
            }
            Ok(Ok((Some(ConsensusCode::NotFound), _))) => "it is not there yet".into(),
            Ok(Ok((Some(ConsensusCode::Gone), _))) => NEVER.into(),
            Ok(Ok((_, _))) => "an unknown code".into(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".into(),
        };
        said.push(format!("{}: {outcome}", authority.name));
    }
    Err(format!("no document for epoch {}:\n  {}", epoch.0, said.join("\n  ")))
}
