//! One pass over all authorities for one epoch's document (pki.md 12.2): anonymous, in parallel, the first good answer
//! wins. Documents are verified on other threads: their signatures take long enough to be missed by operators.

use super::outside::{Document, Outside};
use super::session::{Caller, ExchangeError};
use crate::logging::Log;
use crypto_simd::random::OsRandom;
use pki::authority::{
    Answer, Answers, CONNECT_RETRIES_MAX, ConsensusCode, DocumentVerifier, FetchPass, connect_retry_delay,
};
use pki::document::Consensus;
use pki::{Epoch, EpochClock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

const MODULE: &str = "pki";

/// What a pass brought: what was made of a verified document, or none.
pub enum Fetched<T> {
    /// A verified document.
    Document(Box<T>),
    /// No document: what the authorities said, counted and in words.
    Nothing(Answers, BTreeMap<usize, String>),
}

type Reply = (usize, Result<Document, ExchangeError>);

/// One pass.
pub struct Fetch<O> {
    /// Epochs.
    pub clock: EpochClock,
    /// How to reach the authorities.
    pub outside: O,
    /// Who they are, and what is believed of them.
    pub verifier: DocumentVerifier,
    /// The epoch of the document.
    pub epoch: Epoch,
    /// How long it may take.
    pub limit: Duration,
}

/// What stays the same during a pass.
struct Context<O> {
    fetch: Fetch<O>,
    caller: Caller,
    deadline: Instant,
}

impl<O: Outside> Fetch<O> {
    /// Asks all authorities; `take` makes of a verified document what is wanted, on another thread.
    pub async fn run<T: Send + 'static>(
        self,
        take: impl Fn(Consensus) -> T + Clone + Send + 'static,
        log: Log,
    ) -> Fetched<T> {
        let list = self.verifier.authorities.clone();
        let (authorities, limit) = (list.list().len(), self.limit);
        let (mut pass, mut said) = (FetchPass::new(self.epoch, authorities), BTreeMap::new());
        let caller = match self.outside.anonymous() {
            Ok(caller) => caller,
            Err(error) => {
                let errors = (0..authorities).map(|authority| (authority, format!("no link key: {error}"))).collect();
                return Fetched::Nothing(pass.answers(), errors);
            }
        };
        let deadline = Instant::now() + limit;
        let context = Arc::new(Context { fetch: self, caller, deadline });
        let mut asking = JoinSet::new();
        for authority in 0..authorities {
            asking.spawn(ask(context.clone(), authority));
        }
        while let Ok(Some(reply)) = tokio::time::timeout_at(deadline, asking.join_next()).await {
            let Ok((authority, reply)) = reply else { continue };
            let name = &list.list()[authority].name;
            match reply {
                Ok(document) => {
                    let Some((after, judged)) = judge(pass, authority, document, take.clone(), &context).await else {
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
}

enum Judged<T> {
    Good(Box<T>),
    Bad(String),
    None(String),
}

/// Verifies on another thread. Nothing is given back only while the process ends.
async fn judge<O: Outside, T: Send + 'static>(
    mut pass: FetchPass,
    authority: usize,
    (code, payload): Document,
    take: impl Fn(Consensus) -> T + Send + 'static,
    context: &Context<O>,
) -> Option<(FetchPass, Judged<T>)> {
    let now = super::epoch_time_at(&context.fetch.clock, context.fetch.outside.unix());
    let verifier = context.fetch.verifier.clone();
    let work = move || {
        let judged = match pass.handle_answer(authority, code, Arc::from(payload), &verifier, &now) {
            Answer::Document(consensus) => Judged::Good(Box::new(take(*consensus))),
            Answer::Useless(Some(error)) => Judged::Bad(error.to_string()),
            Answer::Useless(None) => Judged::None(in_words(code).into()),
        };
        (pass, judged)
    };
    spawn_blocking(work).await.ok()
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
    let Fetch { outside, verifier, epoch, .. } = &context.fetch;
    let target = &verifier.authorities.list()[authority];
    for retry in 1.. {
        let reply = outside.fetch(target, &context.caller, *epoch).await;
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
