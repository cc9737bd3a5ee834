//! From the order to stop to the withdrawal of the node's keys (server.md 1.8). How long the data plane may take: `vigil`.

use super::{MODULE, Node};
use crate::directory::{DirectoryStatus, epoch_time};
use crate::process::signals::{Signals, Told};
use config::server::Shutdown;
use pki::epoch::EpochTime;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The order to stop, whoever gives it.
#[derive(Debug, Default)]
pub struct StopOrder {
    is_given: AtomicBool,
    drains: AtomicBool,
    given: Notify,
    at_once: Notify,
}

impl StopOrder {
    /// To stop as at a signal; where the node is stopping already, at once.
    pub fn stop(&self) {
        let was_given = self.is_given.swap(true, Ordering::Relaxed);
        if was_given { self.at_once.notify_one() } else { self.given.notify_one() }
    }

    /// To leave the consensus first, whatever is configured. Shortens nothing where the node is stopping already.
    pub fn drain(&self) {
        if !self.is_given.swap(true, Ordering::Relaxed) {
            self.drains.store(true, Ordering::Relaxed);
            self.given.notify_one();
        }
    }

    /// How far it is with the node.
    pub fn state(&self) -> State {
        match (self.drains.load(Ordering::Relaxed), self.is_given.load(Ordering::Relaxed)) {
            (true, _) => State::Draining,
            (false, true) => State::Stopping,
            (false, false) => State::Running,
        }
    }
}

/// What a node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its work.
    Running,
    /// Leaving the consensus, whatever is configured, to stop then.
    Draining,
    /// Stopping as it is configured.
    Stopping,
}

impl State {
    /// As STATUS names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

impl Node {
    /// Waits for a signal or command.
    pub(super) async fn until_told_to_stop(&self, signals: &mut Signals, order: &StopOrder) {
        tokio::select! {
            () = self.until_signal(signals) => order.is_given.store(true, Ordering::Relaxed),
            () = order.given.notified() => {}
        }
        self.log.notice(MODULE, "Starting graceful shutdown.");
    }

    /// Waits for a signal that means stop; opens the log again at each hangup.
    pub(super) async fn until_signal(&self, signals: &mut Signals) {
        while signals.next().await == Told::ReopenLog {
            self.log.reopen();
        }
    }

    /// Withdraws from the consensus first where that is configured or ordered; a second signal or SHUTDOWN ends that.
    pub(super) async fn withdraw_first(
        &self,
        signals: &mut Signals,
        advertise: &watch::Sender<bool>,
        status: &Mutex<DirectoryStatus>,
        order: &StopOrder,
    ) {
        if self.withdraws() || order.state() == State::Draining {
            // A send can fail only without a directory worker, which then advertises nothing either.
            let _no_worker = advertise.send(false);
            tokio::select! {
                () = self.withdraw(status) => {}
                () = order.at_once.notified() => {
                    self.log.notice(MODULE, "told over the management socket to stop at once");
                }
                () = self.until_signal(signals) => {
                    let text = "Received a second interrupt signal, aborting graceful shutdown.";
                    // Not `eprintln!`, which panics where nobody takes it.
                    let _nobody_takes_it = writeln!(std::io::stderr(), "{text}");
                }
            }
        }
    }

    fn withdraws(&self) -> bool {
        let configured = self.config.own.controlplane.shutdown_withdraw;
        configured.unwrap_or(self.config.shutdown == Shutdown::WithdrawFirst)
    }

    async fn withdraw(&self, status: &Mutex<DirectoryStatus>) {
        loop {
            let now = epoch_time(&self.clock);
            let last = status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).last_advertised();
            let (Some(last), Some(wait)) = (last, advertised_for(last, &now)) else {
                let epoch = now.epoch.0;
                let text = format_args!("Consensus withdrawal complete: node is not advertised in epoch {epoch}.");
                return self.log.notice(MODULE, text);
            };
            self.log.notice(MODULE, format_args!("Advertised until epoch {last}: {} s to go.", wait.as_secs()));
            tokio::time::sleep(now.till + Duration::from_millis(10)).await;
        }
    }
}

/// For how long a node is advertised whose last epoch in a document is `last`; none if it is not any more.
fn advertised_for(last: Option<u64>, now: &EpochTime) -> Option<Duration> {
    let whole = last?.checked_sub(now.epoch.0)?;
    Some(now.till + now.period * u32::try_from(whole).unwrap_or(1))
}

#[cfg(test)]
mod tests;
