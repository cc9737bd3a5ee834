//! One pass over all authorities for one epoch's document (pki.md 12.2): anonymous, in parallel, the first good answer
//! wins. Documents are verified on other threads: their signatures take long enough to be missed by operators.

use super::DirectoryOptions;
use super::clients::pack;
use super::outside::{Document, Outside};
use super::session::{Caller, ExchangeError};
use crate::logging::Log;
use crypto_simd::random::OsRandom;
use pki::authority::{
    Answer, Answers, CONNECT_RETRIES_MAX, ConsensusCode, DocumentVerifier, FetchPass, connect_retry_delay,
};
use pki::neighbours::NeighbourMap;
use pki::{Epoch, EpochTime};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use wire::consensus2::Packed;

const MODULE: &str = "pki";

/// A verified document, and what this node makes of it.
pub struct Verified {
    /// Its bytes.
    pub raw: Arc<[u8]>,
    /// Who is who, or why it is of no use here.
    pub map: Result<NeighbourMap, String>,
    /// The document for clients, if there are any.
    pub packed: Option<Packed>,
}

/// What a pass brought.
pub enum Fetched {
    /// A verified document.
    Document(Box<Verified>),
    /// No document: what the authorities said, counted and in words.
    Nothing(Answers, BTreeMap<usize, String>),
}

type Reply = (usize, Result<Document, ExchangeError>);

/// What stays the same during a pass.
struct Context<O> {
    options: Arc<DirectoryOptions>,
    outside: O,
    caller: Caller,
    epoch: Epoch,
    deadline: Instant,
}

/// Asks all authorities for the document of `epoch`.
pub async fn fetch<O: Outside>(
    options: Arc<DirectoryOptions>,
    outside: O,
    verifier: DocumentVerifier,
    epoch: Epoch,
    limit: Duration,
    log: Log,
) -> Fetched {
    let authorities = options.authorities.list().len();
    let (mut pass, mut said) = (FetchPass::new(epoch, authorities), BTreeMap::new());
    let caller = match outside.anonymous() {
        Ok(caller) => caller,
        Err(error) => {
            let errors = (0..authorities).map(|authority| (authority, format!("no link key: {error}"))).collect();
            return Fetched::Nothing(pass.answers(), errors);
        }
    };
    let deadline = Instant::now() + limit;
    let context = Arc::new(Context { options, outside, caller, epoch, deadline });
    let mut asking = JoinSet::new();
    for authority in 0..authorities {
        asking.spawn(ask(context.clone(), authority));
    }
    while let Ok(Some(reply)) = tokio::time::timeout_at(deadline, asking.join_next()).await {
        let Ok((authority, reply)) = reply else { continue };
        let name = &context.options.authorities.list()[authority].name;
        match reply {
            Ok(document) => {
                let Some((after, judged)) = judge(pass, authority, document, &verifier, &context).await else {
                    return Fetched::Nothing(Answers::default(), said);
                };
                pass = after;
                match judged {
                    Judged::Good(document) => return Fetched::Document(document),
                    Judged::Bad(reason) => {
                        log.warning(MODULE, format_args!("authority {name}: {reason}"));
                        said.insert(authority, reason);
                    }
                    Judged::None(reason) => {
                        log.debug(MODULE, format_args!("authority {name}: {reason}"));
                        said.insert(authority, reason);
                    }
                }
            }
            Err(error) => {
                log.info(MODULE, format_args!("authority {name}: {error}"));
                pass.handle_unreachable(authority);
                said.insert(authority, error.to_string());
            }
        }
    }
    for authority in 0..authorities {
        said.entry(authority).or_insert_with(|| format!("no answer within {} s", limit.as_secs_f32()));
    }
    Fetched::Nothing(pass.answers(), said)
}

enum Judged {
    Good(Box<Verified>),
    Bad(String),
    None(String),
}

/// Verifies on another thread. Nothing is given back only while the process ends.
async fn judge<O: Outside>(
    mut pass: FetchPass,
    authority: usize,
    (code, payload): Document,
    verifier: &DocumentVerifier,
    context: &Context<O>,
) -> Option<(FetchPass, Judged)> {
    let now = epoch_time(context);
    let (verifier, options) = (verifier.clone(), context.options.clone());
    let work = move || {
        let judged = match pass.handle_answer(authority, code, Arc::from(payload), &verifier, &now) {
            Answer::Document(consensus) => Judged::Good(Box::new(Verified {
                raw: consensus.raw().clone(),
                packed: pack(consensus.raw(), options.client_chunk_bytes),
                map: NeighbourMap::new(&consensus, &options.own).map_err(|error| error.to_string()),
            })),
            Answer::Useless(Some(error)) => Judged::Bad(error.to_string()),
            Answer::Useless(None) => Judged::None(in_words(code).into()),
        };
        (pass, judged)
    };
    spawn_blocking(work).await.ok()
}

fn epoch_time<O: Outside>(context: &Context<O>) -> EpochTime {
    super::epoch_time_at(&context.options.clock, context.outside.unix())
}

fn in_words(code: Option<ConsensusCode>) -> &'static str {
    match code {
        Some(ConsensusCode::Ok) => "it has one",
        Some(ConsensusCode::NotFound) => "there is none yet",
        Some(ConsensusCode::Gone) => super::once::NEVER,
        None => "an unknown code",
    }
}

async fn ask<O: Outside>(context: Arc<Context<O>>, authority: usize) -> Reply {
    let target = &context.options.authorities.list()[authority];
    for retry in 1.. {
        let reply = context.outside.fetch(target, &context.caller, context.epoch).await;
        let delay = connect_retry_delay(retry, &mut OsRandom);
        let in_time = Instant::now() + delay < context.deadline;
        match reply {
            Err(error) if error.is_transient() && retry <= CONNECT_RETRIES_MAX && in_time => {
                tokio::time::sleep(delay).await;
            }
            reply => return (authority, reply),
        }
    }
    (authority, Err(ExchangeError::NoAddress))
}
