//! One pass over all authorities for one epoch's document (pki.md 12.2): anonymous, in parallel, the first good answer
//! wins.

use super::DirectoryOptions;
use super::codes;
use super::session::{Caller, Dialler, ExchangeError};
use crate::logging::Log;
use crypto_simd::random::OsRandom;
use pki::authority::{
    Answer, Answers, Authorities, CONNECT_RETRIES_MAX, ConsensusCode, DocumentVerifier, FetchPass, connect_retry_delay,
};
use pki::document::Consensus;
use pki::{Epoch, EpochClock};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::Command;

const MODULE: &str = "pki";

/// What a pass brought.
pub enum Fetched {
    /// A verified document.
    Document(Box<Consensus>),
    /// No document, and what the authorities said.
    Nothing(Answers),
}

type Reply = (usize, Result<(Option<ConsensusCode>, Vec<u8>), ExchangeError>);

/// Asks all authorities for the document of `epoch`.
pub async fn fetch(
    options: Arc<DirectoryOptions>,
    verifier: DocumentVerifier,
    epoch: Epoch,
    limit: Duration,
    log: Log,
) -> Fetched {
    let mut pass = FetchPass::new(epoch, options.authorities.list().len());
    let Ok(caller) = Caller::anonymous(options.dialler.kem) else { return Fetched::Nothing(pass.answers()) };
    let mut asking = JoinSet::new();
    for authority in 0..options.authorities.list().len() {
        asking.spawn(ask(options.clone(), caller.clone(), authority, epoch, Instant::now() + limit));
    }
    while let Ok(Some(reply)) = tokio::time::timeout(limit, asking.join_next()).await {
        let Ok((authority, reply)) = reply else { continue };
        if let Some(document) = judge(&mut pass, authority, reply, &verifier, &options, &log) {
            return Fetched::Document(document);
        }
    }
    Fetched::Nothing(pass.answers())
}

fn judge(
    pass: &mut FetchPass,
    authority: usize,
    reply: Result<(Option<ConsensusCode>, Vec<u8>), ExchangeError>,
    verifier: &DocumentVerifier,
    options: &DirectoryOptions,
    log: &Log,
) -> Option<Box<Consensus>> {
    let name = &options.authorities.list()[authority].name;
    match reply {
        Ok((code, payload)) => {
            let now = super::epoch_time(&options.clock);
            match pass.handle_answer(authority, code, Arc::from(payload), verifier, &now) {
                Answer::Document(document) => return Some(document),
                Answer::Useless(Some(error)) => log.warning(MODULE, format_args!("authority {name}: {error}")),
                Answer::Useless(None) => log.debug(MODULE, format_args!("authority {name} has no document: {code:?}")),
            }
        }
        Err(error) => {
            log.info(MODULE, format_args!("authority {name}: {error}"));
            pass.handle_unreachable(authority);
        }
    }
    None
}

async fn ask(
    options: Arc<DirectoryOptions>,
    caller: Caller,
    authority: usize,
    epoch: Epoch,
    deadline: Instant,
) -> Reply {
    let target = &options.authorities.list()[authority];
    let command = Command::GetConsensus { epoch: epoch.0, padded: false };
    for retry in 1.. {
        let reply = options.dialler.exchange(target, &caller, &command, consensus_of).await;
        let delay = connect_retry_delay(retry, &mut OsRandom);
        match reply {
            Err(error) if error.is_transient() && retry <= CONNECT_RETRIES_MAX && Instant::now() + delay < deadline => {
                tokio::time::sleep(delay).await;
            }
            reply => return (authority, reply),
        }
    }
    (authority, Err(ExchangeError::NoAddress))
}

/// One try at every authority in turn, for tools; gives what each said when none has the document.
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
            Ok(Ok((Some(ConsensusCode::Gone), _))) => "there will never be one".into(),
            Ok(Ok((_, _))) => "an unknown code".into(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".into(),
        };
        said.push(format!("{}: {outcome}", authority.name));
    }
    Err(format!("no document for epoch {}:\n  {}", epoch.0, said.join("\n  ")))
}

fn consensus_of(answer: &Command<'_>) -> Option<(Option<ConsensusCode>, Vec<u8>)> {
    match answer {
        Command::Consensus { error_code, payload } => Some((codes::of_consensus(*error_code), payload.to_vec())),
        _ => None,
    }
}
