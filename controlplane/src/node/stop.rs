//! From the order to stop to the end (server.md 1.8).

use super::signals::{Signals, wait_for_stop};
use super::{MODULE, Node};
use crate::directory::{DirectoryStatus, epoch_time};
use config::server::Shutdown;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long a data plane may take to send what is due and end.
pub const STOP_LIMIT: Duration = Duration::from_secs(5);

impl Node {
    /// Waits for a signal or command, and withdraws from the consensus first where that is configured.
    pub(super) async fn until_told_to_stop(
        &self,
        mut signals: Signals,
        shut_down: &Notify,
        advertise: &watch::Sender<bool>,
        status: &Mutex<DirectoryStatus>,
    ) {
        loop {
            tokio::select! {
                () = wait_for_stop(&mut signals.interrupt, &mut signals.terminate) => break,
                () = shut_down.notified() => break,
                _ = signals.hangup.recv() => self.log.reopen(),
            }
        }
        self.log.notice(MODULE, "Starting graceful shutdown.");
        if self.withdraws() {
            // A send can fail only without a directory worker, which then advertises nothing either.
            let _no_worker = advertise.send(false);
            tokio::select! {
                () = self.withdraw(status) => {}
                () = wait_for_stop(&mut signals.interrupt, &mut signals.terminate) => {
                    eprintln!("Received a second interrupt signal, aborting graceful shutdown.");
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
