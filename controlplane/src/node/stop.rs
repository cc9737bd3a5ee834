//! From the order to stop to the withdrawal of the node's keys (server.md 1.8). How long the data plane may take: `vigil`.

use super::{MODULE, Node};
use crate::directory::{DirectoryStatus, epoch_time};
use crate::process::signals::{Signals, Told};
use config::server::Shutdown;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// An order to stop that comes over the management socket.
#[derive(Debug, Default)]
pub struct StopOrder {
    given: Notify,
    drains: AtomicBool,
    is_at_once: AtomicBool,
}

impl StopOrder {
    /// To stop as at a signal.
    pub fn stop(&self) {
        self.is_at_once.store(true, Ordering::Relaxed);
        self.given.notify_one();
    }

    /// To leave the consensus first, whatever is configured.
    pub fn drain(&self) {
        self.drains.store(true, Ordering::Relaxed);
        self.given.notify_one();
    }

    /// Waits for an order to stop at once that comes after the one to leave the consensus.
    async fn second_stop(&self) {
        loop {
            self.given.notified().await;
            if self.is_at_once.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Whether the node is to leave the consensus first.
    pub fn drains(&self) -> bool {
        self.drains.load(Ordering::Relaxed)
    }
}

impl Node {
    /// Waits for a signal or command.
    pub(super) async fn until_told_to_stop(&self, signals: &mut Signals, order: &StopOrder) {
        tokio::select! {
            () = self.until_signal(signals) => {}
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
        if self.withdraws() || order.drains() {
            // A send can fail only without a directory worker, which then advertises nothing either.
            let _no_worker = advertise.send(false);
            tokio::select! {
                () = self.withdraw(status) => {}
                () = order.second_stop() => {
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
            match last {
                Some(last) if last >= now.epoch.0 => {
                    let wait = now.till + self.clock.period() * u32::try_from(last - now.epoch.0).unwrap_or(1);
                    self.log.notice(MODULE, format_args!("Advertised until epoch {last}: {} s to go.", wait.as_secs()));
                    tokio::time::sleep(now.till + Duration::from_millis(10)).await;
                }
                _ => {
                    let epoch = now.epoch.0;
                    self.log.notice(
                        MODULE,
                        format_args!("Consensus withdrawal complete: node is not advertised in epoch {epoch}."),
                    );
                    return;
                }
            }
        }
    }
}
