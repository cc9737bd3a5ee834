//! Messages to other authorities (pki.md 9.7), and documents that are asked of them (pki.md 9.5).

use super::machine::{Errand, Order, Orders};
use super::serve::{code_in_answer, command_of_message};
use super::shared::Shared;
use crate::directory::Internet;
use crate::directory::fetch::{Fetch, Fetched};
use crate::directory::session::{Caller, Dialler, ExchangeError, Skews};
use crate::logging::Log;
use config::authority::PeerRetry;
use crypto_simd::random::{OsRandom, Random};
use pki::authority::{Authority, DocumentVerifier};
use pki::voting::Message;
use pki::{Epoch, EpochClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

const MODULE: &str = "authority";

/// What sending goes by.
pub struct Sender {
    /// The authorities with the addresses at which they are dialled.
    pub authorities: Vec<Authority>,
    /// How they are reached.
    pub dialler: Dialler,
    /// This authority as they know it.
    pub caller: Caller,
    /// When a try is made again.
    pub retry: PeerRetry,
    /// Documents are asked for over this.
    pub internet: Internet,
    /// And verified with this.
    pub verifier: DocumentVerifier,
    /// Epochs.
    pub clock: EpochClock,
    /// Counters.
    pub shared: Arc<Shared>,
    /// The state machine.
    pub orders: Orders,
    /// Of whose clocks it was told that they differ.
    pub skews: Mutex<Skews>,
    /// The log.
    pub log: Log,
}

impl Sender {
    /// Runs errands until there is nobody left to give any.
    pub async fn run(self, mut errands: mpsc::UnboundedReceiver<Errand>) -> &'static str {
        let sender = Arc::new(self);
        while let Some(errand) = errands.recv().await {
            match errand {
                Errand::Send { to, message, last_try, deadline } => {
                    let message = Arc::new(message);
                    for number in to {
                        tokio::spawn(sender.clone().send(number, message.clone(), last_try, deadline));
                    }
                }
                Errand::Fetch { epoch, deadline } => {
                    tokio::spawn(sender.clone().fetch(epoch, deadline));
                }
            }
        }
        "the voting has ended"
    }

    /// Sends one message to one authority.
    async fn send(self: Arc<Self>, number: usize, message: Arc<Message>, last_try: Duration, deadline: Duration) {
        let Some(authority) = self.authorities.get(number) else { return };
        let (kind, name) = (message.kind, &authority.name);
        let work = self.try_until(authority, &message, last_try);
        let outcome = timeout(deadline.saturating_sub(unix()), work).await;
        self.compare_clocks();
        match outcome {
            Ok(Ok(code)) => self.orders.give(Order::Answered { from: number, kind, code }),
            Ok(Err(error)) => {
                self.log.warning(MODULE, format_args!("{name}: the {kind} cannot be sent: {error}"));
            }
            Err(_) => {
                self.count(name, "deadline_exceeded");
                self.log.warning(MODULE, format_args!("{name}: the {kind} was not through when its phase ended"));
            }
        }
    }

    async fn try_until(
        &self,
        authority: &Authority,
        message: &Message,
        last_try: Duration,
    ) -> Result<u8, ExchangeError> {
        let command = command_of_message(message);
        let mut retry = 0;
        loop {
            let take = |answer: &wire::Command<'_>| code_in_answer(message.kind, answer);
            let outcome = self.dialler.exchange(authority, &self.caller, &command, take).await;
            let error = match outcome {
                Ok(code) => {
                    self.count(&authority.name, "ok");
                    return Ok(code);
                }
                Err(error) => error,
            };
            self.count(&authority.name, if error.is_transient() { "transient_error" } else { "permanent_error" });
            if let ExchangeError::Handshake(error) = &error {
                self.shared.metrics.handshake_failures.with_label_values(&["outgoing", error.label()]).inc();
            }
            retry += 1;
            let delay = retry_delay(retry, &self.retry, &mut OsRandom);
            if !error.is_transient() || retry > self.retry.attempts_max || unix() + delay >= last_try {
                return Err(error);
            }
            self.log.debug(MODULE, format_args!("{}: {error}; trying again", authority.name));
            tokio::time::sleep(delay).await;
        }
    }

    fn count(&self, peer: &str, result: &str) {
        self.shared.metrics.peer_send_attempts.with_label_values(&[peer, result]).inc();
        self.shared.metrics.peer_connected.with_label_values(&[peer]).set(i64::from(result == "ok"));
    }

    fn compare_clocks(&self) {
        let mut skews = self.skews.lock().unwrap_or_else(PoisonError::into_inner);
        for news in skews.compare(&self.dialler.clocks.seconds_ahead()) {
            self.log.warning(MODULE, news);
        }
    }

    /// Asks all authorities for a document.
    async fn fetch(self: Arc<Self>, epoch: Epoch, deadline: Duration) {
        let fetch = Fetch {
            clock: self.clock,
            outside: self.internet.clone(),
            verifier: self.verifier.clone(),
            epoch,
            limit: deadline.saturating_sub(unix()),
        };
        match fetch.run(|consensus| consensus, self.log.clone()).await {
            Fetched::Document(consensus) => self.orders.give(Order::Fetched(consensus)),
            Fetched::Nothing(_, said) => {
                self.log.info(MODULE, format_args!("no consensus for epoch {epoch}: {}", self.by_name(&said)));
            }
        }
    }

    fn by_name(&self, said: &BTreeMap<usize, String>) -> String {
        let lines = said.iter().filter_map(|(at, said)| Some(format!("{}: {said}", self.authorities.get(*at)?.name)));
        lines.collect::<Vec<_>>().join("; ")
    }
}

/// The wait before try `retry`, from 1 on: doubling up to the longest, by the jitter more or less.
fn retry_delay(retry: u32, settings: &PeerRetry, random: &mut dyn Random) -> Duration {
    let doubled = settings.base.saturating_mul(1 << retry.saturating_sub(1).min(31));
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let unit = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    doubled.min(settings.max).mul_f64(1.0 - settings.jitter + 2.0 * settings.jitter * unit)
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
